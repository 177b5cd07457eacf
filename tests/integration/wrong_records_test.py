"""Bytes that somebody else wrote to the topic."""

import pytest

from harness.group import Group
from harness.raw_record import packed, transactions
from harness.streams import SCHEMA, TABLES, assert_stops
from harness.waiting import wait_until, wait_until_equal


@pytest.fixture(scope="module")
def topic_of_a(workspace, link_host, shared_broker):
    """A group of which only b runs; `a` has published a few transactions and does not run any more."""
    group = Group(workspace, link_host, ["a", "b"], TABLES, schema=SCHEMA, transport="kafka", broker=shared_broker).start()
    for number in range(3):
        group["a"].sql("INSERT INTO item VALUES (%s, 'sound')", (number,))
    group.wait_converged()
    group.stop_agents()
    group.sound_records = [message.value() for message in shared_broker.consume(group.topics["a"])]
    yield group
    group.close(check=False)


class TestRecords:
    """Bytes that somebody else wrote to the topic: the stream stops before them, and nothing of them takes effect."""

    @staticmethod
    def next_record(group):
        last = transactions(_Bytes(value) for value in group.sound_records)[-1]
        return last.changed(sequence=last.sequence + 1, commit_lsn=last.commit_lsn + 80,
                            through_lsn=last.through_lsn + 80, commit_time=last.commit_time + 1000,
                            body=last.body.replace(b"sound", b"wrong"))

    CHANGES = {
        "of another group": (lambda r: r.changed(group=b"other").encode(), "foreign_group", "other"),
        "of another region": (lambda r: r.changed(origin=b"b").encode(), "foreign_origin", "found=b"),
        "of a region that is not in the group": (lambda r: r.changed(origin=b"mallory").encode(), "foreign_origin", "mallory"),
        "of another set": (lambda r: r.changed(set=b"side").encode(), "foreign_origin", "side"),
        "of another rank": (lambda r: r.changed(rank=1).encode(), "foreign_origin", "order of the regions"),
        "of another incarnation": (lambda r: r.changed(incarnation=r.incarnation ^ 1).encode(), "incarnation_changed", "found="),
        "of a later version": (lambda r: r.changed(protocol=4).encode(), "unsupported_protocol", "Upgrade"),
        "with a flipped bit": (lambda r: _flipped(r.encode()), "corrupt_record", "checksum"),
        "that is a truncated pack": (lambda r: packed([r.encode(), r.encode()])[:-7], "corrupt_record", "pack"),
        "that is truncated": (lambda r: r.encode()[:-7], "corrupt_record", "truncated"),
        "that is empty": (lambda r: b"", "corrupt_record", "offset="),
        "that is no record": (lambda r: b'{"payload": "hello"}', "corrupt_record", "offset="),
        "that is too large": (lambda r: r.changed(body=b"x" * 1_000_000).encode(), "oversized_record", "max="),
        "with a body that is none": (lambda r: r.changed(body=b"\xff" * 40).encode(), "invalid_record", "offset="),
        "with other policies": (lambda r: r.changed(policy_hash=r.policy_hash ^ 1).encode(), "policy_mismatch", "policies"),
        "that leaves a number out": (lambda r: r.changed(sequence=r.sequence + 1).encode(), "sequence_gap", "expected="),
        "with a number that was used": (lambda r: r.changed(sequence=r.sequence - 1).encode(), "invalid_record", "sequence="),
        "that goes back in the log": (lambda r: r.changed(commit_lsn=1000).encode(), "invalid_record", "lsn=")}

    @pytest.mark.parametrize("what", CHANGES)
    def test_a_record_stops_the_stream(self, topic_of_a, shared_broker, what):
        change, error, said = self.CHANGES[what]
        group, reader = topic_of_a, topic_of_a["b"]
        self.begin_anew(group, shared_broker)
        shared_broker.produce(group.topics["a"], [change(self.next_record(group)), self.next_record(group).encode()])
        reader.agent.start(wait=False)
        try:
            assert_stops(group, "b", "a", error, said, "offset=")
            assert reader.rows("item", "id, name") == [(number, "sound") for number in range(3)]
            self.assert_capture_goes_on(group, shared_broker)
        finally:
            reader.agent.stop()

    def test_a_sound_forgery_shows_that_these_tests_can_see(self, topic_of_a, shared_broker):
        """The record that all the others were made from is taken: what stopped them was the change."""
        group, reader = topic_of_a, topic_of_a["b"]
        self.begin_anew(group, shared_broker)
        shared_broker.produce(group.topics["a"], [self.next_record(group).encode()])
        reader.agent.start()
        wait_until_equal(lambda: reader.sql("SELECT sequence FROM pgduet.applied"),
                         [(self.next_record(group).sequence,)], "the next record to be applied")
        reader.agent.stop()

    def test_a_corrupt_end_of_its_own_topic_stops_capture(self, topic_of_a, shared_broker):
        group = topic_of_a
        self.begin_anew(group, shared_broker)
        shared_broker.produce(group.topics["a"], [_flipped(self.next_record(group).encode())])
        group["a"].agent.start(wait=False)
        try:
            assert_stops(group, "a", "capture", "corrupt_record", group.topics["a"])
        finally:
            group["a"].agent.stop()

    def test_a_topic_of_another_group_stops_capture(self, topic_of_a, shared_broker):
        group = topic_of_a
        self.begin_anew(group, shared_broker)
        shared_broker.produce(group.topics["a"], [self.next_record(group).changed(group=b"other").encode()])
        group["a"].agent.start(wait=False)
        try:
            assert_stops(group, "a", "capture", "foreign_group", "other")
        finally:
            group["a"].agent.stop()

    @staticmethod
    def begin_anew(group, broker):
        """b does not know that it has applied anything (a delete of the rows would be a local write, newer than a's), and a's topic
        holds what a has written."""
        topic = group.topics["a"]
        group["b"].sql("TRUNCATE pgduet.progress, pgduet.heartbeat, pgduet.conflict")
        group["b"].agent.log_path += "+"  # a log of its own for each
        broker.delete_topic(topic)
        broker.create_topic(topic, 1, {"retention.ms": "604800000", "max.message.bytes": "2097152"})
        broker.produce(topic, group.sound_records)

    @staticmethod
    def assert_capture_goes_on(group, broker):
        before = broker.end_offset(group.topics["b"])
        group["b"].sql("UPDATE pgduet_test.marker SET number = number WHERE region = 'b'")
        wait_until(lambda: transactions(broker.consume(group.topics["b"], start=before)), "b to go on publishing")


class _Bytes:
    """A message as far as transactions() looks at it."""

    def __init__(self, data):
        self._data = data

    def value(self):
        return self._data


def _flipped(data):
    middle = len(data) - 20  # in the body
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1:]
