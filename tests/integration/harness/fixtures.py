"""Fixtures. What they give is described in harness/__init__.py."""

import os
import random

import pytest

from harness import processes
from harness.group import Group
from harness.kafka import KafkaBroker
from harness.link import LinkHost
from harness.workspace import Workspace

TRANSPORTS = ("kafka", "direct")


@pytest.fixture(scope="session")
def workspace():
    made = Workspace()
    yield made
    processes.kill_all()
    made.remove()


@pytest.fixture(scope="session")
def link_host():
    with LinkHost() as host:
        yield host


@pytest.fixture(scope="session")
def shared_broker(workspace):
    """One broker for all tests that do not hurt it. Started when the first test asks."""
    broker = KafkaBroker(workspace, "kafka")
    broker.start()
    yield broker
    broker.close()


@pytest.fixture
def own_broker(workspace):
    """A broker of the test's own: stop it, kill it, reconfigure it."""
    broker = KafkaBroker(workspace, "own-kafka")
    broker.start()
    yield broker
    broker.close()


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    return request.param


@pytest.fixture
def group_on(request, workspace, link_host):
    """group_on("kafka", ["a", "b"], tables=[...], ...): a started Group. start=False: nothing is started yet."""
    yield from _group_maker(request, workspace, link_host, failed=lambda: getattr(request.node, "failed", False))


@pytest.fixture(scope="module")
def module_group(request, workspace, link_host):
    """group_on for a fixture of module scope: one group for many tests, which must not disturb each other."""
    before = request.session.testsfailed
    yield from _group_maker(request, workspace, link_host, failed=lambda: request.session.testsfailed > before)


@pytest.fixture(scope="class")
def group_of_class(request, workspace, link_host):
    """The same for the tests of a class."""
    before = request.session.testsfailed
    yield from _group_maker(request, workspace, link_host, failed=lambda: request.session.testsfailed > before)


def _group_maker(request, workspace, link_host, failed):
    groups = []

    def make(transport, regions=("a", "b"), tables=(), broker=None, start=True, **kwargs):
        if transport == "kafka" and broker is None:
            broker = request.getfixturevalue("shared_broker")
        group = Group(workspace, link_host, regions, tables, transport=transport, broker=broker, **kwargs)
        groups.append(group)
        return group.start() if start else group

    yield make
    check = not failed()
    for group in groups:
        group.close(check=check)


@pytest.fixture
def make_group(group_on, transport):
    """group_on with the transport filled in: the test runs once for each."""
    return lambda *args, **kwargs: group_on(transport, *args, **kwargs)


@pytest.fixture
def seeded_random(request):
    """Random numbers that a failure can be repeated with: PGDUET_SEED."""
    seed = int(os.environ.get("PGDUET_SEED", random.SystemRandom().randrange(1 << 32)))
    request.node.add_report_section("setup", "seed", f"repeat with PGDUET_SEED={seed}")
    print(f"PGDUET_SEED={seed}")
    return random.Random(seed)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item):
    """A failure shows the end of every server's log."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        item.failed = True
        for path, name in {child.log_path: child.name for child in processes.live()}.items():
            report.sections.append((f"log of {name}: {path}", processes.tail(path)))
