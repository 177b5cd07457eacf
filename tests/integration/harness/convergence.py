"""Until when to wait, and what must be equal then: for a group, or for one of its sets of tables."""

import itertools

from .difference import assert_same_rows
from .waiting import PATIENCE, TimedOut, wait_until


class Convergence:
    """For classes with `regions` ({name: Region}), `transport`, `tables` and `marker_table`, which is one of the tables."""

    def __init__(self):
        self._numbers = itertools.count(1)

    def __getitem__(self, region):
        return self.regions[region]

    def __iter__(self):
        return iter(self.regions.values())

    def mark(self, regions=None):
        """Writes one marker row in each region (or in these) and returns them: everything before is older."""
        markers = []
        for region in regions or self.regions:
            number = next(self._numbers)
            self[region].sql(f"INSERT INTO {self.marker_table} VALUES (%s, %s)", (region, number))
            markers.append((region, number))
        return markers

    def wait_converged(self, timeout=PATIENCE):
        """Until what every region has committed up to now is in effect in every region."""
        self.wait_for_markers(self.mark(), timeout)
        if self.transport == "direct":
            self.wait_decoded(timeout)

    def wait_decoded(self, timeout=PATIENCE):
        """Until each running agent's own capture has read what its database has flushed up to now, and so has replayed its deletes.
        With `direct` a region's transactions reach the peers by other streams, which may be ahead of that one."""
        for region in self:
            [(place,)] = region.sql("SELECT pg_current_wal_flush_lsn()")
            wait_until(lambda: not region.agent.running()
                       or region.sql("SELECT %s::pg_lsn >= %s::pg_lsn", (region.decoded_through(), place)) == [(True,)],
                       f"capture of {region.name} to be through {place}", timeout)

    def wait_swept(self, timeout=PATIENCE):
        """Until no remote delete may have missed a row that was just becoming visible."""
        for region in self:
            wait_until(lambda: region.sql(f"SELECT 1 FROM {region.sidecar}.tombstone WHERE unswept IS NOT NULL LIMIT 1") == [],
                       f"the deletes of {region.name} to be swept", timeout)

    def wait_for_markers(self, markers, timeout=PATIENCE, regions=None):
        readers = regions or list(self.regions)
        missing = {}

        def all_visible():
            missing.clear()
            for region in readers:
                seen = set(self[region].sql(f"SELECT region, number FROM {self.marker_table}"))
                if absent := set(markers) - seen:
                    missing[region] = sorted(absent)
            return not missing

        # What is late and moves is no failure: a backlog of a slow machine may take longer than any patience.
        applied = None
        while applied != (applied := self._applied(readers)):
            try:
                return wait_until(all_visible, "markers to arrive", timeout)
            except TimedOut as late:
                last = f"{late}; nothing is applied any more; missing, by reader: {missing}"
        raise TimedOut(last)

    def _applied(self, readers):
        """How far each of these regions is in what it applies (others may be down)."""
        return [self[reader].sql(f"SELECT origin_rank, max(sequence) FROM {self[reader].sidecar}.progress GROUP BY 1 ORDER BY 1")
                for reader in readers]

    def assert_equal(self, *tables):
        """All regions hold the same rows in these tables (default: all replicated ones)."""
        try:
            self._assert_equal(*tables)
        except AssertionError:
            self.wait_swept()
            self._assert_equal(*tables)

    def _assert_equal(self, *tables):
        first, *others = self.regions.values()
        for table in tables or self.tables:
            for other in others:
                assert_same_rows(table, first, other)

    def assert_converged(self, *tables):
        self.wait_converged()
        self.assert_equal(*tables)
