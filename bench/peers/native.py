"""PostgreSQL's publication and subscription."""

from harness.waiting import wait_until

from .system import DONE_BACK, System


class Native(System):
    label = "native"
    takes_sets = True
    host = None  # the Unix socket

    def start(self):
        self.make_clusters()
        self.start_clusters()
        self._publish(self.origin, self.targets, self.main_tables, "forth")
        for name, tables in self.sets.items():
            self._publish(self.origin, self.targets, tables, f"forth_{name}")
        if self.comes_back():
            self._publish(self.targets[0], [self.origin], [*self.workload.tables_back, DONE_BACK], "back")

    def _publish(self, publisher, subscribers, tables, name):
        publisher.sql(f"CREATE PUBLICATION {name} FOR TABLE " + ", ".join(tables))
        for side in subscribers:
            side.sql(f"CREATE SUBSCRIPTION {name}_{side.name} CONNECTION '{publisher.cluster.conninfo(host=self.host)}' "
                     f"PUBLICATION {name} WITH (copy_data = false)")
        slots = publisher.sql("SELECT count(*) FROM pg_publication")[0][0] * len(subscribers)
        wait_until(lambda: active_slots(publisher) == slots, "subscriptions to stream")

    def pause(self):
        self._alter("DISABLE")
        for side in self.sides:
            wait_until(lambda: active_slots(side) == 0, "the slots to be free")

    def resume(self):
        self._alter("ENABLE")

    def _alter(self, how):
        for side in self.sides:
            for (name,) in side.sql("SELECT subname FROM pg_subscription"):
                side.sql(f"ALTER SUBSCRIPTION {name} {how}")

    def close(self):
        self.close_clusters()


class NativeTcp(Native):
    """As users run it between machines: over TCP, here through the loopback interface."""

    label = "native, TCP"
    quick_workloads = ("bulk", "updates")
    host = "127.0.0.1"


def active_slots(side):
    return side.sql("SELECT count(*) FROM pg_replication_slots WHERE active")[0][0]
