"""A group of regions: one PostgreSQL cluster, one configuration file and one agent per region."""

import contextlib
import itertools
import os
import secrets

from . import agent as agent_module
from . import configuration, ports
from .agent import Agent
from .difference import assert_same_rows
from .postgres import PostgresCluster
from .waiting import PATIENCE, TimedOut, wait_until

_MARKER_TABLE = "pgduet_test.marker"
_MARKER_SCHEMA = """
CREATE SCHEMA pgduet_test;
CREATE TABLE pgduet_test.marker (region text, number bigint, PRIMARY KEY (region, number));
"""


class Region:
    """One region: its database, its agent, its command line."""

    def __init__(self, group, name, rank, postgres, dbname):
        self.group = group
        self.name = name
        self.rank = rank
        self.postgres = postgres
        self.dbname = dbname
        self.folder = postgres.folder
        self.http_port = ports.take()
        self.config_path = os.path.join(self.folder, "pgduet.yaml")
        self.agent = Agent(name, self.config_path, os.path.join(self.folder, "agent.log"), self.http_port)

    def sql(self, statement, parameters=None):
        """Runs SQL, each statement for itself (or all in one transaction when there are several in one string)."""
        return self.postgres.sql(statement, parameters, dbname=self.dbname)

    def connect(self, autocommit=True):
        return self.postgres.connect(self.dbname, autocommit=autocommit)

    @contextlib.contextmanager
    def transaction(self):
        """A cursor in one transaction, committed at the end of the block."""
        connection = self.connect(autocommit=False)
        try:
            with connection.cursor() as cursor:
                yield cursor
            connection.commit()
        finally:
            connection.close()

    def rows(self, table, columns="*"):
        """All rows as tuples of the values' text-free Python forms, sorted."""
        return sorted(self.sql(f"SELECT {columns} FROM {table}"), key=repr)

    def text_rows(self, table):
        """All rows as PostgreSQL prints them, sorted: for comparison to the last byte."""
        return sorted(row[0] for row in self.sql(f"SELECT t::text FROM {table} t"))

    def decoded_through(self):
        """The LSN that the agent's own capture has read its database's WAL up to; 0/0 while it does not say."""
        return next((stream["through_lsn"] for stream in self.agent.streams() if stream["name"] == "capture"), "0/0")

    def conflicts(self, table=None):
        """Rows of pgduet.conflict as dictionaries, oldest first."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT * FROM pgduet.conflict ORDER BY id")
                names = [column.name for column in cursor.description]
                found = [dict(zip(names, row)) for row in cursor.fetchall()]
        finally:
            connection.close()
        return [c for c in found if table is None or table in (c["table_name"], f"{c['table_schema']}.{c['table_name']}")]

    def pgduet(self, command, *arguments, check=True, **kwargs):
        """Runs a command with this region's --config and --region. `command` may have two words."""
        return agent_module.pgduet(*command.split(), "--config", self.config_path, "--region", self.name,
                                   *arguments, check=check, **kwargs)


class Group:
    """Made and closed by the fixture make_group (fixtures.py); start() does everything up to running agents."""

    def __init__(self, workspace, link_host, regions, tables, schema="", transport="kafka", broker=None,
                 schemas=None, settings=None, database=None, databases=None, extra=None, links=True, name=None):
        """regions: names in order of rank. tables: names, or a mapping with settings. schema: SQL run in every region;
        schemas: {region: SQL} instead, where they differ. settings: of PostgreSQL, for all regions. database: arguments of
        create_database for all (encoding, locale), databases: {region: arguments}. extra: merged into the configuration.
        links=False: no proxies (full speed; link() is not available)."""
        self.transport = transport
        self.broker = broker
        self.name = name or f"g{secrets.token_hex(4)}"
        self.extra = extra or {}
        self.tables = {**({t: {} for t in tables} if not isinstance(tables, dict) else tables), _MARKER_TABLE: {}}
        self._schema, self._schemas = schema, schemas or {}
        self._databases = {region: (databases or {}).get(region, database or {}) for region in regions}
        self._link_host = link_host if links else None
        self._links = {}
        self._numbers = itertools.count(1)
        self._expected_errors = set()
        self._any_error_expected = False
        self.regions = {}
        for rank, region in enumerate(regions):
            cluster = PostgresCluster(workspace, f"pg-{region}"[:12], settings)
            self.regions[region] = Region(self, region, rank, cluster, "shop")

    def __getitem__(self, region):
        return self.regions[region]

    def __iter__(self):
        return iter(self.regions.values())

    @property
    def topics(self):
        """{region: topic name}"""
        return {region: f"pgduet.{self.name}.{region}.main" for region in self.regions}

    # Life.

    def start(self):
        self.start_databases()
        self.write_configurations()
        self.init()
        self.start_agents()
        return self

    def start_databases(self):
        for region in self:
            region.postgres.start(wait=False)
        for region in self:
            region.postgres.wait_ready()
            region.postgres.create_database(region.dbname, **self._databases[region.name])
            region.sql(_MARKER_SCHEMA)
            schema = self._schemas.get(region.name, self._schema)
            if schema:
                region.sql(schema)

    def write_configurations(self):
        for region in self:
            configuration.write(region.config_path, self.configuration(region.name))

    def configuration(self, reader):
        """The document as the region `reader` uses it: it reaches the other regions over links."""
        regions = {}
        for region in self:
            local = region.name == reader
            linked = self._link_host is not None and not local
            port = self.link(reader, region.name).port if linked else None
            regions[region.name] = {
                "postgres": self._conninfo(region, "pgduet", port if self.transport == "direct" else None),
                "postgres_admin": self._conninfo(region, "postgres", None) if local else None,
                "http": f"127.0.0.1:{region.http_port}",
            }
            if self.transport == "kafka":
                regions[region.name]["brokers"] = f"127.0.0.1:{port}" if port else self.broker.brokers
        return configuration.configuration(self.name, self.transport, regions, self.tables, self.extra)

    def init(self):
        for region in self:
            region.pgduet("init")

    def start_agents(self):
        for region in self:
            region.agent.start(wait=False)
        for region in self:
            region.agent.wait_ready()

    def stop_agents(self):
        for region in self:
            region.agent.stop()

    def close(self, check=True):
        """Ends everything. With check, agents must stop cleanly and must have logged no unexpected ERROR."""
        try:
            if check:
                for link in self._links.values():
                    link.heal()
                self.stop_agents()
                self.assert_no_unexpected_errors()
        finally:
            for region in self:
                region.agent.kill()
                region.postgres.close()
                ports.release(region.http_port)
            for link in self._links.values():
                self.broker.release_link(link) if self.transport == "kafka" else link.close()

    def expect_errors(self, *names):
        """Lines of level ERROR with these named errors are part of the test; without names: any."""
        self._expected_errors |= set(names)
        self._any_error_expected |= not names

    def assert_no_unexpected_errors(self):
        lines = [f"{region.name}: {line}" for region in self for name, line in region.agent.error_lines()
                 if name not in self._expected_errors]
        assert self._any_error_expected or not lines, "unexpected ERROR in an agent's log:\n" + "\n".join(lines[:20])

    # Links.

    def link(self, reader, origin):
        """The link over which the agent of `reader` gets what `origin` writes."""
        assert self._link_host is not None and reader != origin
        if (reader, origin) not in self._links:
            if self.transport == "kafka":
                link = self.broker.take_link(self._link_host)
            else:
                link = self._link_host.open(self[origin].postgres.port)
            self._links[reader, origin] = link
        return self._links[reader, origin]

    @contextlib.contextmanager
    def paused(self, origin=None, reader=None):
        """What `origin` writes does not arrive at `reader` (None: of all, at all) while the block runs."""
        pairs = [(r, o) for r, o in itertools.permutations(self.regions, 2)
                 if origin in (None, o) and reader in (None, r)]
        for pair in pairs:
            self.link(*pair).cut()
        try:
            yield
        finally:
            for pair in pairs:
                self.link(*pair).heal()

    def write_late(self, writes):
        """[(region, SQL), ...] or {region: SQL}, run in this order while nothing arrives anywhere: nobody saw the others'
        writes. Then everything flows again; waits for convergence."""
        with self.paused():
            for region, statement in writes.items() if isinstance(writes, dict) else writes:
                self[region].sql(statement)
        self.wait_converged()

    # Convergence.

    def mark(self, regions=None):
        """Writes one marker row in each region (or in these) and returns them: everything before is older."""
        markers = []
        for region in regions or self.regions:
            number = next(self._numbers)
            self[region].sql(f"INSERT INTO {_MARKER_TABLE} VALUES (%s, %s)", (region, number))
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
            wait_until(lambda: region.sql("SELECT 1 FROM pgduet.tombstone WHERE unswept IS NOT NULL LIMIT 1") == [],
                       f"the deletes of {region.name} to be swept", timeout)

    def wait_for_markers(self, markers, timeout=PATIENCE, regions=None):
        readers = regions or list(self.regions)
        missing = {}

        def all_visible():
            missing.clear()
            for region in readers:
                seen = set(self[region].sql(f"SELECT region, number FROM {_MARKER_TABLE}"))
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
        return [self[reader].sql("SELECT origin_rank, max(sequence) FROM pgduet.progress GROUP BY 1 ORDER BY 1") for reader in readers]

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

    def _conninfo(self, region, user, port):
        if port is not None:
            return region.postgres.conninfo(region.dbname, user, "127.0.0.1", port)
        return region.postgres.conninfo(region.dbname, user)
