"""The tour of README.md, word for word, on two fresh databases; and on the same two the mend of docs/operations/errors.md, and every
command of docs/operations/conflicts.md.

All `sh` blocks of a section run in one bash. Replaced is only what the text tells the reader to choose: the four lines of step 1,
the two HTTP ports, and `./dev build` (the program under test is built already). A `text` block is what the blocks before it show in the end: they
are run again until they do.
"""

import os
import pathlib
import re
import shutil
import subprocess
import textwrap
import threading

import pytest

from harness import agent, ports, processes
from harness.installation import client_programs
from harness.postgres import PostgresCluster
from harness.waiting import wait_until

ROOT = pathlib.Path(agent.ROOT)
_BEFORE = {"wal_level": "replica", "track_commit_timestamp": "off"}
_END = "::end of block "


class Shell:
    """One bash that runs blocks and gives back what they print."""

    def __init__(self, folder, environment):
        self.process = subprocess.Popen(["bash"], cwd=folder, env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, block):
        """Output; the last command's exit code must be 0, and no command may have failed in psql's or pgduet's words."""
        watchdog = threading.Timer(120, self.process.kill)
        watchdog.start()
        self.process.stdin.write(f"{block}\necho \"{_END}$?\"\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.startswith(_END):
                watchdog.cancel()
                output = "".join(lines)
                assert line.strip() == f"{_END}0", f"the block ended with {line.strip()}:\n{block}\n{output}"
                assert not re.search(r"^(psql: )?(error|ERROR|FATAL):", output, re.MULTILINE), f"{block}\n{output}"
                return output
            lines.append(line)
        raise AssertionError(f"bash ended within:\n{block}\n{''.join(lines)}")

    def close(self):
        for pid in processes.descendants(self.process.pid):
            os.kill(pid, 9)
        self.process.kill()
        self.process.wait()


class Tour:
    """Two clusters as a user has them, and the shell in which the documents' blocks run."""

    def __init__(self, workspace):
        self.clusters = [PostgresCluster(workspace, name, _BEFORE) for name in ("east", "west")]
        self.http = [ports.take(), ports.take()]
        self.folder = workspace.folder("tour")
        for cluster in self.clusters:
            cluster.start()
            cluster.create_database("shop")
        bin_folder = os.path.join(self.folder, "bin")
        os.mkdir(bin_folder)
        os.symlink(agent.binary(), os.path.join(bin_folder, "pgduet"))
        for name, cluster in zip(("east", "west"), self.clusters):
            self._write_restart(os.path.join(bin_folder, f"restart-{name}"), cluster)
        path = os.pathsep.join([bin_folder, client_programs(), os.environ["PATH"]])
        self.shell = Shell(self.folder, {**os.environ, "PATH": path, "PGTZ": "UTC"})

    def _write_restart(self, path, cluster):
        """As a service manager does it: the command asks, and returns when the server is back."""
        for end in ("wanted", "done"):
            os.mkfifo(f"{path}.{end}")
        with open(path, "w", encoding="utf-8") as script:
            script.write(f"#!/bin/sh\necho > {path}.wanted\nread -r _ < {path}.done\n")
        os.chmod(path, 0o755)

        def serve():
            pathlib.Path(f"{path}.wanted").read_text(encoding="utf-8")
            cluster.restart()
            pathlib.Path(f"{path}.done").write_text("done\n", encoding="utf-8")

        threading.Thread(target=serve, daemon=True).start()

    def chosen(self, block):
        """The block with what the reader chooses."""
        east, west = (f'"{cluster.conninfo("shop")}"' for cluster in self.clusters)
        replaced = {r"(?m)^export EAST=.*$": f"export EAST={east}", r"(?m)^export WEST=.*$": f"export WEST={west}",
                    r"(?m)^RESTART_EAST=.*$": "RESTART_EAST=restart-east",
                    r"(?m)^RESTART_WEST=.*$": "RESTART_WEST=restart-west",
                    r"127\.0\.0\.1:9187": f"127.0.0.1:{self.http[0]}", r"127\.0\.0\.1:9188": f"127.0.0.1:{self.http[1]}",
                    r"(?m)^\./dev build$": "true"}
        for pattern, text in replaced.items():
            block = re.sub(pattern, lambda _, text=text: text, block)
        return block

    def follow(self, section):
        """Runs a section's blocks; gives {block: its last output}."""
        outputs, last = {}, None
        for kind, block in blocks(section):
            if kind == "sh":
                last = block
                outputs[last] = self.shell.run(self.chosen(last))
            else:
                def shown(block=block):
                    outputs[last] = self.shell.run(self.chosen(last))
                    return normal(block) in normal(outputs[last])
                try:
                    wait_until(shown, "the shown output", interval=0.1)
                except Exception as late:
                    raise AssertionError(f"{last}\nshows\n{outputs[last]}\nnot\n{block}\n"
                                         f"{self.log('east')}\n{self.log('west')}") from late
        return outputs

    def log(self, region):
        return processes.tail(os.path.join(self.folder, f"{region}.log"))

    def close(self):
        self.shell.close()
        for cluster in self.clusters:
            cluster.close()
        for port in self.http:
            ports.release(port)
        shutil.rmtree(self.folder, ignore_errors=True)


def section_of(path, title):
    text = (ROOT / path).read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{path} has no section '{title}'"
    return found.group(1)


def blocks(section):
    """[(kind, text)] of the fenced blocks, without the list's indentation."""
    fenced = re.findall(r"^( *)```(sh|text)\n(.*?)^ *```$", section, re.MULTILINE | re.DOTALL)
    return [(kind, textwrap.dedent(re.sub(rf"(?m)^{indent}", "", text))) for indent, kind, text in fenced]


def normal(output):
    """Without what differs from run to run: times, and the width of columns."""
    output = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(\+00(:00)?)?", "(time)", output)
    return "\n".join(" ".join(line.split()) for line in output.strip().splitlines())


@pytest.fixture
def tour(workspace):
    made = Tour(workspace)
    yield made
    made.close()


def leftovers(cluster):
    return cluster.sql(
        "SELECT 'slot ' || slot_name FROM pg_replication_slots UNION ALL SELECT 'publication ' || pubname FROM pg_publication "
        "UNION ALL SELECT 'origin ' || roname FROM pg_replication_origin "
        "UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname = 'pgduet'", dbname="shop")


def test_the_tour_shows_what_it_says_and_leaves_nothing_behind(tour):
    outputs = tour.follow(section_of("README.md", "Five minutes on your own databases"))
    checks = next(text for block, text in outputs.items() if "pgduet check" in block)
    assert "east: ready" in checks and "west: ready" in checks
    status = next(text for block, text in outputs.items() if "pgduet status" in block)
    assert "region east: agent running" in status
    for cluster in tour.clusters:
        assert cluster.sql("SELECT count(*) FROM accounts", dbname="shop") == [(2,)]
        assert leftovers(cluster) == []


def test_a_lost_slot_stops_the_stream_and_the_group_can_be_set_up_anew(tour):
    """The procedure of docs/operations/errors.md, on the tour's databases."""
    *steps, take_away = [block for kind, block in blocks(section_of("README.md", "Five minutes on your own databases"))
                         if kind == "sh"]
    stop_agents = take_away.splitlines()[0]
    start_agents = next(block for block in steps if block.startswith("pgduet agent"))
    for block in steps[:steps.index(start_agents)]:
        tour.shell.run(tour.chosen(block))
    east, west = tour.clusters
    lose_slot(east)
    east.sql("INSERT INTO accounts VALUES (1, 'ada', 100)", dbname="shop")
    tour.shell.run(tour.chosen(start_agents))
    wait_until(lambda: "slot_missing" in tour.log("east"), "the agent to notice")
    west.sql("INSERT INTO accounts VALUES (2, 'bob', 200)", dbname="shop")
    wait_until(lambda: rows(east) == ["1|ada|100", "2|bob|200"], "the other stream to go on")
    tour.shell.run(stop_agents)

    tour.follow(section_of("docs/operations/errors.md", "Set the group up anew"))
    tour.shell.run(tour.chosen(start_agents))
    west.sql("UPDATE accounts SET balance = 7 WHERE id = 1", dbname="shop")
    east.sql("DELETE FROM accounts WHERE id = 2", dbname="shop")
    wait_until(lambda: rows(east) == rows(west) == ["1|ada|7"], "both regions to follow each other")
    assert [c.sql("SELECT count(*) FROM pgduet.conflict", dbname="shop") for c in tour.clusters] == [[(0,)], [(0,)]]
    tour.shell.run(stop_agents)


def test_the_page_about_conflicts_shows_what_it_says(tour):
    """docs/operations/conflicts.md, from the state in which the tour is after its eighth step."""
    tour_section = section_of("README.md", "Five minutes on your own databases")
    take_away = blocks(tour_section)[-1][1]
    tour.follow(tour_section.split("\n9. ")[0])
    outputs = tour.follow((ROOT / "docs/operations/conflicts.md").read_text(encoding="utf-8"))
    shown = outputs["pgduet conflicts show 1 --region east\npgduet conflicts dismiss 1 --region east --note \"undone at west\"\n"]
    assert "now:      written since by west at" in shown and "dismissed: 1" in shown
    east, west = tour.clusters
    wait_until(lambda: rows(east) == rows(west) == ["1|ada|240", "2|bob|200"], "the merge by hand to arrive")
    assert [c.sql("SELECT count(*) FROM pgduet.conflict", dbname="shop") for c in tour.clusters] == [[(1,)], [(1,)]]
    tour.shell.run(tour.chosen(take_away.splitlines()[0]))


def lose_slot(cluster):
    cluster.sql("SELECT pg_drop_replication_slot('pgduet_shop_main')", dbname="shop")


def rows(cluster):
    found = cluster.sql("SELECT concat_ws('|', id, owner, balance) FROM accounts ORDER BY id", dbname="shop")
    return [row[0] for row in found]
