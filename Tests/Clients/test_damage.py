"""A log that damage has cut short: people are told, and no consumer goes on as if nothing were missing."""

import urllib.error
import urllib.request

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from conftest import Node, until

MARKER = b"the record that is hit"


def page(node, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{node.http}{path}", timeout=10) as answer:
        return answer.read().decode()


def damage(directory):
    """Changes a byte of the marked record in every file that has it."""
    hits = 0
    for path in directory.rglob("*"):
        if not path.is_file():
            continue
        with open(path, "r+b") as file:
            data = file.read()
            at = data.find(MARKER)
            while at >= 0:
                file.seek(at)
                file.write(bytes([data[at] ^ 1]))
                hits += 1
                at = data.find(MARKER, at + 1)
    assert hits > 0, "the record is nowhere"


def fill(node):
    admin = AdminClient({"bootstrap.servers": node.address})
    for future in admin.create_topics([NewTopic("orders", 1, 1)]).values():
        future.result()
    producer = Producer({"bootstrap.servers": node.address, "linger.ms": 0})
    for value in [b"first", MARKER, b"third"]:
        producer.produce("orders", value)
        assert producer.flush(20) == 0


def consumer(node):
    return Consumer({
        "bootstrap.servers": node.address, "group.id": "g", "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    })


def assert_told(node):
    with pytest.raises(urllib.error.HTTPError) as error:
        page(node, "/health")
    assert error.value.code == 503
    text = error.value.read().decode()
    assert text.startswith("1 log has failed") and "topic 'orders', partition 0" in text, text
    assert 'martlet_log_failed{topic="orders",partition="0"} 1' in page(node, "/metrics")
    assert node.stop() == 0
    said = [line for line in node.lines + node.process.stderr.readlines() if "takes no more records" in line]
    assert len(said) == 1 and "topic 'orders', partition 0" in said[0], said


def test_a_damaged_journal_is_said_and_nobody_is_reset(tmp_path):
    node = Node(tmp_path / "data")
    fill(node)
    assert page(node, "/health") == "ok\n"
    reader = consumer(node)
    reader.assign([TopicPartition("orders", 0, 0)])
    assert [until(lambda: reader.poll(1)).value() for _ in range(3)] == [b"first", MARKER, b"third"]
    node.kill()
    damage(tmp_path / "data" / "journal")
    node.start()
    until(lambda: node.process.poll() is None and 'log_failed{' in page(node, "/metrics"))
    # It waits at offset 3; out of range, it would begin again with what it had.
    for _ in range(20):
        message = reader.poll(0.2)
        assert message is None or message.error() is not None, message.value()
    reader.close()
    late = consumer(node)
    late.assign([TopicPartition("orders", 0, 0)])
    assert until(lambda: late.poll(1)).value() == b"first"
    with pytest.raises(KafkaException):
        late.get_watermark_offsets(TopicPartition("orders", 0), timeout=5)
    late.close()
    assert_told(node)


def test_a_damaged_segment_is_said_when_it_is_read(tmp_path):
    node = Node(tmp_path / "data")
    fill(node)
    assert node.stop() == 0
    damage(tmp_path / "data" / "logs")
    node.start()
    assert page(node, "/health") == "ok\n"
    reader = consumer(node)
    reader.assign([TopicPartition("orders", 0, 0)])

    def is_found():
        message = reader.poll(0.2)
        assert message is None or message.error() is not None, message.value()
        return "log_failed{" in page(node, "/metrics")

    until(is_found)
    reader.close()
    assert_told(node)
