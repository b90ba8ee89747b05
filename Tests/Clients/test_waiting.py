"""What runs for ever while its broker is away: it says so, goes on by itself, and ends when asked."""

import json
import re
import signal
import socket
import subprocess
import time

import pytest

from conftest import BINARY, Node, until
from postgres import Postgres


@pytest.fixture(scope="module")
def postgres():
    postgres = Postgres()
    postgres.run("CREATE TABLE t (id int PRIMARY KEY)")
    yield postgres
    postgres.stop()


@pytest.fixture(params=["refuses", "is mute"])
def away(request):
    """The address of no broker: nobody listens there, or nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if request.param == "is mute":
            taken.listen()
        yield f"127.0.0.1:{taken.getsockname()[1]}"


class Part:
    def __init__(self, what, directory, address, request):
        self.log = directory / "log"
        processors = directory / "processors.yaml"
        processors.write_text("processors: [{kind: revenue}, {kind: low-stock}]\n")
        pipeline = directory / "pipeline.yaml"
        pipeline.write_text(f"log: {{bootstrap: '{address}'}}\nprocessors: [{{kind: revenue}}, {{kind: low-stock}}]\n")
        words = {
            "process": ["process", "--bootstrap", address, "--config", processors],
            "run": ["run", pipeline],
        }.get(what)
        if what == "capture":
            postgres = request.getfixturevalue("postgres")
            connector = directory / "c.json"
            connector.write_text(json.dumps({"name": "c", "config": {
                "database.hostname": postgres.host, "database.user": "postgres", "database.dbname": "postgres",
                "topic.prefix": "c", "plugin.name": "pgoutput", "snapshot.mode": "initial",
            }}))
            words = ["capture", "--config", connector, "--bootstrap", address]
        self.process = subprocess.Popen([BINARY, *words], stderr=open(self.log, "wb"))

    def said(self):
        return self.log.read_text()

    def end(self, number):
        start = time.monotonic()
        self.process.send_signal(number)
        assert self.process.wait(timeout=20) == 0, self.said()
        return time.monotonic() - start


@pytest.fixture(params=["process", "capture", "run"])
def part(request, tmp_path, away):
    part = Part(request.param, tmp_path, away, request)
    yield part
    if part.process.poll() is None:
        part.process.kill()
        part.process.wait()


def test_it_says_what_it_waits_for_once_and_ends_when_asked(part, away):
    start = time.monotonic()
    until(lambda: "No broker is reached" in part.said(), 12)
    assert time.monotonic() - start < 6
    line = next(line for line in part.said().splitlines() if "No broker is reached" in line)
    assert "tried again" in line
    time.sleep(1)
    assert part.said().count("No broker is reached") == 1
    assert part.end(signal.SIGTERM) < 2
    assert "stopped" in part.said()


def test_it_ends_when_asked_at_once(part):
    until(lambda: part.log.exists(), 5)
    time.sleep(0.5)
    assert part.end(signal.SIGINT) < 2


def test_it_goes_on_when_the_broker_comes(tmp_path, request):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    part = Part("process", tmp_path, f"127.0.0.1:{port}", request)
    until(lambda: "No broker is reached" in part.said(), 12)
    node = Node.__new__(Node)
    node.prefix, node.settings, node.port, node.directory = [], [], port, tmp_path / "data"
    node.start()
    until(lambda: re.search("A broker is reached again", part.said()), 10)
    assert part.end(signal.SIGTERM) < 2
    assert node.stop() == 0
