"""What came out of a scenario, written as its expected.txt is: rows, then the conflict log of each region."""

import difflib
import json

_LOCAL_FORMS = {"row": "row", "delete": "delete", None: "nothing"}


def outcome(group, scenario):
    """Fails when a replicated table differs between regions: no expectation can allow that."""
    group.assert_equal(*(f"{scenario.name}.{table}" for table in scenario.tables))
    first = group[scenario.regions[0]]
    sections = [_section(table, _rows(first, scenario, table)) for table in scenario.tables]
    sections += [_section(f"{table} at {region}", _rows(group[region], scenario, table))
                 for table in scenario.local_tables for region in scenario.regions]
    sections += [_section(f"conflicts at {region}", _conflicts(group[region], scenario)) for region in scenario.regions]
    return "\n".join(sections)


def assert_as_expected(scenario, found):
    expected = scenario.expected.splitlines()
    if expected != found.splitlines():
        difference = "\n".join(difflib.unified_diff(expected, found.splitlines(), "expected.txt", "found", lineterm=""))
        raise AssertionError(f"{scenario.name} came out otherwise:\n{difference}")


def _section(title, lines):
    return f"{title}:\n" + "".join(f"  {line}\n" for line in lines or ["none"])


def _rows(region, scenario, table):
    return [" | ".join("NULL" if value is None else str(value) for value in row)
            for row in region.rows(f"{scenario.name}.{table}")]


def _conflicts(region, scenario):
    return sorted(_entry(conflict) for conflict in region.conflicts() if conflict["table_schema"] == scenario.name)


def _entry(conflict):
    """kind, table, decision, the winner's write, the loser's"""
    remote = f"{conflict['remote_region']}'s {conflict['remote_operation']} {_json(conflict['remote_row'])}"
    local = _LOCAL_FORMS[conflict["local_operation"]]
    if local != "nothing":
        # Rows from before the attachment have no region; of a deleted row only the key is known.
        owner = f"{conflict['local_region']}'s" if conflict["local_region"] else "an old"
        local = f"{owner} {local} {_json(conflict['local_row'] or conflict['key'])}"
    winner, loser = (remote, local) if conflict["decision"] in ("apply_remote", "park_local") else (local, remote)
    return f"{conflict['kind']} | {conflict['table_name']} | {conflict['decision']} | {winner} over {loser}"


def _json(row):
    return json.dumps(row, ensure_ascii=False)
