"""Real clients that are stopped (SIGSTOP) in the middle of what they do: nobody else waits for them, the node does
not grow, and when they go on nothing is missing and nothing is there twice."""

import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from conftest import Node, until

LARGE = 50_000


# What a child process does, until it is killed. It writes a line for what it has done.

def say(*words):
    print(*words, flush=True)


def consume(address, group, topic, settings):
    settings = json.loads(settings)
    # After each batch, until it is told not to. Another process might come too late.
    stops = settings.pop("stops", False)

    def stop_no_more(*_):
        nonlocal stops
        stops = False

    signal.signal(signal.SIGUSR1, stop_no_more)
    consumer = Consumer({"bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest", **settings})
    consumer.subscribe([topic])
    while True:
        messages = consumer.consume(100, 0.1)
        assert all(m.error() is None for m in messages), [m.error() for m in messages]
        if messages:
            say(" ".join(f"{m.partition()}:{m.offset()}" for m in messages))
            if stops:
                os.kill(os.getpid(), signal.SIGSTOP)


def produce(address, _, topic, settings):
    producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, **json.loads(settings)})
    delivered, n = [], 0

    def report(error, message):
        assert error is None, error
        delivered.append(f"{message.partition()}:{message.offset()}")

    while True:
        try:
            producer.produce(topic, b"%d " % n + b"x" * LARGE, partition=0, on_delivery=report)
            n += 1
        except BufferError:
            producer.poll(0.1)
        producer.poll(0)
        if delivered:
            say(" ".join(delivered))
            delivered.clear()


class Child:
    running = []

    def __init__(self, what, directory, node, topic, group="", **settings):
        self.out = directory / f"{what.__name__}-{len(self.running)}"
        self.process = subprocess.Popen(
            [sys.executable, __file__, what.__name__, node.address, group, topic, json.dumps(settings)],
            stdout=open(self.out, "wb"))
        self.running.append(self)

    @property
    def places(self):
        """(partition, offset) of what it had, in its order; a last line may not be whole yet."""
        lines = self.out.read_bytes().decode().split("\n")[:-1]
        return [tuple(map(int, place.split(":"))) for line in lines for place in line.split()]

    @property
    def is_stopped(self):
        return pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")")[-1].split()[0] == "T"

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)
        until(lambda: self.is_stopped)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def go_on_for_good(self):
        self.process.send_signal(signal.SIGUSR1)
        self.go_on()

    def is_waited_for(self, node):
        """Whether the node has bytes for it and waits (EPOLLOUT) until its socket takes more of them."""
        lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
        own = sockets(self.process)
        ports = {line[1].split(":")[1] for line in lines if line[9] in own}
        other = {line[9] for line in lines
                 if line[1].endswith(f":{node.port:04X}") and line[2].split(":")[1] in ports}
        descriptors = sockets(node.process)
        directory = pathlib.Path(f"/proc/{node.process.pid}")
        polled = ""
        for path in (directory / "fdinfo").iterdir():
            with contextlib.suppress(FileNotFoundError):
                polled += path.read_text()
        return any(int(events, 16) & select.EPOLLOUT
                   for descriptor, events in re.findall(r"tfd: +(\d+) events: +([0-9a-f]+)", polled)
                   if any(descriptors.get(inode) == descriptor for inode in other))


def sockets(process):
    """Its descriptors, by the numbers of their sockets."""
    found = {}
    for path in pathlib.Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            # Or else closed meanwhile.
            found[os.readlink(path).removeprefix("socket:[").removesuffix("]")] = path.name
    return found


@pytest.fixture
def node(tmp_path):
    node = Node(tmp_path / "data", "group.min.session.timeout.ms=1000")
    yield node
    for child in Child.running:
        # A process that is stopped dies of this as well.
        child.process.kill()
        child.process.wait()
    Child.running.clear()
    assert node.process.poll() is None, "the node died: " + (node.process.stderr.read() or "")
    assert node.stop() == 0
    shutil.rmtree(node.directory)


def make(node, topic, partitions):
    admin = AdminClient({"bootstrap.servers": node.address})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result()


def send(node, topic, count, partitions, size=LARGE):
    """Returns when all of it is acknowledged."""
    producer = Producer({"bootstrap.servers": node.address, "linger.ms": 5, "queue.buffering.max.kbytes": 1 << 20})
    errors = []
    for n in range(count):
        producer.produce(topic, b"x" * size, partition=n % partitions, on_delivery=lambda error, _: errors.append(error))
        producer.poll(0)
    assert producer.flush(10) == 0 and errors == [None] * count


def take(node, topic, counts):
    """Reads everything there is, as another client would; returns when all of it is there."""
    reader = Consumer({"bootstrap.servers": node.address, "group.id": "another", "enable.auto.commit": False})
    reader.assign([TopicPartition(topic, partition, 0) for partition in range(len(counts))])
    found = []

    def poll():
        found.extend((m.partition(), m.offset()) for m in reader.consume(1000, 0.1))
        return len(found) >= sum(counts)

    until(poll, 10)
    reader.close()
    assert sorted(found) == all_of(counts)


def all_of(counts):
    return [(partition, offset) for partition, count in enumerate(counts) for offset in range(count)]


def largest_memory(node):
    """The most that the node has had in memory at once, in MiB."""
    status = pathlib.Path(f"/proc/{node.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) >> 10


def test_consumers_that_have_fetched_much(node, tmp_path, topic):
    make(node, topic, 2)
    send(node, topic, 3000, 2)
    # Each asks for as much as there is, and has far more asked for than it has read when it is stopped.
    children = [
        Child(consume, tmp_path, node, topic, f"g-{n}", **{
            "fetch.message.max.bytes": 50_000_000, "queued.max.messages.kbytes": 1_000_000, "enable.auto.commit": False,
            "socket.receive.buffer.bytes": 65536, "stops": True})
        for n in range(4)]

    def is_in_the_middle(child):
        """Stopped with an answer on its way of which no more is taken; else it goes on to its next batch."""
        if not child.is_stopped:
            return False
        time.sleep(0.05)
        if child.is_waited_for(node):
            return True
        child.go_on()
        return False

    for child in children:
        until(lambda: is_in_the_middle(child))
    before = [len(child.places) for child in children]
    assert all(0 < count < 3000 for count in before)
    send(node, topic, 3000, 2)
    take(node, topic, [3000, 3000])
    # The node waits for them still; but for one whose last bytes the system has taken, perhaps.
    assert any(child.is_waited_for(node) for child in children)
    assert [len(child.places) for child in children] == before
    # 300 MB went in and 300 out; the node's bounds are 64 MiB of tails, as much of what is read, the journal's 40, and
    # requests that arrive.
    memory = largest_memory(node)
    print("largest memory", memory)
    assert memory < 350
    for child in children:
        child.go_on_for_good()
    until(lambda: all(len(child.places) >= 6000 for child in children), 15)
    for child in children:
        assert sorted(child.places) == all_of([3000, 3000])
        # In order, too.
        assert [o for p, o in child.places if p == 1] == list(range(3000))
    assert largest_memory(node) < 350


def test_a_member_of_a_group(node, tmp_path, topic):
    make(node, topic, 4)
    settings = {"session.timeout.ms": 1500, "heartbeat.interval.ms": 200, "enable.auto.commit": False}
    child = Child(consume, tmp_path, node, topic, "g", **settings)
    member = Consumer({"bootstrap.servers": node.address, "group.id": "g", "auto.offset.reset": "earliest", **settings})
    member.subscribe([topic])
    own = []

    def has(partitions):
        own.extend((m.partition(), m.offset()) for m in member.consume(100, 0.05))
        return len(member.assignment()) == partitions

    until(lambda: has(2))
    send(node, topic, 40, 4, 10)
    until(lambda: has(2) and len(own) + len(child.places) == 40)
    assert sorted(own + child.places) == all_of([10] * 4)
    theirs = {partition for partition, _ in child.places}
    assert len(theirs) == 2
    child.stop()
    # Its session ends, and the other has all of the group, and reads its part again: it has committed nothing.
    until(lambda: has(4))
    own.clear()
    send(node, topic, 40, 4, 10)
    until(lambda: has(4) and len({o for o in own if o[1] >= 10}) == 40)
    member.commit(asynchronous=False)
    # It finds out that it is no member any more, comes back, and goes on where the group is.
    own.clear()
    child.go_on()
    until(lambda: has(2))
    send(node, topic, 40, 4, 10)

    def new():
        # Before it finds out, it may see what was on the way to it.
        return [place for place in own + child.places if place[1] >= 20]

    until(lambda: has(2) and len(new()) >= 40)
    assert sorted(new()) == [(p, o) for p in range(4) for o in range(20, 30)]
    assert len({p for p, o in child.places if o >= 20}) == 2
    assert {p for p, o in child.places if o < 20} == theirs
    member.close()


def test_a_producer(node, tmp_path, topic):
    make(node, topic, 2)
    child = Child(produce, tmp_path, node, topic, **{
        "socket.timeout.ms": 1000, "linger.ms": 5, "queue.buffering.max.messages": 200})
    until(lambda: len(child.places) > 200)
    child.stop()
    stopped = time.monotonic()
    before = len(child.places)
    # Others produce to the same partition; what the stopped one has begun to send waits for it alone.
    send(node, topic, 1000, 2)
    reader = Consumer({"bootstrap.servers": node.address, "group.id": "g"})
    end = reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[1]
    take(node, topic, [end, 500])
    assert len(child.places) == before
    # By its own clock, what it had sent is lost then; the node has it, or a part of it.
    time.sleep(max(0, stopped + 1.2 - time.monotonic()))
    child.go_on()
    until(lambda: len(child.places) > before + 200)
    child.stop()
    acknowledged = child.places
    assert acknowledged == sorted(set(acknowledged))
    low, end = reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
    reader.assign([TopicPartition(topic, 0, low)])
    values = []
    until(lambda: values.extend(m.value() for m in reader.consume(1000, 0.1)) or len(values) >= end, 10)
    reader.close()
    # The child's, by their numbers: each once, in order, and those it knows of where it was told.
    numbers = [int(value.split(b" ")[0]) for value in values if b" " in value]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= len(acknowledged)
    assert [int(values[offset].split(b" ")[0]) for _, offset in acknowledged] == list(range(len(acknowledged)))


if __name__ == "__main__":
    {"consume": consume, "produce": produce}[sys.argv[1]](*sys.argv[2:])
