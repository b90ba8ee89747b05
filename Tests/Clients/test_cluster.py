"""`martlet cluster`: three nodes of one host, what is seen of them, and a node that is killed."""

import errno
import json
import os
import pty
import random
import re
import select
import signal
import socket
import subprocess

import pytest
from conftest import BINARY, until
from test_metrics import Page


def free_port():
    """Of the first node: the next two, and those 10000 above, are free as well. All of them are below the ports that the
    kernel gives to connections."""
    while True:
        first = random.randrange(20_000, 22_700)
        try:
            for port in (*range(first, first + 3), *range(first + 10_000, first + 10_003), *range(first + 100, first + 103)):
                with socket.socket() as found:
                    found.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue


class Cluster:
    def __init__(self, directory):
        self.port = free_port()
        self.pages = [Page() for _ in range(3)]
        for number, page in enumerate(self.pages):
            page.url = f"http://127.0.0.1:{self.port + 100 + number}"
        self.log = directory / "cluster.log"
        self.process = subprocess.Popen(
            [BINARY, "cluster", "--data", directory / "data", "--listen", f"127.0.0.1:{self.port}",
             "--http", f"127.0.0.1:{self.port + 100}", "--set", "num.partitions=6"],
            stdout=subprocess.DEVNULL, stderr=open(self.log, "wb"))
        try:
            until(lambda: self.text.count("takes clients") == 3, 60)
        except BaseException:
            self.end()
            raise

    @property
    def text(self):
        return self.log.read_text()

    def node(self, number):
        """The newest process of a node."""
        return int(re.findall(rf"node {number}(?:: process| is started as process) (\d+)", self.text)[-1])

    def martlet(self, *words):
        done = subprocess.run(
            [BINARY, *words, "-b", f"127.0.0.1:{self.port}"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def describe(self, topic):
        return json.loads(self.martlet("topic", "describe", topic, "--json"))["partitions"]

    def sum(self, name, pages=None, **labels):
        return sum(page.value(name, **labels) or 0 for page in pages or self.pages)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    assert cluster.end() == 0, cluster.text


def test_a_killed_node_is_a_line_for_everything_that_happens_and_is_in_the_metrics(cluster, topic):
    cluster.martlet("topic", "create", topic)
    until(lambda: all(part["leader"] > 0 for part in cluster.describe(topic)))
    until(lambda: all(sorted(part["inSync"]) == [1, 2, 3] for part in cluster.describe(topic)), 60)
    until(lambda: all(part["highWatermark"] == 0 for part in cluster.describe(topic)), 60)
    assert all(sorted(part["replicas"]) == [1, 2, 3] for part in cluster.describe(topic))
    until(lambda: cluster.sum("martlet_partitions", role="leader") == 6, 60)
    until(lambda: cluster.sum("martlet_partitions", role="follower") == 12, 60)
    until(lambda: cluster.sum("martlet_under_replicated_partitions") == 0, 60)
    # On a busy machine a node is lost from sight now and then, and found again.
    until(lambda: cluster.sum("martlet_metadata_leader") == 1, 60)
    for number, page in enumerate(cluster.pages, 1):
        for other in {1, 2, 3} - {number}:
            until(lambda: page.value("martlet_peer_connected", peer=str(other)) == 1, 60)
            until(lambda: page.value("martlet_replication_lag_records", peer=str(other)) == 0, 60)
            assert page.value("martlet_peer_bytes_in_total", peer=str(other)) > 0
    lines = "".join(f"{n}\n" for n in range(100))
    subprocess.run([BINARY, "produce", topic, "-b", f"127.0.0.1:{cluster.port}"], input=lines, text=True, check=True, timeout=60)
    appended = cluster.sum("martlet_append_duration_seconds_count")
    assert appended > 0
    # A batch's acknowledgement may be on its way when it is counted.
    until(lambda: cluster.sum("martlet_commit_duration_seconds_count") >= appended, 60)
    until(lambda: sum(p["highWatermark"] for p in cluster.describe(topic)) == 100, 60)

    # A node that was slow while all began may have given what it leads away: it comes back.
    spread = "6 partitions led by node 1 (2), node 2 (2), node 3 (2)"
    until(lambda: re.findall(r"\d+ partitions? led by .*", cluster.text)[-1:] == [spread], 60)
    won = cluster.sum("martlet_leaderships_won_total", [cluster.pages[0], cluster.pages[2]])
    before = cluster.node(2)
    told = len(cluster.text)
    os.kill(before, signal.SIGKILL)
    # What is said from now on: on a busy machine much may have been said before.
    moved = until(
        lambda: re.search(r"(\d+) partitions? moved from node 2 to .* in [0-9.]+ m?s", cluster.text[told:]), 60)
    assert int(moved.group(1)) > 0
    until(lambda: re.search(r"node 2 has caught up, .* after it was lost", cluster.text[told:]), 60)
    until(lambda: spread in cluster.text[told:].partition("node 2 is back")[2], 60)
    text = cluster.text[told:]
    places = [text.index(words) for words in (
        "node 2 was killed by signal 9; see", "node 2 is started as process", "node 2 is back and takes clients",
        "node 2 has caught up")]
    assert places == sorted(places)
    assert cluster.node(2) != before
    assert cluster.sum("martlet_leaderships_won_total", [cluster.pages[0], cluster.pages[2]]) >= won + int(moved.group(1))
    until(lambda: cluster.sum("martlet_under_replicated_partitions") == 0, 60)
    until(lambda: cluster.sum("martlet_leaderless_partitions") == 0, 60)
    until(lambda: sum(p["highWatermark"] for p in cluster.describe(topic)) == 100, 60)


def test_a_node_that_stands_still_is_silent_and_answers_again(cluster, topic):
    cluster.martlet("topic", "create", topic)
    until(lambda: cluster.sum("martlet_partitions", role="leader") == 6, 60)
    process = cluster.node(3)
    told = len(cluster.text)
    os.kill(process, signal.SIGSTOP)
    try:
        until(lambda: "node 3 does not answer" in cluster.text[told:], 60)
        others = cluster.pages[:2]
        until(lambda: cluster.sum("martlet_under_replicated_partitions", others) == 6, 60)
        until(lambda: cluster.sum("martlet_peer_connected", others, peer="3") == 0, 60)
        until(lambda: all(3 not in p["inSync"] and p["leader"] in (1, 2) for p in cluster.describe(topic)), 60)
    finally:
        silent = len(cluster.text)
        os.kill(process, signal.SIGCONT)
    for words in ("node 3 answers again", "node 3 has caught up"):
        until(lambda: words in cluster.text[silent:], 60)
    assert cluster.node(3) == process


def test_nodes_end_with_who_has_started_them(tmp_path):
    cluster = Cluster(tmp_path)
    first = cluster.port
    try:
        os.kill(cluster.node(2), signal.SIGKILL)
        # One that was started again later is no exception.
        until(lambda: "node 2 is back and takes clients" in cluster.text, 60)
    finally:
        cluster.process.kill()
        cluster.process.wait()

    def is_free(port):
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED

    ports = [*range(first, first + 3), *range(first + 10_000, first + 10_003), *range(first + 100, first + 103)]
    until(lambda: all(map(is_free, ports)), 30)


@pytest.mark.parametrize("http", [9192, 9194, 19190, 9190])
def test_pages_are_not_where_nodes_listen(tmp_path, http):
    done = subprocess.run(
        [BINARY, "cluster", "--data", tmp_path / "data", "--listen", "127.0.0.1:9192", "--http", f"127.0.0.1:{http}"],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "--listen" in done.stderr and "gives pages the ports" in done.stderr, done.stderr
    assert not (tmp_path / "data").exists()


def test_on_a_terminal_it_is_a_screen_that_is_drawn_again(tmp_path):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [BINARY, "cluster", "--data", tmp_path / "data", "--listen", f"127.0.0.1:{free_port()}"],
        stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = ""

    def screen():
        nonlocal shown
        if select.select([ours], [], [], 0.1)[0]:
            try:
                shown += os.read(ours, 65_536).decode()
            except OSError:
                # Its end: nobody has the other side any more.
                process.wait(timeout=20)
        # What was drawn last, as a whole.
        frames = re.split(r"\x1b\[(?:\d+A|\?25l)", shown)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", frames[-2]).splitlines() if len(frames) > 1 else []

    try:
        # The screen that has it is the one to look at: the next may say something else.
        def whole(lines):
            return lines if sum(bool(re.match(r"[123] +up +0 +0 ", line)) for line in lines) == 3 else None

        lines = until(lambda: whole(screen()), 60)
        assert len(lines) <= 23 and max(map(len, lines)) <= 80, lines
        assert lines[0].startswith("martlet cluster") and lines[2].startswith("node  state")
        found = next(re.match(r"2 +up +\d+ +\d+ +\d+ +(\d+) +1 ", line) for line in lines if line.startswith("2 "))
        os.kill(int(found.group(1)), signal.SIGKILL)
        until(lambda: any("node 2 was killed by signal 9" in line for line in screen()), 60)
        until(lambda: any(re.match(r"2 +up .* 2  127", line) for line in screen()), 60)
        process.send_signal(signal.SIGINT)
        until(lambda: screen() is None or process.poll() is not None)
        assert process.returncode == 0 and shown.rstrip().endswith("\x1b[?25h")
    finally:
        process.kill()
        process.wait()
        os.close(ours)
