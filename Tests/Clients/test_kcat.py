"""kcat 1.7.1 with Debian's librdkafka 2.0.2."""

import json
import subprocess

import pytest
from conftest import CODECS


def kcat(node, *arguments, text=None):
    done = subprocess.run(
        ["kcat", "-b", node.address, *arguments],
        input=text, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("codec", CODECS)
def test_produce_and_consume(node, topic, codec):
    lines = [f"k{n}:value {n} {'x' * (n % 50)}" for n in range(500)]
    kcat(node, "-P", "-t", topic, "-p", "0", "-K:", "-z", codec, text="\n".join(lines) + "\n")
    out = kcat(node, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-f", "%k:%s\n")
    assert out.splitlines() == lines


def test_headers_and_json(node, topic):
    kcat(node, "-P", "-t", topic, "-p", "1", "-H", "a=1", "-H", "b=zwei", text="mit Kopf\n")
    out = kcat(node, "-C", "-t", topic, "-p", "1", "-o", "beginning", "-e", "-q", "-J")
    record = json.loads(out)
    assert record["payload"] == "mit Kopf"
    assert record["headers"] == ["a", "1", "b", "zwei"]
    assert record["offset"] == 0 and record["partition"] == 1 and record["tstype"] == "create"


def test_metadata_lists_what_there_is(node, topic):
    kcat(node, "-P", "-t", topic, text="x\n")
    described = json.loads(kcat(node, "-L", "-J"))
    assert described["brokers"] == [{"id": 1, "name": node.address}]
    found = [entry for entry in described["topics"] if entry["topic"] == topic]
    assert [p["partition"] for p in found[0]["partitions"]] == [0, 1, 2]
    assert all(p["leader"] == 1 for p in found[0]["partitions"])


def test_offsets_by_time(node, topic):
    kcat(node, "-P", "-t", topic, "-p", "0", text="a\nb\nc\n")
    out = kcat(node, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-f", "%T %o\n")
    first = int(out.split()[0])
    assert kcat(node, "-Q", "-t", f"{topic}:0:{first}").split()[-1] == "0"
    assert kcat(node, "-Q", "-t", f"{topic}:0:-1").split()[-1] == "3"
    assert kcat(node, "-Q", "-t", f"{topic}:0:-2").split()[-1] == "0"


def test_balanced_consumer(node, topic):
    kcat(node, "-P", "-t", topic, text="\n".join(str(n) for n in range(90)) + "\n")
    out = kcat(node, "-G", f"group-{topic}", "-X", "auto.offset.reset=earliest", "-e", "-q", topic)
    assert sorted(int(line) for line in out.split()) == list(range(90))


def test_idempotent_producer(node, topic):
    kcat(node, "-P", "-t", topic, "-p", "2", "-X", "enable.idempotence=true",
         text="\n".join(str(n) for n in range(1000)) + "\n")
    out = kcat(node, "-C", "-t", topic, "-p", "2", "-o", "beginning", "-e", "-q")
    assert [int(line) for line in out.split()] == list(range(1000))
