"""aiokafka, which speaks the oldest versions of the protocol."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from conftest import CODECS, records


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("idempotent", [False, True])
def test_round_trip(node, topic, codec, idempotent):
    async def run():
        producer = AIOKafkaProducer(
            bootstrap_servers=node.address, compression_type=None if codec == "none" else codec,
            enable_idempotence=idempotent)
        await producer.start()
        sent = records(60)
        offsets = []
        for r in sent:
            result = await producer.send_and_wait(
                topic, partition=2, key=r["key"], value=r["value"], headers=r["headers"],
                timestamp_ms=r["timestamp"])
            offsets.append(result.offset)
        await producer.stop()
        assert offsets == list(range(len(sent)))

        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=node.address, group_id=f"g-{topic}",
            auto_offset_reset="earliest")
        await consumer.start()
        found = []
        while len(found) < len(sent):
            message = await asyncio.wait_for(consumer.getone(), 20)
            found.append({
                "key": message.key, "value": message.value, "headers": list(message.headers),
                "timestamp": message.timestamp})
        await consumer.commit()
        assert await consumer.committed(TopicPartition(topic, 2)) == len(sent)
        await consumer.stop()
        assert found == sent

    asyncio.run(run())
