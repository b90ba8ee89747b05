"""More partitions with more in them than fits into one answer, or batches larger than a client's
share for a partition: every stock consumer, with its defaults, gets all."""

import asyncio
import os
import subprocess

import pytest
from aiokafka import AIOKafkaConsumer
from conftest import ROOT, Node
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from kafka import KafkaConsumer
from test_java import JAVA, jars

PARTITIONS = 90


def with_confluent(address, topic, count):
    consumer = Consumer({
        "bootstrap.servers": address, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found = []
    while len(found) < count and (message := consumer.poll(20)):
        assert not message.error()
        found.append((message.partition(), message.offset()))
    consumer.close()
    return found


def with_kafka_python(address, topic, count):
    consumer = KafkaConsumer(
        topic, bootstrap_servers=address, auto_offset_reset="earliest", consumer_timeout_ms=20000)
    found = []
    while len(found) < count:
        message = next(consumer)
        found.append((message.partition, message.offset))
    consumer.close()
    return found


def with_aiokafka(address, topic, count):
    async def run():
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=address, auto_offset_reset="earliest")
        await consumer.start()
        found = []
        while len(found) < count:
            message = await asyncio.wait_for(consumer.getone(), 20)
            found.append((message.partition, message.offset))
        await consumer.stop()
        return found

    return asyncio.run(run())


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A node with the two topics."""
    node = Node(tmp_path_factory.mktemp("wide") / "data")
    admin = AdminClient({"bootstrap.servers": node.address})
    large = NewTopic("large", 3, 1, config={"max.message.bytes": "5000000"})
    for made in admin.create_topics([NewTopic("wide", PARTITIONS, 1), large]).values():
        made.result(20)
    noise = os.urandom(2_000_000)
    producer = Producer({"bootstrap.servers": node.address, "message.max.bytes": 5_000_000})
    for partition in range(PARTITIONS):
        producer.produce("wide", noise[:700_000], partition=partition)
    for number in range(30):
        producer.produce("large", noise, partition=number % 3)
    assert producer.flush(60) == 0
    yield node
    assert node.stop() == 0


TOPICS = {
    "wide": sorted((partition, 0) for partition in range(PARTITIONS)),
    "large": sorted((number % 3, number // 3) for number in range(30)),
}


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("client", [with_confluent, with_kafka_python, with_aiokafka])
def test_all_is_read(wide, client, topic):
    assert sorted(client(wide.address, topic, len(TOPICS[topic]))) == TOPICS[topic]


@pytest.mark.parametrize("topic", TOPICS)
def test_all_is_read_by_java(wide, topic):
    if not (found := jars()):
        pytest.skip("there are no jars of the Java client; MARTLET_KAFKA_JARS may name their folder")
    drain = ROOT / "bench" / "clients" / "Drain.java"
    count = str(len(TOPICS[topic]))
    done = subprocess.run(
        [*JAVA, "-cp", ":".join(found), drain, wide.address, topic, count],
        capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-3000:]
