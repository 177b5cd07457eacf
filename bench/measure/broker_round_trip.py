"""The floor below which nothing that goes through this broker can be: one record of 200 bytes after another, produced with acks=all and read
by a consumer, open loop like the transactions. Both clients have the settings that pgduet's have."""

import struct
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition

from harness.waiting import wait_until

from .quantiles import spread

_TOPIC = "bench.round-trip"


def round_trip(broker, rate, seconds):
    broker.create_topic(_TOPIC)
    took, done = [], threading.Event()
    consumer = Consumer({"bootstrap.servers": broker.brokers, "group.id": "bench", "enable.auto.commit": False, "socket.nagle.disable": True})
    consumer.assign([TopicPartition(_TOPIC, 0, 0)])
    reader = threading.Thread(target=_read, args=(consumer, took, done))
    reader.start()
    producer = Producer({"bootstrap.servers": broker.brokers, "acks": "all", "enable.idempotence": True, "linger.ms": 0,
                         "socket.nagle.disable": True})
    try:
        warm = _write(producer, rate, 1)
        producer.flush(60)
        wait_until(lambda: len(took) >= warm, "the first records to arrive")
        took.clear()
        count = _write(producer, rate, seconds)
        producer.flush(60)
        wait_until(lambda: len(took) >= count, "the records to arrive")
    finally:
        done.set()
        reader.join()
        consumer.close()
        broker.delete_topic(_TOPIC)
    return {"rate": rate, "seconds": seconds, "count": count, **spread(took)}


def _write(producer, rate, seconds):
    started, count = time.monotonic(), int(rate * seconds)
    for number in range(count):
        wait = started + number / rate - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        producer.produce(_TOPIC, struct.pack("d", time.monotonic()) + bytes(192), partition=0)
        producer.poll(0)
    return count


def _read(consumer, took, done):
    while not done.is_set():
        message = consumer.poll(0.1)
        if message is not None and not message.error():
            took.append((time.monotonic() - struct.unpack_from("d", message.value())[0]) * 1000)
