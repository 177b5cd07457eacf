"""What an agent tells of its streams, and what must hold when one stops and when it goes on. For groups with the table `item` of SCHEMA."""

from .waiting import wait_until

SCHEMA = "CREATE TABLE item (id int PRIMARY KEY, name text, code text UNIQUE)"
TABLES = ["public.item"]


def stream(agent, name):
    found = [one for one in agent.streams() if one["name"] == name]
    return found[0] if found else {"state": "", "error": "", "message": "", "remedy": ""}


def assert_stops(group, region, name, error, *said):
    """The stream stands, and everything that tells about it names the error, what and where it is, and the mend."""
    agent = group[region].agent
    group.expect_errors(error)
    wait_until(lambda: stream(agent, name)["error"] == error and stream(agent, name)["state"] == "stopped",
               lambda: f"stream {name} of {region} to stop with {error}; it is {stream(agent, name)}")
    wait_until(lambda: agent.metric("pgduet_stream_stopped", stream=name, error=error) == 1, "the metric")
    assert agent.metric("pgduet_stream_errors_total", stream=name, error=error) >= 1
    told = stream(agent, name)
    assert told["remedy"], told
    for text in said:
        assert text in told["message"] + told["remedy"], (text, told)
    lines = [line for found, line in agent.error_lines() if found == error]
    assert lines and all('remedy="' in line and 'message="' in line for line in lines), lines
    wait_until(lambda: agent.http("/readyz")[0] == 503, "readiness to go")
    assert agent.http("/livez")[0] == 200
    wait_until(lambda: error in group[region].pgduet("status", check=False).stdout, "the status command to name the error")


def assert_flows(group, writer, reader, number):
    """A row written at one region arrives at the other: that stream goes on."""
    group[writer].sql("INSERT INTO item VALUES (%s, 'flows')", (number,))
    wait_until(lambda: group[reader].sql("SELECT 1 FROM item WHERE id = %s", (number,)), f"a row of {writer} at {reader}")


def assert_resumes(group):
    """After the mend, without a restart: everything arrives, and the metric says so."""
    group.assert_converged()
    for region in group:
        wait_until(lambda: region.agent.metric("pgduet_stream_stopped") == 0, "no stopped stream in the metrics")
        region.agent.wait_ready()


def findings(region, command="check"):
    """What check or init says: its whole output. Neither may succeed."""
    done = region.pgduet(command, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout + done.stderr
