"""The command line's own client, against kcat, kafka-python and librdkafka, both ways."""

import json
import re
import signal
import subprocess
import time

import confluent_kafka
import pytest
from conftest import BINARY, CODECS, until
from kafka import KafkaConsumer, KafkaProducer


def martlet(node, *arguments, text=None, status=0):
    done = subprocess.run(
        [BINARY, *arguments, "--broker", node.address],
        input=text, capture_output=True, text=True, timeout=30)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


def kcat(node, *arguments, text=None):
    done = subprocess.run(
        ["kcat", "-b", node.address, *arguments],
        input=text, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("codec", CODECS)
def test_what_it_writes_kcat_reads(node, topic, codec):
    lines = [f"k{n}:value {n} {'x' * (n % 50)}" for n in range(2000)]
    martlet(node, "produce", topic, "-p", "0", "-K:", "-z", codec, "-H", "h=1",
            text="\n".join(lines) + "\n")
    out = kcat(node, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-f", "%k:%s %h\n")
    assert out.splitlines() == [f"{line} h=1" for line in lines]


@pytest.mark.parametrize("codec", CODECS)
def test_what_kcat_writes_it_reads(node, topic, codec):
    lines = [f"k{n}:value {n} {'x' * (n % 50)}" for n in range(2000)]
    kcat(node, "-P", "-t", topic, "-p", "0", "-K:", "-z", codec, text="\n".join(lines) + "\n")
    out = martlet(node, "consume", topic, "-e", "-K", ":")
    assert out.splitlines() == lines


def test_keys_go_where_kafka_python_puts_them(node, topic):
    keys = [f"key-{n}" for n in range(300)]
    martlet(node, "topic", "create", topic, "--partitions", "7")
    martlet(node, "produce", topic, "-K", "=", text="".join(f"{key}=cli\n" for key in keys))
    producer = KafkaProducer(bootstrap_servers=node.address)
    for key in keys:
        producer.send(topic, key=key.encode(), value=b"python")
    producer.close()
    consumer = KafkaConsumer(
        topic, bootstrap_servers=node.address, auto_offset_reset="earliest", group_id=None,
        consumer_timeout_ms=2000)
    places = {}
    for record in consumer:
        places.setdefault(record.key.decode(), set()).add((record.value.decode(), record.partition))
    consumer.close()
    assert set(places) == set(keys)
    for found in places.values():
        assert {writer for writer, _ in found} == {"cli", "python"}
        assert len({partition for _, partition in found}) == 1


def test_json_headers_nulls_and_times(node, topic):
    producer = KafkaProducer(bootstrap_servers=node.address)
    producer.send(topic, partition=1, key=None, value=b'say "hi"\n', timestamp_ms=1_700_000_000_000,
                  headers=[("a", b"1"), ("b", b"zwei")])
    producer.send(topic, partition=1, key=b"k", value=None, timestamp_ms=1_700_000_001_000)
    producer.close()
    out = martlet(node, "consume", topic, "-e", "-J")
    first, second = map(json.loads, out.splitlines())
    assert first == {
        "topic": topic, "partition": 1, "offset": 0, "tstype": "create", "ts": 1_700_000_000_000,
        "headers": ["a", "1", "b", "zwei"], "key": None, "payload": 'say "hi"\n'}
    assert second["key"] == "k" and second["payload"] is None
    assert martlet(node, "consume", topic, "-e", "-o", "@1700000000500", "-f", "%o %S\\n") == "1 -1\n"
    assert martlet(node, "consume", topic, "-e", "-o", "-1", "-p", "1", "-f", "%o\\n") == "1\n"
    assert martlet(node, "consume", topic, "-c", "1", "-f", "%o\\n") == "0\n"


def test_files_are_lines_or_whole_records(node, topic, tmp_path):
    (tmp_path / "a").write_bytes(b"one\ntwo\n")
    (tmp_path / "b").write_bytes(b"\xff\x00three")
    martlet(node, "produce", topic, str(tmp_path / "a"), str(tmp_path / "b"), "-p", "0")
    martlet(node, "produce", topic, str(tmp_path / "a"), "--whole", "-p", "0")
    consumer = KafkaConsumer(
        topic, bootstrap_servers=node.address, auto_offset_reset="earliest", group_id=None,
        consumer_timeout_ms=2000)
    assert [record.value for record in consumer] == [b"one", b"two", b"\xff\x00three", b"one\ntwo\n"]
    consumer.close()


def test_topics_are_made_described_changed_and_deleted(node, topic):
    martlet(node, "topic", "create", topic, "--partitions", "2", "--config", "retention.ms=1000000")
    assert "TOPIC_ALREADY_EXISTS" in martlet(node, "topic", "create", topic, status=1)
    martlet(node, "topic", "create", topic, "--if-not-exists")
    assert topic in martlet(node, "topic", "list").split()
    described = json.loads(martlet(node, "topic", "describe", topic, "--json"))
    assert described["configs"] == {"retention.ms": "1000000"}
    assert [p["end"] for p in described["partitions"]] == [0, 0]
    assert [(p["leader"], p["replicas"], p["inSync"]) for p in described["partitions"]] == [(1, [1], [1])] * 2
    martlet(node, "produce", topic, "-p", "1", text="a\nb\n")
    described = json.loads(martlet(node, "topic", "describe", topic, "--json"))
    assert [p["highWatermark"] for p in described["partitions"]] == [0, 2]
    rows = martlet(node, "topic", "describe", topic).splitlines()
    assert re.split("  +", rows[-3].strip()) == [
        "partition", "leader", "epoch", "start", "high watermark", "replicas", "in sync"]
    epoch = str(described["partitions"][1]["leaderEpoch"])
    assert rows[-1].split() == ["1", "1", epoch, "0", "2", "1", "1"]
    martlet(node, "topic", "alter", topic, "--partitions", "4", "--config", "cleanup.policy=compact",
            "--unset", "retention.ms")
    described = json.loads(martlet(node, "topic", "describe", topic, "--json"))
    assert described["configs"] == {"cleanup.policy": "compact"}
    assert len(described["partitions"]) == 4
    martlet(node, "topic", "delete", topic)
    assert topic not in martlet(node, "topic", "list").split()
    assert "UNKNOWN_TOPIC_OR_PARTITION" in martlet(node, "topic", "describe", topic, status=1)


def test_a_group_is_read_described_reset_and_deleted(node, topic):
    kcat(node, "-P", "-t", topic, text="".join(f"{n}\n" for n in range(90)))
    group = f"group-{topic}"
    out = martlet(node, "consume", topic, "-G", group, "-e")
    assert sorted(map(int, out.split())) == list(range(90))
    assert martlet(node, "consume", topic, "-G", group, "-e") == ""
    described = json.loads(martlet(node, "group", "describe", group, "--json"))
    assert described["state"] == "Empty"
    assert sum(p["offset"] for p in described["partitions"] if p["offset"] is not None) == 90
    assert group in martlet(node, "group", "list").split()
    martlet(node, "group", "reset", group, "--topic", topic, "--to", "beginning")
    out = martlet(node, "consume", topic, "-G", group, "-e", "--assignor", "cooperative-sticky")
    assert sorted(map(int, out.split())) == list(range(90))
    martlet(node, "group", "delete", group)
    assert group not in martlet(node, "group", "list").split()
    assert "there is no group" in martlet(node, "group", "describe", group, status=1)


@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_a_group_with_a_member_of_librdkafka(node, topic, strategy):
    martlet(node, "topic", "create", topic, "--partitions", "6")
    group = f"mixed-{topic}"
    other = confluent_kafka.Consumer({
        "bootstrap.servers": node.address, "group.id": group, "auto.offset.reset": "earliest",
        "partition.assignment.strategy": strategy, "heartbeat.interval.ms": 200,
        "session.timeout.ms": 6000})
    other.subscribe([topic])
    seen = []

    def poll():
        for message in other.consume(100, timeout=0.1):
            assert message.error() is None
            seen.append(int(message.value()))

    until(lambda: poll() or len(other.assignment()) == 6)
    mine = subprocess.Popen(
        [BINARY, "consume", topic, "-G", group, "--assignor", strategy, "-b", node.address],
        stdout=subprocess.PIPE, text=True)
    try:
        until(lambda: poll() or len(other.assignment()) == 3)

        def shared():
            poll()
            rows = json.loads(martlet(node, "group", "describe", group, "--json"))
            members = [p["member"] for p in rows["partitions"]]
            return rows["state"] == "Stable" and len(members) == 6 and len(set(members)) == 2

        until(shared)
        martlet(node, "produce", topic, "-K:", text="".join(f"{n}:{n}\n" for n in range(600)))
        # Until nothing more comes, for as long as a fetch may take.
        quiet = time.monotonic() + 2
        while time.monotonic() < quiet:
            before = len(seen)
            poll()
            if len(seen) > before:
                quiet = time.monotonic() + 2
        mine.send_signal(signal.SIGINT)
        until(lambda: poll() or mine.poll() is not None)
        assert mine.returncode == 0
        theirs = [int(line) for line in mine.stdout.read().split()]
        assert theirs and seen
        until(lambda: poll() or len(other.assignment()) == 6)
        # Nothing twice: what left was committed and handed over.
        assert sorted(theirs + seen) == list(range(600))
    finally:
        mine.kill()
        other.close()


def test_an_impatient_end_leaves_the_group_too(node, topic):
    group = f"impatient-{topic}"
    martlet(node, "produce", topic, text="a\nb\n")
    mine = subprocess.Popen(
        [BINARY, "consume", topic, "-G", group, "-b", node.address], stdout=subprocess.PIPE,
        text=True)
    try:
        assert mine.stdout.readline() == "a\n"
        # Nobody answers what it says when it leaves, until it was told twice.
        node.process.send_signal(signal.SIGSTOP)
        mine.send_signal(signal.SIGINT)
        time.sleep(0.3)
        mine.send_signal(signal.SIGINT)
        time.sleep(0.3)
        node.process.send_signal(signal.SIGCONT)
        mine.wait(timeout=10)
        assert json.loads(martlet(node, "group", "describe", group, "--json"))["state"] == "Empty"
    finally:
        node.process.send_signal(signal.SIGCONT)
        mine.kill()


def test_mistakes_are_one_sentence_and_have_their_status(node, topic):
    assert "Name the topic" in martlet(node, "produce", status=2)
    assert "There is no option --colour" in martlet(node, "consume", topic, "--colour", status=2)
    assert "beginning, end, an offset" in martlet(node, "consume", topic, "-o", "noon", status=2)
    assert "not 'brotli'" in martlet(node, "produce", topic, "-z", "brotli", status=2)
    assert "UNKNOWN_TOPIC_OR_PARTITION" in martlet(node, "consume", topic, "-e", status=1)
    done = subprocess.run(
        [BINARY, "topic", "list", "-b", "127.0.0.1:1"], capture_output=True, text=True, timeout=40)
    assert done.returncode == 1
    # A line after two seconds of silence, and the end.
    waiting, last = done.stderr.splitlines()
    assert "No broker is reached" in waiting and "127.0.0.1:1 failed" in last


def test_what_could_not_be_written_is_an_error_and_not_committed(node, topic):
    subprocess.run(
        [BINARY, "produce", topic, "-b", node.address], input="a\nb\nc\n", text=True, check=True
    )
    command = [BINARY, "consume", topic, "-b", node.address, "-G", f"g-{topic}", "-c", "3"]
    with open("/dev/full", "w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
    assert result.returncode == 1
    assert "Standard output" in result.stderr
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert sorted(result.stdout.split()) == ["a", "b", "c"]


def page(*words):
    done = subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


COMMANDS = ["serve", "cluster", "run x", "capture", "process", "demo", "produce", "consume"]
VERBS = [f"topic {verb}" for verb in ("create", "list", "describe", "alter", "delete")]
VERBS += [f"group {verb}" for verb in ("list", "describe", "reset", "delete")]


@pytest.mark.parametrize("command", COMMANDS + VERBS)
def test_every_command_has_a_screen_with_all_of_its_options(command):
    words = command.replace(" x", "").split()
    text = page(*words, "--help")
    assert text == page("help", *words) == page(*words, "-h")
    assert text.startswith(f"usage: martlet {' '.join(words)} ")
    assert len(text.splitlines()) <= 24 and max(map(len, text.splitlines())) <= 80, text
    # What the parser itself says that it knows.
    refused = subprocess.run([BINARY, *command.split(), "--zzzzz"], capture_output=True, text=True, timeout=20)
    assert refused.returncode == 2
    known = re.findall(r"--[a-z-]+", refused.stderr.split("There are")[1])
    assert known
    for option in known:
        assert re.search(rf"(^|\s|, ){option}(\s|$)", text, re.M), (option, text)
    for option in re.findall(r"^  (?:-\w, )?(--[a-z-]+)", text, re.M):
        assert option in known, option


def test_help_lists_the_commands_and_an_error_names_the_nearest():
    text = page("--help")
    assert text == page("help") == page()
    for command in COMMANDS + ["topic", "group"]:
        assert f"martlet {command.split()[0]} " in text
    assert page("topic", "--help").count("martlet topic ") >= 6
    for words, nearest in [
        (["produce", "t", "--partiton", "1"], "Did you mean --partition?"),
        (["serve", "--adevrtise", "x"], "Did you mean --advertise?"),
        (["topic", "create", "t", "--if-not-exist"], "Did you mean --if-not-exists?"),
        (["prodcue", "t"], "Did you mean produce?"),
    ]:
        done = subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=20)
        assert done.returncode == 2 and nearest in done.stderr, done.stderr
    done = subprocess.run([BINARY, "produce", "t", "--colour"], capture_output=True, text=True, timeout=20)
    assert "Did you mean" not in done.stderr
