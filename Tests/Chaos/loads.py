"""Clients under test, a process each: python loads.py ROLE SPEC, where SPEC is JSON.

Each notes what it does and sees in a history of its own, until SIGTERM; then it brings what it has begun to an end. An
operation of which nothing is known in the end is noted as that.
"""

import ctypes
import json
import random
import signal
import sys
import time
import zlib

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from history import VALUES_PER_PROCESS, History, payload, seen
from wire import Connection, Refused

NETWORK = {
    "socket.timeout.ms": 10000, "socket.connection.setup.timeout.ms": 2000, "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 500, "retry.backoff.ms": 50, "topic.metadata.refresh.interval.ms": 2000,
    "topic.metadata.refresh.fast.interval.ms": 100,
}


class Load:
    def __init__(self, spec):
        self.spec = spec
        self.history = History(spec["history"])
        self.process = spec["process"]
        self.random = random.Random(spec["seed"])
        self.operation = 0
        self.stops = False
        # Of the librdkafka instances of this process, each its own client.
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stops", True))
        # The one who started it is gone: so is this.
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)

    @property
    def partitions(self):
        return range(self.spec["partitions"])

    def settings(self, **more):
        return {"bootstrap.servers": self.spec["servers"], **NETWORK, **more}

    def begin(self, kind, **fields):
        self.operation += 1
        self.history.note(self.process, kind, op=self.operation, **fields)
        return self.operation

    def end(self, kind, operation, **fields):
        self.history.note(self.process, kind, op=operation, **fields)

    def count(self, acknowledged):
        """For whoever waits for things to go on."""
        print(acknowledged, flush=True)

    def failed(self, error):
        """A code that the broker has sent; the client's own are negative, but for the one without a meaning."""
        if error.code() > 0 or error.code() == -1:
            self.history.note(self.process, "error", code=error.code())


class Writer(Load):
    """A producer that counts its values up; idempotent, or not. One that has failed for good is followed by another."""

    def run(self):
        acknowledged = 0
        first = self.process
        while not self.stops:
            acknowledged += self.instance(acknowledged)
            self.process += 1
            assert self.process < first + 1000

    def instance(self, before):
        spec = self.spec
        producer = Producer(self.settings(**{
            "enable.idempotence": spec["idempotent"], "acks": "all", "linger.ms": self.random.choice([0, 5, 20]),
            "message.timeout.ms": spec["timeout"] * 1000, "request.timeout.ms": 5000, "retries": 1000000,
            "compression.type": self.random.choice(["none", "lz4", "zstd"]), "sticky.partitioning.linger.ms": 0,
            "queue.buffering.max.messages": 100000,
        }))
        open_ = {}
        acknowledged = 0
        fatal = False

        def delivered(value, error, message):
            nonlocal acknowledged, fatal
            open_.pop(value)
            if error is None:
                acknowledged += 1
                self.end("produced", value, outcome="ok", offset=message.offset())
                return
            self.failed(error)
            fatal |= error.fatal()
            # Purged from the queue: never sent. Of any other nobody knows.
            self.end("produced", value, outcome="failed" if error.code() == KafkaError._PURGE_QUEUE else "unknown")

        value = self.process * VALUES_PER_PROCESS
        started = said = time.monotonic()
        sent = 0
        while not self.stops and not fatal:
            due = int((time.monotonic() - started) * spec["rate"]) - sent
            batch = []
            for _ in range(min(due, 200, spec["inflight"] - len(open_))):
                value += 1
                bytes_ = payload(value, self.random.choice([0, 10, 100, 100, 500, 2000]))
                partition = self.random.choice(self.partitions)
                batch.append((value, partition, bytes_))
                fields = {"idem": True} if spec["idempotent"] else {}
                self.history.note(
                    self.process, "produce", op=value, part=partition, records=[[value, zlib.crc32(bytes_)]], **fields)
            sent += max(0, due)
            self.history.flush()
            for number, partition, bytes_ in batch:
                open_[number] = partition
                try:
                    producer.produce(
                        spec["topic"], bytes_, partition=partition,
                        on_delivery=lambda error, message, number=number: delivered(number, error, message))
                except (KafkaException, BufferError) as error:
                    # Not taken: never sent.
                    open_.pop(number)
                    self.end("produced", number, outcome="failed")
                    fatal |= isinstance(error, KafkaException) and error.args[0].fatal()
            producer.poll(0.01)
            self.history.flush()
            if time.monotonic() - said > 0.5:
                said = time.monotonic()
                self.count(before + acknowledged)
        producer.flush(spec["patience"])
        for number in open_:
            self.end("produced", number, outcome="unknown")
        self.history.flush()
        return acknowledged


class Reads(Load):
    def poll(self, consumer, seconds=0.2):
        """The partitions that records came from, with the offset behind the last."""
        found = {}
        for message in consumer.consume(500, seconds):
            if message.error():
                self.failed(message.error())
                if message.error().code() == KafkaError._AUTO_OFFSET_RESET:
                    self.lost = True
            else:
                found.setdefault(message.partition(), []).append(seen(message))
        for partition, records in found.items():
            self.history.note(self.process, "poll", part=partition, records=records)
        return {partition: records[-1][0] + 1 for partition, records in found.items()}

    def close(self, consumer):
        try:
            consumer.close()
        except KafkaException:
            pass


class Reader(Reads):
    """Reads all partitions, goes back and forth, and notes the high watermarks it is told."""

    def run(self):
        consumer = Consumer(self.settings(**{
            "group.id": "none", "enable.auto.commit": False, "auto.offset.reset": "error",
            "fetch.wait.max.ms": 200, "fetch.message.max.bytes": 1 << 20}))
        positions = {}
        self.lost = True
        while not self.stops:
            if self.lost or self.random.random() < 0.01:
                self.lost = False
                back = self.random.choice([0, 100, 1000, 1 << 40])
                starts = {p: max(0, positions.get(p, 0) - back) for p in self.partitions}
                for partition, offset in starts.items():
                    self.history.note(self.process, "position", part=partition, offset=offset)
                consumer.assign([TopicPartition(self.spec["topic"], p, o) for p, o in starts.items()])
            for partition, position in self.poll(consumer).items():
                positions[partition] = max(position, positions.get(partition, 0))
                _, high = consumer.get_watermark_offsets(
                    TopicPartition(self.spec["topic"], partition), cached=True)
                if high >= 0:
                    self.history.note(self.process, "marks", part=partition, hw=high)
            self.history.flush()
        self.close(consumer)


class Member(Reads):
    """A member of a group that goes on from what the group has committed, commits what it has read, and now and then
    leaves and comes back."""

    def run(self):
        while not self.stops:
            self.membership()
            self.process += 1

    def membership(self):
        spec = self.spec
        consumer = Consumer(self.settings(**{
            "group.id": "readers", "enable.auto.commit": False, "auto.offset.reset": "error",
            "session.timeout.ms": 4000, "heartbeat.interval.ms": 500, "fetch.wait.max.ms": 200,
            "partition.assignment.strategy": self.random.choice(["range"])}))
        consumer.subscribe([spec["topic"]], on_assign=self.assigned)
        self.lost = False
        until = time.monotonic() + self.random.uniform(10, 60)
        while not self.stops and not self.lost and time.monotonic() < until:
            positions = self.poll(consumer)
            self.history.flush()
            if positions and self.random.random() < 0.5:
                self.commit(consumer, positions)
        self.history.flush()
        self.close(consumer)

    def assigned(self, consumer, partitions):
        numbers = [p.partition for p in partitions]
        self.history.note(self.process, "assigned", group=1, parts=numbers)
        asked = {p: self.begin("fetch", group=1, part=p) for p in numbers}
        self.history.flush()
        try:
            answers = consumer.committed(partitions, timeout=5) if partitions else []
        except KafkaException as error:
            self.failed(error.args[0])
            answers = []
        starts = []
        for answer in answers:
            if answer.error:
                self.failed(answer.error)
                continue
            offset = max(answer.offset, -1)
            self.end("fetched", asked.pop(answer.partition), offset=offset)
            self.history.note(self.process, "position", part=answer.partition, offset=max(offset, 0))
            starts.append(TopicPartition(answer.topic, answer.partition, max(offset, 0)))
        for operation in asked.values():
            self.end("fetched", operation)
            self.lost = True
        self.history.flush()
        consumer.assign(starts)

    def commit(self, consumer, positions):
        asked = {
            partition: self.begin("commit", group=1, part=partition, offset=offset)
            for partition, offset in positions.items()}
        self.history.flush()
        try:
            answers = consumer.commit(
                offsets=[TopicPartition(self.spec["topic"], p, o) for p, o in positions.items()], asynchronous=False)
        except KafkaException as error:
            self.failed(error.args[0])
            answers = []
        # A refusal may be of a second attempt, of which the first had its effect: nobody knows.
        done = {answer.partition for answer in answers if not answer.error}
        for partition, operation in asked.items():
            self.end("committed", operation, outcome="ok" if partition in done else "unknown")
        self.history.flush()


class Generations(Load):
    """A member of another group, by a client that says the generation it commits in."""

    def run(self):
        import kafka

        while not self.stops:
            try:
                consumer = kafka.KafkaConsumer(
                    bootstrap_servers=self.spec["servers"].split(","), group_id="generations", enable_auto_commit=False,
                    auto_offset_reset="earliest", session_timeout_ms=4000, heartbeat_interval_ms=500,
                    request_timeout_ms=6000, max_poll_records=500, metadata_max_age_ms=2000,
                    partition_assignment_strategy=[kafka.coordinator.assignors.range.RangePartitionAssignor])
            except kafka.errors.KafkaError as error:
                # No node was to be reached for as long as it tries.
                print("generations:", error, file=sys.stderr)
                continue
            try:
                self.membership(kafka, consumer)
            except kafka.errors.KafkaError as error:
                print("generations:", error, file=sys.stderr)
            finally:
                consumer.close(autocommit=False)
            self.history.flush()
            self.process += 1

    def membership(self, kafka, consumer):
        load = self

        class Listener(kafka.ConsumerRebalanceListener):
            def on_partitions_revoked(self, revoked):
                pass

            def on_partitions_assigned(self, assigned):
                load.history.note(
                    load.process, "assigned", group=2, gen=consumer.group_metadata().generation_id,
                    parts=[place.partition for place in assigned])

        consumer.subscribe([self.spec["topic"]], listener=Listener())
        until = time.monotonic() + self.random.uniform(10, 60)
        while not self.stops and time.monotonic() < until:
            found = consumer.poll(timeout_ms=200)
            positions = {}
            for place, records in found.items():
                values = [[r.offset, int(r.value[:16], 16), zlib.crc32(r.value), -1] for r in records]
                self.history.note(self.process, "poll", part=place.partition, records=values)
                positions[place] = records[-1].offset + 1
            self.history.flush()
            if positions and self.random.random() < 0.5:
                self.commit(kafka, consumer, positions)

    def commit(self, kafka, consumer, positions):
        generation = consumer.group_metadata().generation_id
        asked = [
            self.begin("commit", group=2, gen=generation, part=place.partition, offset=offset)
            for place, offset in positions.items()]
        self.history.flush()
        try:
            consumer.commit(
                {place: kafka.OffsetAndMetadata(offset, "", -1) for place, offset in positions.items()}, timeout_ms=5000)
            outcome = "ok"
        except kafka.errors.KafkaError:
            # As with the others: a refusal may be of a second attempt.
            outcome = "unknown"
        for operation in asked:
            self.end("committed", operation, outcome=outcome)
        self.history.flush()


class Asker(Load):
    """Asks for the ends of logs, and notes who answered as their leader."""

    def run(self):
        nodes = {int(n): Connection(address, 2) for n, address in self.spec["nodes"].items()}
        leaders = {}
        while not self.stops:
            partition = self.random.choice(self.partitions)
            operation = self.begin("end", part=partition)
            self.history.flush()
            order = sorted(nodes, key=lambda n: (n != leaders.get(partition), self.random.random()))
            for node in order:
                try:
                    offset, epoch = nodes[node].end(self.spec["topic"], partition)
                except Refused as error:
                    self.history.note(self.process, "error", code=error.code)
                    continue
                except OSError:
                    continue
                leaders[partition] = node
                self.end("ended", operation, offset=offset)
                self.history.note(self.process, "leader", part=partition, epoch=epoch, node=node)
                break
            else:
                self.end("ended", operation)
            self.history.flush()
            time.sleep(0.02)


class Final(Reads):
    """Reads all there is, as a client; `lose` leaves out a record of the middle, to see whether that is found."""

    def run(self):
        consumer = Consumer(self.settings(**{
            "group.id": "none", "enable.auto.commit": False, "auto.offset.reset": "error",
            "isolation.level": "read_committed", "fetch.message.max.bytes": 4 << 20}))
        topic = self.spec["topic"]
        ranges = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30) for p in self.partitions}
        consumer.assign([TopicPartition(topic, p, low) for p, (low, _) in ranges.items()])
        left = {p for p, (low, high) in ranges.items() if low < high}
        deadline = time.monotonic() + 60
        while left and time.monotonic() < deadline and not self.stops:
            found = {}
            for message in consumer.consume(5000, 0.5):
                if message.error():
                    self.failed(message.error())
                    continue
                if message.offset() < ranges[message.partition()][1]:
                    found.setdefault(message.partition(), []).append(seen(message))
            for partition, records in found.items():
                deadline = time.monotonic() + 60
                end = ranges[partition][1]
                if records[-1][0] >= end - 1:
                    left.discard(partition)
                if self.spec["lose"] and partition == 0:
                    records = [r for r in records if r[0] != end // 2]
                self.history.note(self.process, "final", reader=0, part=partition, records=records)
            self.history.flush()
        for partition, (low, high) in ranges.items():
            self.history.note(self.process, "range", reader=0, part=partition, start=low, end=high)
        self.history.flush()
        self.close(consumer)


if __name__ == "__main__":
    roles = {
        "writer": Writer, "reader": Reader, "member": Member, "generations": Generations, "asker": Asker, "final": Final}
    roles[sys.argv[1]](json.loads(sys.argv[2])).run()
