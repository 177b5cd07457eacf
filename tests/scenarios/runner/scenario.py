"""A scenario's folder, read and checked. Nothing here needs a server."""

import dataclasses
import pathlib
import re

import yaml

FOLDER = pathlib.Path(__file__).resolve().parents[1]

_REGION = r"(?P<region>[abc])"
# What may follow `-- `: the verb, and what the line says. docs: tests/scenarios/README.md.
_DIRECTIVES = {
    "sql": rf"at {_REGION}",
    "session": rf"session (?P<name>\w+) at {_REGION}",
    "blocked_session": rf"session (?P<name>\w+) at {_REGION}, blocked",
    "true": rf"true at {_REGION}",
    "pause": r"pause(?: (?P<origin>[abc]) to (?P<reader>[abc]))?",
    "flow": r"flow(?: (?P<origin>[abc]) to (?P<reader>[abc]))?",
    "wait": r"wait(?: for (?P<origin>[abc]) at (?P<reader>[abc]))?",
    "stops": rf"stops (?P<error>[a-z_]+) at {_REGION}",
    "holds": r"(?P<reader>[abc]) holds back (?P<origin>[abc])",
    "apply_blocked": rf"apply blocked at {_REGION}",
    "retries": rf"retries (?P<reason>[a-z_]+) at {_REGION}",
    "crash": rf"crash at {_REGION}",
    "down": rf"down at {_REGION}",
    "up": rf"up at {_REGION}",
    "init": rf"init at {_REGION}",
    "resend": rf"resend from {_REGION}",
}
_PATTERNS = {verb: re.compile(pattern) for verb, pattern in _DIRECTIVES.items()}
_TAKES_SQL = {"sql", "session", "blocked_session", "true"}
_TAKES_ONE = {"blocked_session", "true"}
_TABLE = re.compile(r"^CREATE TABLE (\w+)\b(?! PARTITION OF)([^\n]*)", re.MULTILINE)
_LOCAL = "-- not replicated"
_PARKS = "-- on_unique: park_loser"


class Refused(ValueError):
    """The folder is not a scenario; says file, line and why."""


@dataclasses.dataclass
class Step:
    line: int
    verb: str
    arguments: dict
    statements: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str  # of the folder, and of its database schema
    schemas: dict  # {region: SQL}
    steps: tuple
    expected: str
    tables: tuple  # replicated
    local_tables: tuple
    policies: dict  # {table: settings}, of those that policies.yaml names
    parking_tables: tuple  # of the replicated ones

    @property
    def regions(self):
        return tuple(self.schemas)

    @property
    def stops(self):
        """Named errors that streams stop with on the way."""
        return {step.arguments["error"] for step in self.steps if step.verb == "stops"}

    def __str__(self):
        return self.name


def all_scenarios():
    return [load(path.parent) for path in sorted(FOLDER.glob("*/steps.sql"))]


def load(folder):
    folder = pathlib.Path(folder)
    for name in ("README.md", "steps.sql", "expected.txt"):
        if not (folder / name).is_file():
            raise Refused(f"{folder.name}: {name} is missing")
    if not re.fullmatch("[a-z][a-z0-9_]{1,62}", folder.name):
        raise Refused(f"{folder.name}: no name of a database schema (at most 63 of a-z, 0-9, _)")
    steps = read_steps((folder / "steps.sql").read_text(encoding="utf-8"), f"{folder.name}/steps.sql")
    schemas = _schemas(folder, "abc" if _names_region_c(folder, steps) else "ab")
    found = dict(match for schema in schemas.values() for match in _TABLE.findall(schema))
    if not found:
        raise Refused(f"{folder.name}: the schema has no line that begins with CREATE TABLE")
    return Scenario(folder.name, schemas, tuple(steps), (folder / "expected.txt").read_text(encoding="utf-8"),
                    tuple(sorted(table for table, rest in found.items() if _LOCAL not in rest)),
                    tuple(sorted(table for table, rest in found.items() if _LOCAL in rest)),
                    _policies(folder, found),
                    tuple(sorted(table for table, rest in found.items() if _PARKS in rest)))


def _policies(folder, tables):
    path = folder / "policies.yaml"
    policies = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    if unknown := set(policies) - set(tables):
        raise Refused(f"{folder.name}/policies.yaml: the schema has no table {', '.join(sorted(unknown))}")
    return policies


def read_steps(text, where):
    """A line `-- ...` is a directive, or after `-- #` a remark; the lines below it are its SQL, where it takes some."""
    steps = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("-- #") or not line.strip():
            continue
        if line.startswith("--"):
            steps.append(_directive(line.removeprefix("-- ").strip(), number, where))
        elif not steps or steps[-1].verb not in _TAKES_SQL:
            raise Refused(f"{where}:{number}: SQL without a directive that says where")
        else:
            _add_sql(steps[-1].statements, line)
    for step in steps:
        _check(step, where)
    return steps


def _directive(text, number, where):
    for verb, pattern in _PATTERNS.items():
        if match := pattern.fullmatch(text):
            return Step(number, verb, match.groupdict())
    raise Refused(f"{where}:{number}: unknown directive '-- {text}'")


def _add_sql(statements, line):
    """A statement ends with the line that ends with a semicolon."""
    if statements and not statements[-1].rstrip().endswith(";"):
        statements[-1] += "\n" + line
    else:
        statements.append(line)


def _check(step, where):
    if step.verb not in _TAKES_SQL:
        return
    if not step.statements or not step.statements[-1].rstrip().endswith(";"):
        raise Refused(f"{where}:{step.line}: a statement is missing, or its semicolon")
    if step.verb in _TAKES_ONE and len(step.statements) != 1:
        raise Refused(f"{where}:{step.line}: exactly one statement belongs here")


def _names_region_c(folder, steps):
    return (folder / "schema.c.sql").exists() or any(
        "c" in (step.arguments.get(role) for role in ("region", "origin", "reader")) for step in steps)


def _schemas(folder, regions):
    """schema.sql everywhere, and after it schema.<region>.sql where that exists."""
    schemas = {}
    for region in regions:
        parts = [folder / "schema.sql", folder / f"schema.{region}.sql"]
        schemas[region] = "\n".join(part.read_text(encoding="utf-8") for part in parts if part.is_file())
        if not schemas[region]:
            raise Refused(f"{folder.name}: no schema.sql and no schema.{region}.sql")
    return schemas
