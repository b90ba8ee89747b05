"""Writes records with librdkafka, whose calls come from Python: PRODUCE BOOTSTRAP TOPIC RECORDS
BYTES. Prints records per second, from the first call to the last acknowledgement."""

import os
import sys
import time

from confluent_kafka import Producer

bootstrap, topic, records, size = *sys.argv[1:3], *map(int, sys.argv[3:5])
# Distinct random payloads: parts of a few megabytes of noise.
noise = os.urandom(8 << 20)
payloads = [noise[at : at + size] for at in range(0, len(noise) - size, 997)]
failed = []
producer = Producer(
    {
        "bootstrap.servers": bootstrap,
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": 5,
        "batch.size": 65536,
        "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": 256 << 10,
        "on_delivery": lambda error, _: error and failed.append(error),
    }
)
start = time.monotonic()
for number in range(records):
    payload = payloads[number % len(payloads)]
    while True:
        try:
            producer.produce(topic, payload)
            break
        except BufferError:
            producer.poll(0.01)
    if number % 1000 == 0:
        producer.poll(0)
producer.flush(120)
if failed or len(producer):
    sys.exit(f"{len(failed)} failed, {len(producer)} open: {failed[:1]}")
print(f"{records / (time.monotonic() - start):.0f} records/s")
