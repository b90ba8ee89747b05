"""A disk that fills up: it is said, readers are served, and what is deleted makes room."""

import os
import subprocess
import urllib.request

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from conftest import BINARY, Node, until


@pytest.fixture
def small(tmp_path):
    """A file system of its own, of which the log's part is used up soon."""
    path = tmp_path / "small"
    path.mkdir()
    if os.getuid() != 0:
        pytest.skip("mounting needs root")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=420m", "tmpfs", path], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("this machine mounts nothing")
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


def health(node):
    with urllib.request.urlopen(f"http://127.0.0.1:{node.http}/health", timeout=10) as answer:
        return answer.read().decode()


def fill(address, topic, megabytes):
    """Produces until it is refused; the error, and how many records are there."""
    refused = []
    taken = []
    producer = Producer({"bootstrap.servers": address, "message.timeout.ms": 3000, "linger.ms": 5})
    value = os.urandom(900_000)

    def done(error, record):
        (refused if error else taken).append(error or record)

    for _ in range(megabytes):
        producer.produce(topic, value, on_delivery=done)
        producer.flush(10)
        if refused:
            break
    return refused[0].code() if refused else None, len(taken)


def test_a_full_disk_is_said_and_a_deleted_topic_makes_room(small):
    node = Node(small / "data")
    said = lambda: "".join(node.process.stderr.readlines() or [])
    try:
        admin = AdminClient({"bootstrap.servers": node.address})
        for future in admin.create_topics([NewTopic("big", 1, 1), NewTopic("other", 1, 1)]).values():
            future.result(20)
        assert health(node) == "ok\n"
        error, count = fill(node.address, "big", 600)
        assert error in (KafkaError._MSG_TIMED_OUT, KafkaError.KAFKA_STORAGE_ERROR)
        assert "the disk is full" in health(node)
        lines = said()
        assert lines.count("the disk is full") == 1, lines
        assert "delete topics" in lines
        # Who writes from the command line hears why nothing happens.
        writer = subprocess.Popen(
            [BINARY, "produce", "big", "--broker", node.address], stdin=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        writer.stdin.write("one\n")
        writer.stdin.close()
        assert "refused with KAFKA_STORAGE_ERROR" in writer.stderr.readline()
        writer.kill()
        writer.wait()
        # Readers are served.
        consumer = Consumer({"bootstrap.servers": node.address, "group.id": "g", "enable.auto.commit": False})
        consumer.assign([TopicPartition("big", 0, count - 3)])
        assert consumer.poll(20).offset() == count - 3
        consumer.close()
        admin.delete_topics(["big"])["big"].result(20)
        until(lambda: health(node) == "ok\n")
        assert fill(node.address, "other", 20) == (None, 20)
        until(lambda: "room again" in (said() or "room again"))
        # A restart knows that the topic is gone.
        node.kill()
        node.start()
        assert set(AdminClient({"bootstrap.servers": node.address}).list_topics(timeout=20).topics) >= {"other"}
        assert "big" not in AdminClient({"bootstrap.servers": node.address}).list_topics(timeout=20).topics
        assert fill(node.address, "other", 5) == (None, 5)
    finally:
        node.stop()
