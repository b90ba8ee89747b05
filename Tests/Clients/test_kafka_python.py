"""kafka-python, a client written in Python."""

import pytest
from conftest import CODECS, records
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic


@pytest.mark.parametrize("codec", CODECS)
def test_round_trip(node, topic, codec):
    producer = KafkaProducer(
        bootstrap_servers=node.address, compression_type=None if codec == "none" else codec,
        linger_ms=5)
    sent = records()
    results = [
        producer.send(
            topic, partition=0, key=r["key"], value=r["value"], headers=r["headers"],
            timestamp_ms=r["timestamp"]) for r in sent]
    assert [f.get(20).offset for f in results] == list(range(len(sent)))
    producer.close()
    consumer = KafkaConsumer(
        topic, bootstrap_servers=node.address, group_id=f"g-{topic}",
        auto_offset_reset="earliest", consumer_timeout_ms=15000)
    found = []
    for message in consumer:
        found.append({
            "key": message.key, "value": message.value, "headers": list(message.headers),
            "timestamp": message.timestamp})
        if len(found) == len(sent):
            break
    consumer.commit()
    assert consumer.committed(TopicPartition(topic, 0)) == len(sent)
    consumer.close()
    assert found == sent


def test_offsets_by_time_and_seek(node, topic):
    producer = KafkaProducer(bootstrap_servers=node.address)
    for n in range(20):
        producer.send(topic, str(n).encode(), partition=0, timestamp_ms=5_000 + n * 100)
    producer.flush()
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=node.address, consumer_timeout_ms=10000)
    partition = TopicPartition(topic, 0)
    found = consumer.offsets_for_times({partition: 5_950})[partition]
    assert (found.offset, found.timestamp) == (10, 6_000)
    assert consumer.beginning_offsets([partition])[partition] == 0
    assert consumer.end_offsets([partition])[partition] == 20
    consumer.assign([partition])
    consumer.seek(partition, 17)
    assert [int(next(consumer).value) for _ in range(3)] == [17, 18, 19]
    consumer.close()


def test_administration(node, topic):
    admin = KafkaAdminClient(bootstrap_servers=node.address)
    admin.create_topics([NewTopic(topic, num_partitions=5, replication_factor=1)])
    assert topic in admin.list_topics()
    admin.delete_topics([topic])
    assert topic not in admin.list_topics()
    admin.close()
