"""What a broker compiles in its first seconds, before anything is measured: users' brokers run for months."""

import threading

from confluent_kafka import Consumer, Producer, TopicPartition

_TOPIC = "bench.warm-up"
_MESSAGES = ((10_000, 300), (1000, 64 * 1024))  # how many of how many bytes: single transactions, and a backlog's
_PATIENCE = 120


def warm_up(broker, rounds):
    """After the fifth round one costs no less than the one before it: a third of the first."""
    for _ in range(rounds):
        _exchange(broker)


def _exchange(broker):
    """Each message is a request of its own, and is read while they are written."""
    broker.create_topic(_TOPIC)
    reader = threading.Thread(target=_read, args=(broker.brokers, sum(count for count, _ in _MESSAGES)))
    reader.start()
    producer = Producer({"bootstrap.servers": broker.brokers, "acks": "all", "enable.idempotence": True, "linger.ms": 0,
                         "batch.num.messages": 1, "socket.nagle.disable": True, "queue.buffering.max.kbytes": 1_000_000})
    try:
        for count, size in _MESSAGES:
            for _ in range(count):
                producer.produce(_TOPIC, bytes(size), partition=0)
                producer.poll(0)
        producer.flush(_PATIENCE)
    finally:
        reader.join()
        broker.delete_topic(_TOPIC)


def _read(brokers, wanted):
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "bench-warm-up", "enable.auto.commit": False})
    consumer.assign([TopicPartition(_TOPIC, 0, 0)])
    try:
        while wanted > 0:
            message = consumer.poll(_PATIENCE)
            if message is None:
                raise RuntimeError("the broker gives nothing more while it is warmed up")
            wanted -= not message.error()
    finally:
        consumer.close()
