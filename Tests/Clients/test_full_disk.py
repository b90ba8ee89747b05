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


class Filler:
    """Takes what is left of a file system, and gives it back."""

    def __init__(self, path, name="filler"):
        self.path = path / name
        with open(self.path, "wb", buffering=0) as file:
            while True:
                try:
                    if not file.write(bytes(4096)):
                        break
                except OSError:
                    break

    def free(self):
        self.path.unlink()


def end(directory):
    """What a node that does not start says, and its exit status."""
    done = subprocess.run(
        [BINARY, "serve", "--data", str(directory), "--listen", "127.0.0.1:0"],
        capture_output=True, text=True, timeout=20)
    return done.returncode, done.stderr


def test_a_first_start_on_a_full_disk_says_what_is_missing_and_the_next_one_works(small):
    filler = Filler(small)
    for _ in range(2):
        status, said = end(small / "data")
        assert status == 1
        assert len(said.splitlines()) == 1, said
        assert f"The disk of {small / 'data'} is full: 0 MiB are free, and up to 65 MiB are needed" in said
        assert "nothing is lost" in said
    filler.free()
    node = Node(small / "data")
    try:
        assert fill(node.address, "new", 3) == (None, 3)
    finally:
        node.stop()


def test_a_killed_node_starts_on_a_full_disk_and_is_read_from(small):
    node = Node(small / "data")
    try:
        admin = AdminClient({"bootstrap.servers": node.address})
        admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(20)
        assert fill(node.address, "kept", 10) == (None, 10)
        until(lambda: (small / "data" / "reserve").exists())
        node.kill()
        filler = Filler(small)
        # With the room that was kept for this, which is there for the next start, too.
        for _ in range(2):
            node.start()
            until(lambda: "the disk is full" in health(node))
            consumer = Consumer({"bootstrap.servers": node.address, "group.id": "g", "enable.auto.commit": False})
            consumer.assign([TopicPartition("kept", 0, 0)])
            assert len(consumer.consume(10, 20)) == 10
            consumer.close()
            assert fill(node.address, "kept", 1)[0] is not None
            node.kill()
        # Without any.
        more = Filler(small, "more")
        status, said = end(small / "data")
        assert status == 1
        assert len(said.splitlines()) == 1, said
        assert f"The disk of {small / 'data'} is full: 0 MiB are free, and up to " in said
        more.free()
        filler.free()
        node.start()
        consumer = Consumer({"bootstrap.servers": node.address, "group.id": "g", "enable.auto.commit": False})
        consumer.assign([TopicPartition("kept", 0, 0)])
        assert len(consumer.consume(10, 20)) == 10
        consumer.close()
        until(lambda: health(node) == "ok\n")
        assert fill(node.address, "kept", 2) == (None, 2)
    finally:
        node.stop()
