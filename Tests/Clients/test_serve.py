"""How a node is started: its configuration file, and what the command line says beside it."""

import re
import signal
import socket
import subprocess

import pytest
from conftest import BINARY, Node
from kafka import KafkaConsumer, KafkaProducer, TopicPartition


def serve(tmp_path, config, *options):
    path = tmp_path / "martlet.yaml"
    path.write_text(config)
    command = [BINARY, "serve", "--config", str(path), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    line = process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    process.stderr.read()
    return line, process.wait(timeout=30)


def test_a_file_says_what_the_options_say_and_the_command_line_wins(tmp_path):
    config = f"""
data: {tmp_path}/data
node: 4
listen: 127.0.0.1:0
http: 127.0.0.1:0
settings:
  num.partitions: 5
  log.retention.ms: "-1"
"""
    line, status = serve(tmp_path, config)
    assert f"node 4 serves {tmp_path}/data on 127.0.0.1:" in line and status == 0
    line, status = serve(tmp_path, config, "--node", "9", "--data", f"{tmp_path}/other")
    assert f"node 9 serves {tmp_path}/other on " in line and status == 0


@pytest.mark.parametrize("line, number", [
    ("lissten: 127.0.0.1:0", 2), ("node: x", 2), ("listen: nowhere", 2), ("data: again", 2),
    ("settings:\n  no.such: 1", 3), ("settings:\n  num.partitions: many", 3), ("node: ]", 2),
])
def test_what_cannot_be_followed_is_refused_with_its_line(tmp_path, line, number):
    text, status = serve(tmp_path, f"data: {tmp_path}/data\n{line}\n")
    assert f"line {number}:" in text, text
    assert status == 2


def test_without_a_file_it_says_which(tmp_path):
    command = [BINARY, "serve", "--config", str(tmp_path / "nothing.yaml")]
    found = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=30)
    assert "nothing.yaml" in found.stderr and found.returncode == 2


@pytest.fixture
def strict(tmp_path):
    node = Node(
        tmp_path / "strict", "connections.max.idle.ms=300", "socket.request.max.bytes=100000",
        "fetch.max.bytes=20000")
    yield node
    assert node.stop() == 0


def test_what_clients_may_do_is_as_set(strict):
    # One that says nothing is closed, and one that waits for an answer is not.
    silent = socket.create_connection(("127.0.0.1", strict.port))
    silent.settimeout(20)
    assert silent.recv(1) == b""
    consumer = KafkaConsumer(bootstrap_servers=strict.address, auto_offset_reset="earliest")
    producer = KafkaProducer(bootstrap_servers=strict.address, max_request_size=5_000_000, retries=0)
    for _ in range(20):
        producer.send("set", bytes(5_000), partition=0).get(20)
    partition = TopicPartition("set", 0)
    consumer.assign([partition])
    first = consumer.poll(20_000)[partition]
    assert 1 <= len(first) <= 4
    with pytest.raises(Exception):
        producer.send("set", bytes(900_000), partition=0).get(20)
    assert consumer.end_offsets([partition])[partition] == 20
    consumer.close()
    producer.close()


@pytest.mark.parametrize("setting", ["listeners=PLAINTEXT://:1", "node.id=9", "log.dirs=/nope"])
def test_what_is_no_setting_here_names_the_option(tmp_path, setting):
    command = [BINARY, "serve", "--data", str(tmp_path / "d"), "--set", setting]
    found = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=30)
    assert "is not a setting here; say it with --" in found.stderr and found.returncode != 0


def refused(*options):
    done = subprocess.run([BINARY, "serve", "--listen", "127.0.0.1:0", *options],
                          stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode != 0 and len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_a_setting_that_there_is_not_is_a_sentence(tmp_path):
    text = refused("--data", str(tmp_path / "data"), "--set", "nosuch=1")
    assert "nosuch" in text and "ConfigFault" not in text, text


def test_the_port_of_its_pages_is_its_own_and_has_a_name(tmp_path):
    first = subprocess.Popen(
        [BINARY, "serve", "--data", str(tmp_path / "first"), "--listen", "127.0.0.1:0",
         "--http", "localhost:0"], stderr=subprocess.PIPE, text=True)
    try:
        lines = first.stderr.readline() + first.stderr.readline()
        pages = re.search(r"metrics on port (\d+)", lines)
        address = f"localhost:{pages.group(1)}"
        text = refused("--data", str(tmp_path / "second"), "--http", address)
        assert address in text and "in use" in text, text
    finally:
        first.terminate()
        first.communicate(timeout=30)


def test_the_directory_of_another_node_is_refused(tmp_path):
    data = f"data: {tmp_path}/data\nlisten: 127.0.0.1:0\n"
    line, status = serve(tmp_path, data, "--node", "1")
    assert "node 1 serves" in line and status == 0
    assert "belongs to node 1, not to node 7" in refused(
        "--data", f"{tmp_path}/data", "--node", "7")
    line, status = serve(tmp_path, data, "--node", "1")
    assert "node 1 serves" in line and status == 0
