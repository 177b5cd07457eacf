"""A group of regions: one PostgreSQL cluster, one configuration file and one agent per region."""

import contextlib
import itertools
import os
import secrets

from . import agent as agent_module
from . import configuration, ports
from .agent import Agent
from .convergence import Convergence
from .postgres import PostgresCluster

_MARKERS = "(region text, number bigint, PRIMARY KEY (region, number))"


class Region:
    """One region: its database, and the agent, the sidecar and the command line of one set of tables."""

    def __init__(self, group, name, rank, postgres, dbname, set_name="main"):
        self.group = group
        self.name = name
        self.rank = rank
        self.postgres = postgres
        self.dbname = dbname
        self.folder = postgres.folder
        self.http_port = ports.take()
        self.config_path = os.path.join(self.folder, "pgduet.yaml")
        self.set_name = set_name
        self.sidecar, log = "pgduet", "agent.log"
        if set_name != "main":
            self.sidecar, log = f"pgduet_{set_name.replace('-', '_')}", f"agent-{set_name}.log"
        self.agent = Agent(name, self.config_path, os.path.join(self.folder, log), self.http_port, env={"PGDUET_SET": set_name})

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
        """Rows of the set's conflict log as dictionaries, oldest first."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM {self.sidecar}.conflict ORDER BY id")
                names = [column.name for column in cursor.description]
                found = [dict(zip(names, row)) for row in cursor.fetchall()]
        finally:
            connection.close()
        return [c for c in found if table is None or table in (c["table_name"], f"{c['table_schema']}.{c['table_name']}")]

    def pgduet(self, command, *arguments, check=True, **kwargs):
        """Runs a command with this region's --config and --region, and --set. `command` may have two words."""
        chosen = ["--set", self.set_name] if self.set_name != "main" else []
        return agent_module.pgduet(*command.split(), "--config", self.config_path, "--region", self.name, *chosen,
                                   *arguments, check=check, **kwargs)


class SetOfTables(Convergence):
    """A set besides `main`: the same regions, with an agent of its own each, and its tables. Like a group, to wait and to compare."""

    def __init__(self, group, name, tables):
        super().__init__()
        self.name, self.transport = name, group.transport
        self.marker_table = f"pgduet_test.marker_{name.replace('-', '_')}"
        self.tables = {**tables, self.marker_table: {}}
        self.regions = {region.name: Region(group, region.name, region.rank, region.postgres, region.dbname, name) for region in group}


class Group(Convergence):
    """Made and closed by the fixture make_group (fixtures.py); start() does everything up to running agents."""

    def __init__(self, workspace, link_host, regions, tables, schema="", transport="kafka", broker=None,
                 schemas=None, settings=None, database=None, databases=None, extra=None, links=True, name=None, sets=None,
                 versions=None):
        """regions: names in order of rank. tables: names, or a mapping with settings. schema: SQL run in every region;
        schemas: {region: SQL} instead, where they differ. settings: of PostgreSQL, for all regions. database: arguments of
        create_database for all (encoding, locale), databases: {region: arguments}. extra: merged into the configuration.
        links=False: no proxies (full speed; link() is not available). sets: {name: tables}, those of further sets.
        versions: {region: major version of its PostgreSQL}, where it is not the run's."""
        super().__init__()
        self.transport = transport
        self.broker = broker
        self.name = name or f"g{secrets.token_hex(4)}"
        self.extra = extra or {}
        self.marker_table = "pgduet_test.marker"
        self.tables = {**({t: {} for t in tables} if not isinstance(tables, dict) else tables), self.marker_table: {}}
        self._schema, self._schemas = schema, schemas or {}
        self._databases = {region: (databases or {}).get(region, database or {}) for region in regions}
        self._link_host = link_host if links else None
        self._links = {}
        self._expected_errors = set()
        self._any_error_expected = False
        self.regions = {}
        for rank, region in enumerate(regions):
            cluster = PostgresCluster(workspace, f"pg-{region}"[:12], settings, version=(versions or {}).get(region))
            self.regions[region] = Region(self, region, rank, cluster, "shop")
        self.sets = {one: SetOfTables(self, one, listed) for one, listed in (sets or {}).items()}

    def everywhere(self):
        """The regions as the main set has them, and as the others do."""
        return [*self, *(region for one in self.sets.values() for region in one)]

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
            region.sql("CREATE SCHEMA pgduet_test")
            for one in (self, *self.sets.values()):
                region.sql(f"CREATE TABLE {one.marker_table} {_MARKERS}")
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
        return configuration.configuration(self.name, self.transport, regions, self.tables, self._with_sets())

    def _with_sets(self):
        """The configuration's extra, with the tables and addresses of the further sets."""
        tables = {table: {**settings, "set": one.name} for one in self.sets.values() for table, settings in one.tables.items()}
        sets = {one.name: {"http": {region.name: f"127.0.0.1:{region.http_port}" for region in one}} for one in self.sets.values()}
        return configuration.merged({"tables": tables, "sets": sets}, self.extra) if sets else self.extra

    def init(self):
        for region in self.everywhere():
            region.pgduet("init")

    def start_agents(self):
        for region in self.everywhere():
            region.agent.start(wait=False)
        for region in self.everywhere():
            region.agent.wait_ready()

    def stop_agents(self):
        for region in self.everywhere():
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
            for region in self.everywhere():
                region.agent.kill()
                ports.release(region.http_port)
            for region in self:
                region.postgres.close()
            for link in self._links.values():
                self.broker.release_link(link) if self.transport == "kafka" else link.close()

    def expect_errors(self, *names):
        """Lines of level ERROR with these named errors are part of the test; without names: any."""
        self._expected_errors |= set(names)
        self._any_error_expected |= not names

    def assert_no_unexpected_errors(self):
        lines = [f"{region.name}: {line}" for region in self.everywhere() for name, line in region.agent.error_lines()
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

    def _conninfo(self, region, user, port):
        if port is not None:
            return region.postgres.conninfo(region.dbname, user, "127.0.0.1", port)
        return region.postgres.conninfo(region.dbname, user)
