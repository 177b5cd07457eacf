"""What each system under measurement can do. A system is made for one measurement, on fresh clusters, and closed after it.

    start()    databases with the workload's tables and seed; replication runs
    pause()    nothing is carried any more; what is written from now on is the backlog
    resume()   lets it go; returns at once
    close()    ends all
"""

from harness.postgres import PostgresCluster

from .side import Side, on_all

# Written last by whoever writes a backlog: when they are visible at the other side, all is.
DONE, DONE_BACK = "public.bench_done", "public.bench_done_back"

# wal_retrieve_retry_interval: how soon a native apply worker starts after ENABLE; its default of 5 s would be counted.
SETTINGS = {"fsync": "on", "shared_buffers": "256MB", "max_wal_size": "8GB", "checkpoint_timeout": "30min",
            "wal_retrieve_retry_interval": "10ms"}


def _done_of(name):
    return f"{DONE}_{name}"


class System:
    """`label` stands in tables. `share`: the part of a backlog that is enough to measure a slow system's rate. `quick_workloads`: what it takes
    part in with --quick, of those that are measured by default."""

    label = ""
    share = 1.0
    quick_workloads = None  # all
    most_regions = 5
    both_ways = True
    keeps_order_of_tables = True
    takes_sets = False  # tables of Workload.sets go by ways of their own

    def __init__(self, site, workload):
        self.site = site
        self.workload = workload
        self.sides = []

    @property
    def origin(self):
        return self.sides[0]

    @property
    def targets(self):
        return self.sides[1:]

    @property
    def sets(self):
        """{set: tables} of the workload's, with the table that tells when all of the set has arrived."""
        return {name: [*tables, _done_of(name)] for name, tables in self.workload.sets.items()}

    @property
    def main_tables(self):
        """Those that the origin writes, and that are in none of those."""
        elsewhere = {table for tables in self.workload.sets.values() for table in tables}
        return [*(table for table in self.workload.tables if table not in elsewhere), DONE]

    @property
    def all_tables(self):
        return [*self.main_tables, *self.workload.tables_back, DONE_BACK]

    @property
    def done_tables(self):
        return [DONE, *map(_done_of, self.workload.sets)]

    @classmethod
    def runs(cls, workload):
        return (not workload.ours_only and workload.regions <= cls.most_regions and (cls.both_ways or not workload.tables_back)
                and (cls.takes_sets or not workload.sets))

    def comes_back(self):
        """Is what the target writes carried to the origin?"""
        return bool(self.workload.tables_back)

    def pids(self):
        """{part: [pids of process trees]} besides the databases."""
        return {}

    def check(self):
        """Raises when it has failed and waiting has no use."""

    def topic_bytes(self):
        """Bytes on the broker's disk, or None."""

    def conflicts(self):
        """Conflicts that were found and logged, or None when the system does not know them."""

    # For the subclasses.

    def side_names(self):
        return ["origin", *(f"target_{number}" if number > 1 else "target" for number in range(1, self.workload.regions))]

    def make_clusters(self, settings=None):
        for name in self.side_names():
            self.sides.append(Side(name, PostgresCluster(self.site.workspace, name, {**SETTINGS, **(settings or {})}), "postgres"))

    def start_clusters(self):
        for side in self.sides:
            side.cluster.start(wait=False)
        for side in self.sides:
            side.cluster.wait_ready()
        self.prepare_tables()

    def prepare_tables(self):
        """The same rows everywhere, before anything replicates."""
        on_all(self.sides, self._prepare)

    def _prepare(self, side):
        side.sql(self.workload.schema + "".join(f"CREATE TABLE {table} (id int PRIMARY KEY);" for table in (*self.done_tables, DONE_BACK)))
        if self.workload.seed:
            side.write(self.workload.seed)
            side.sql("VACUUM ANALYZE")

    def close_clusters(self):
        for side in self.sides:
            side.cluster.close()
