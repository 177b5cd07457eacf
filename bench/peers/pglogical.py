"""pglogical 2 (Debian's package): nodes, a replication set, a subscription for each target."""

from harness.installation import has_extensions_of_packages
from harness.waiting import wait_until

from .native import active_slots
from .system import DONE, DONE_BACK, System

_SETTINGS = {"shared_preload_libraries": "pglogical", "max_worker_processes": 16}


class Pglogical(System):
    label = "pglogical"
    quick_workloads = ("bulk", "updates", "tpcb")

    @classmethod
    def runs(cls, workload):
        return super().runs(workload) and has_extensions_of_packages()

    def start(self):
        self.make_clusters(_SETTINGS)
        self.start_clusters()
        for side in self.sides:
            side.sql("CREATE EXTENSION pglogical")
            side.sql("SELECT pglogical.create_node(%s, %s)", (side.name, side.cluster.conninfo()))
        self._publish(self.origin, self.targets, [*self.workload.tables, DONE])
        if self.comes_back():
            self._publish(self.targets[0], [self.origin], [*self.workload.tables_back, DONE_BACK])

    def _publish(self, publisher, subscribers, tables):
        for table in tables:
            publisher.sql("SELECT pglogical.replication_set_add_table('default', %s)", (table,))
        for side in subscribers:
            side.sql("SELECT pglogical.create_subscription(%s, %s, synchronize_structure := false, synchronize_data := false, "
                     "forward_origins := '{}')", (f"to_{side.name}", publisher.cluster.conninfo()))
            wait_until(lambda: side.sql("SELECT status FROM pglogical.show_subscription_status()") == [("replicating",)],
                       "the subscription to replicate")
        wait_until(lambda: active_slots(publisher) == len(subscribers), "subscriptions to stream")

    def pause(self):
        self._alter("disable")
        for side in self.sides:
            wait_until(lambda: active_slots(side) == 0, "the slots to be free")

    def resume(self):
        self._alter("enable")

    def _alter(self, how):
        for side in self.sides:
            for (name,) in side.sql("SELECT sub_name FROM pglogical.subscription"):
                side.sql(f"SELECT pglogical.alter_subscription_{how}(%s, true)", (name,))

    def close(self):
        self.close_clusters()
