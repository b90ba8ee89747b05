"""A Martlet node of its own for each test module, on a port the system chose."""

import os
import pathlib
import re
import signal
import subprocess
import uuid

import pytest
from waiting import until as until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = ROOT / ".build" / "release" / "martlet"
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


class Node:
    """A `martlet serve` process that can be killed, stopped and started again."""

    def __init__(self, directory, *settings):
        self.directory = directory
        # Words before the command, for limits.
        self.prefix = []
        self.settings = ["group.initial.rebalance.delay.ms=100", "num.partitions=3", *settings]
        self.port = 0
        self.process = None
        self.start()

    def start(self):
        command = [*self.prefix, BINARY, "serve", "--data", str(self.directory)]
        command += ["--listen", f"127.0.0.1:{self.port}", "--http", "127.0.0.1:0"]
        for setting in self.settings:
            command += ["--set", setting]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.lines = []
        while True:
            line = self.process.stderr.readline()
            if not line:
                raise RuntimeError("martlet did not start: " + "".join(self.lines))
            self.lines.append(line)
            if match := re.search(r" on 127\.0\.0\.1:(\d+)$", line.strip()):
                self.port = int(match.group(1))
            if match := re.search(r"metrics on port (\d+)", line):
                self.http = int(match.group(1))
                break
        # Nobody reads the rest; a file takes it so that the pipe never fills.
        self.log = open(self.directory.parent / f"{self.directory.name}.log", "ab")
        os.set_blocking(self.process.stderr.fileno(), False)
        return self

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Ends it as a supervisor would; returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    node = Node(tmp_path_factory.mktemp("node") / "data")
    yield node
    assert node.process.poll() is None, "the node died: " + (node.process.stderr.read() or "")
    assert node.stop() == 0


@pytest.fixture
def topic():
    return f"t-{uuid.uuid4().hex[:12]}"


def records(count=200):
    """Keys, values, headers and timestamps that are easy to tell apart."""
    return [
        {
            "key": None if n % 7 == 0 else f"key-{n % 5}".encode(),
            "value": f"value {n} ".encode() * (1 + n % 9),
            "headers": [] if n % 3 else [("h", str(n).encode()), ("h", b""), ("x", b"\x00\xff")],
            "timestamp": 1_700_000_000_000 + n * 1000,
        }
        for n in range(count)
    ]
