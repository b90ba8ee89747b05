"""confluent-kafka, with the newest librdkafka."""

import threading
import time

import pytest
from conftest import CODECS, Node, records, until
from confluent_kafka import (
    Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition)
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic,
    OffsetSpec, ResourceType)


def consumer(node, group, **more):
    return Consumer({
        "bootstrap.servers": node.address, "group.id": group, "auto.offset.reset": "earliest",
        "session.timeout.ms": 6000, "heartbeat.interval.ms": 500, **more})


def poll_all(consumer, count, seconds=20):
    found = []

    def poll():
        for message in consumer.consume(1000, 0.1):
            assert message.error() is None, message.error()
            found.append(message)
        return len(found) >= count

    until(poll, seconds)
    return found


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("idempotent", [False, True])
def test_round_trip(node, topic, codec, idempotent):
    producer = Producer({
        "bootstrap.servers": node.address, "compression.type": codec, "linger.ms": 5,
        "enable.idempotence": idempotent})
    sent = records()
    delivered = []
    for record in sent:
        producer.produce(
            topic, partition=1, on_delivery=lambda error, m: delivered.append((error, m.offset())),
            **record)
    assert producer.flush(20) == 0
    assert delivered == [(None, n) for n in range(len(sent))]

    reader = consumer(node, f"g-{topic}")
    reader.assign([TopicPartition(topic, 1, 0)])
    found = poll_all(reader, len(sent))
    reader.close()
    assert [
        {"key": m.key(), "value": m.value(), "headers": m.headers() or [],
         "timestamp": m.timestamp()[1]} for m in found
    ] == sent
    assert [m.offset() for m in found] == list(range(len(sent)))


def test_large_records(node, topic):
    producer = Producer({"bootstrap.servers": node.address, "message.max.bytes": 2_000_000})
    errors = []
    values = [bytes([n]) * 900_000 for n in range(5)]
    for value in values:
        producer.produce(topic, value, partition=0, on_delivery=lambda e, m: errors.append(e))
    producer.produce(topic, b"z" * 1_500_000, partition=0,
                     on_delivery=lambda e, m: errors.append(e.code()))
    producer.flush(20)
    assert errors == [None] * 5 + [KafkaError.MSG_SIZE_TOO_LARGE]
    reader = consumer(node, f"g-{topic}", **{"fetch.message.max.bytes": 100_000})
    reader.assign([TopicPartition(topic, 0, 0)])
    assert [m.value() for m in poll_all(reader, 5)] == values
    reader.close()


def test_group_of_three_one_leaves_and_one_joins(node, topic):
    admin = AdminClient({"bootstrap.servers": node.address})
    admin.create_topics([NewTopic(topic, 6, 1)])[topic].result()
    group = f"g-{topic}"
    members = [consumer(node, group) for _ in range(3)]
    for member in members:
        member.subscribe([topic])

    def balanced(members):
        for member in members:
            member.poll(0.05)
        sizes = [len(member.assignment()) for member in members]
        return sum(sizes) == 6 and max(sizes) == 6 // len(members)

    until(lambda: balanced(members), 40)
    members.pop().close()
    until(lambda: balanced(members[:1] + members[1:]), 40)
    members.append(consumer(node, group))
    members[-1].subscribe([topic])
    until(lambda: balanced(members), 40)

    producer = Producer({"bootstrap.servers": node.address})
    for n in range(300):
        producer.produce(topic, str(n), key=str(n))
    assert producer.flush(20) == 0
    seen = []

    def drain():
        for member in members:
            message = member.poll(0.02)
            if message is not None and not message.error():
                seen.append(int(message.value()))
        return len(seen) >= 300

    until(drain, 40)
    assert sorted(seen) == list(range(300))
    for member in members:
        member.close()
    # All have committed on the way out: nothing is read twice.
    late = consumer(node, group)
    late.subscribe([topic])
    committed = late.committed([TopicPartition(topic, p) for p in range(6)], timeout=10)
    assert sum(p.offset for p in committed if p.offset > 0) == 300
    late.close()


def test_idempotence_over_a_killed_broker(tmp_path, topic):
    """Every record once and in order, though the broker is killed again and again meanwhile."""
    node = Node(tmp_path / "data")
    producer = Producer({
        "bootstrap.servers": node.address, "enable.idempotence": True, "linger.ms": 1,
        "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100, "retry.backoff.ms": 20,
        "socket.timeout.ms": 3000})
    delivered, failures = [], []
    enough = threading.Event()

    def report(error, message):
        (failures if error else delivered).append(error or message.offset())

    def produce():
        n = 0
        while not enough.is_set():
            try:
                producer.produce(topic, str(n), partition=0, on_delivery=report)
                n += 1
            except BufferError:
                producer.poll(0.05)
            producer.poll(0.002 if n % 100 == 0 else 0)
        assert producer.flush(60) == 0

    worker = threading.Thread(target=produce)
    worker.start()
    for _ in range(6):
        # Each life of the broker acknowledges something, and dies with requests under way.
        before = len(delivered)
        until(lambda: len(delivered) > before + 500, 30)
        node.kill()
        node.start()
    enough.set()
    worker.join(90)
    assert not worker.is_alive() and failures == []
    total = len(delivered)
    assert delivered == list(range(total))
    reader = consumer(node, f"g-{topic}")
    reader.assign([TopicPartition(topic, 0, 0)])
    values = [int(m.value()) for m in poll_all(reader, total, 60)]
    assert values == list(range(total))
    assert reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=10) == (0, total)
    reader.close()
    assert node.stop() == 0


def test_offsets_by_time(node, topic):
    producer = Producer({"bootstrap.servers": node.address})
    for n in range(100):
        producer.produce(topic, str(n), partition=0, timestamp=1_000_000 + n * 10)
        if n % 10 == 0:
            producer.flush(10)
    producer.flush(10)
    reader = consumer(node, f"g-{topic}")
    for time, expected in [(0, 0), (1_000_000, 0), (1_000_001, 1), (1_000_495, 50), (1_000_990, 99)]:
        found = reader.offsets_for_times([TopicPartition(topic, 0, time)], timeout=10)
        assert found[0].offset == expected, time
    reader.close()
    admin = AdminClient({"bootstrap.servers": node.address})
    partition = TopicPartition(topic, 0)
    for spec, expected in [
            (OffsetSpec.latest(), 100), (OffsetSpec.earliest(), 0),
            (OffsetSpec.max_timestamp(), 99), (OffsetSpec.for_timestamp(1_000_500), 50)]:
        assert admin.list_offsets({partition: spec})[partition].result().offset == expected


def test_topic_administration(node, topic):
    admin = AdminClient({"bootstrap.servers": node.address})
    admin.create_topics([NewTopic(topic, 2, 1, config={"retention.ms": "1234567"})])[topic].result()
    with pytest.raises(KafkaException) as caught:
        admin.create_topics([NewTopic(topic, 2, 1)])[topic].result()
    assert caught.value.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
    resource = ConfigResource(ResourceType.TOPIC, topic)
    configs = admin.describe_configs([resource])[resource].result()
    assert configs["retention.ms"].value == "1234567" and configs["cleanup.policy"].value == "delete"
    resource.add_incremental_config(
        ConfigEntry("max.message.bytes", "5000", incremental_operation=AlterConfigOpType.SET))
    admin.incremental_alter_configs([resource])[resource].result()
    fresh = ConfigResource(ResourceType.TOPIC, topic)
    assert admin.describe_configs([fresh])[fresh].result()["max.message.bytes"].value == "5000"
    admin.create_partitions([NewPartitions(topic, 4)])[topic].result()
    until(lambda: len(admin.list_topics(timeout=10).topics[topic].partitions) == 4)
    admin.delete_topics([topic])[topic].result()
    until(lambda: topic not in admin.list_topics(timeout=10).topics)
    described = admin.describe_cluster().result()
    assert [n.id for n in described.nodes] == [1] and len(described.cluster_id) == 22


def test_delete_records_and_groups(node, topic):
    producer = Producer({"bootstrap.servers": node.address})
    for n in range(50):
        producer.produce(topic, str(n), partition=0)
    producer.flush(10)
    admin = AdminClient({"bootstrap.servers": node.address})
    low = admin.delete_records([TopicPartition(topic, 0, 20)])
    assert [f.result().low_watermark for f in low.values()] == [20]
    reader = consumer(node, f"g-{topic}")
    assert reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=10) == (20, 50)
    reader.subscribe([topic])
    assert [int(m.value()) for m in poll_all(reader, 30)] == list(range(20, 50))
    reader.commit(asynchronous=False)
    groups = admin.list_consumer_groups().result().valid
    assert f"g-{topic}" in [g.group_id for g in groups]
    group = admin.describe_consumer_groups([f"g-{topic}"])[f"g-{topic}"].result()
    assert group.state.name == "STABLE" and len(group.members) == 1
    reader.close()
    offsets = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(f"g-{topic}")])
    found = offsets[f"g-{topic}"].result().topic_partitions
    assert [(p.partition, p.offset) for p in found if p.partition == 0] == [(0, 50)]
    admin.delete_consumer_groups([f"g-{topic}"])[f"g-{topic}"].result()


def test_transactions_are_refused_in_words_and_soon(node, topic):
    """A transactional id is served, transactions are not: the client says so, and does not wait."""
    start = time.monotonic()
    producer = Producer({"bootstrap.servers": node.address, "transactional.id": topic})
    producer.init_transactions(20)
    producer.begin_transaction()
    delivered = []
    producer.produce(topic, b"v", on_delivery=lambda error, record: delivered.append(error))
    with pytest.raises(KafkaException) as refused:
        producer.commit_transaction(20)
    assert time.monotonic() - start < 10
    assert "UNSUPPORTED_VERSION" in str(refused.value) or "not supported" in str(refused.value), str(refused.value)
    producer.flush(10)
    assert delivered and delivered[0] is not None
