"""Writes to all partitions with librdkafka's idempotent producer, each every 10 ms, and says how long
each went without an acknowledgement:

  gaps_librdkafka.py BOOTSTRAP TOPIC PARTITIONS [SETTING=VALUE ...]

Prints `gap PARTITION FROM TO` for every one of more than 15 ms, `oldest TIME` ten times a second (until when
every partition has acknowledgements), and `failed REASON` for a record that is given up; times are
CLOCK_MONOTONIC's nanoseconds. Ends with its standard input."""

import sys
import threading
import time

from confluent_kafka import Producer

PACE = 0.010
NOTABLE = 15_000_000


def main():
    bootstrap, topic, partitions = sys.argv[1], sys.argv[2], int(sys.argv[3])
    settings = dict(word.split("=", 1) for word in sys.argv[4:])
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, **settings})
    acknowledged = [0] * partitions
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()

    def delivered(error, message):
        now = time.monotonic_ns()
        if error:
            return print("failed", str(error).replace("\n", " "), flush=True)
        partition = message.partition()
        if 0 < acknowledged[partition] < now - NOTABLE:
            print("gap", partition, acknowledged[partition], now, flush=True)
        acknowledged[partition] = now

    value = b"x" * 100
    due = told = time.monotonic()
    while not ended.is_set():
        while (now := time.monotonic()) < due:
            producer.poll(due - now)
        due += PACE
        for partition in range(partitions):
            try:
                producer.produce(topic, value, partition=partition, on_delivery=delivered)
            except BufferError:
                producer.poll(0.001)
        if now - told >= 0.1:
            told = now
            print("oldest", min(acknowledged), flush=True)
    producer.flush(10)


main()
