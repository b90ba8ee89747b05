"""Nodes of a cluster, as processes: a place for each, and what is done to it."""

import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.request

from disks import dies_with_parent

SETTINGS = ["group.initial.rebalance.delay.ms=100", "group.min.session.timeout.ms=1000"]


class Node:
    def __init__(self, number, program, disk, network, cluster, log, environment=None):
        self.number = number
        self.program = program
        self.disk = disk
        self.network = network
        self.cluster = cluster
        self.log = pathlib.Path(log)
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        # Why the process may have ended, if it did; what ends without a reason is a crash.
        self.excuse = None
        self.started = 0

    @property
    def data(self):
        return self.disk.mount / "data"

    @property
    def address(self):
        return f"{self.network.address(self.number)}:9092"

    @property
    def http(self):
        return f"{self.network.address(self.number)}:9099"

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def start(self):
        if self.is_running:
            return
        command = [*self.network.inside(self.number), self.program, "serve", "--data", self.data]
        command += ["--node", self.number, "--listen", self.address, "--http", self.http]
        if self.cluster:
            command += ["--cluster", self.cluster]
        for setting in SETTINGS:
            command += ["--set", setting]
        self.excuse = None
        self.started = time.monotonic()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdout=log, stderr=log, preexec_fn=dies_with_parent,
                env=self.environment)

    def kill(self):
        if self.process:
            self.excuse = "killed"
            self.process.kill()
            self.process.wait()

    def stop(self, seconds=30):
        """As a supervisor would; True if it ended by itself and well."""
        if not self.is_running:
            return True
        self.excuse = "stopped"
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            self.kill()
            return False

    def pause(self):
        if self.is_running:
            self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        if self.is_running:
            self.process.send_signal(signal.SIGCONT)

    def watch(self):
        """What it said last, if it has ended without a reason; it is started again, though not at once."""
        if self.process is None or self.is_running or self.excuse:
            return None
        if time.monotonic() - self.started < 1:
            return None
        last = self.log.read_text(errors="replace").splitlines()[-1:]
        status = self.process.returncode
        self.start()
        return f"node {self.number} ended by itself with {status}: {''.join(last)}"

    def gauges(self):
        """What its page says, by name and labels, with sums over peers; None if it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self.http}/metrics", timeout=2) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return None
        found = {}
        for line in lines:
            if line.startswith("martlet_"):
                name, value = line.rsplit(" ", 1)
                name = re.sub(r'\{peer="\d+"\}', "", name)
                found[name] = found.get(name, 0) + float(value)
        return found

    def usage(self):
        """Bytes of memory, descriptors, threads and bytes of disk, as far as they can be told."""
        try:
            directory = pathlib.Path(f"/proc/{self.process.pid}")
            status = dict(line.split(":", 1) for line in (directory / "status").read_text().splitlines())
            descriptors = len(os.listdir(directory / "fd"))
            if "VmRSS" not in status:
                return None
            return {
                "rss": int(status["VmRSS"].split()[0]) << 10, "files": descriptors,
                "threads": int(status["Threads"])}
        except (OSError, KeyError, AttributeError):
            return None
