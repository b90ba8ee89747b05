"""The servers that bench/throughput measures, each started for one turn and removed after it."""

import json
import math
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / ".build" / "release"
NATS = ROOT / ".venv" / "bin" / "nats-server"


class Process:
    """A server that says on standard error where it listens."""

    def __init__(self, command, directory):
        self.directory = directory
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if match := re.search(r" on 127\.0\.0\.1:(\d+)$", line.strip()):
                self.address = f"127.0.0.1:{match.group(1)}"
                return
        sys.exit("the server did not start: " + " ".join(map(str, command)))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)
        shutil.rmtree(self.directory, ignore_errors=True)


class MartletCluster:
    def __init__(self, directory, port, settings):
        self.directory = directory
        command = [BUILD / "martlet", "cluster", "--data", directory, "--nodes", "3"]
        command += ["--listen", f"127.0.0.1:{port}"]
        for setting in settings:
            command += ["--set", setting]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.address = ",".join(f"127.0.0.1:{port + index}" for index in range(3))
        for index in range(3):
            accepts(port + index)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)
        shutil.rmtree(self.directory, ignore_errors=True)


class Kafka:
    def __init__(self, tool, directory, nodes, port, settings):
        self.tool, self.directory = tool, directory
        config = directory.parent / f"{directory.name}.properties"
        config.write_text(settings)
        command = [tool, "start", directory, "--nodes", str(nodes), "--port", str(port)]
        subprocess.run([*command, "--config", config], check=True, stdout=subprocess.DEVNULL)
        self.address = ",".join(f"127.0.0.1:{port + index}" for index in range(nodes))

    def stop(self):
        subprocess.run([self.tool, "stop", self.directory], stdout=subprocess.DEVNULL)
        shutil.rmtree(self.directory, ignore_errors=True)


class Nats:
    """Three JetStream servers; `clients/nats_load.py` makes a stream of three replicas for each
    partition."""

    def __init__(self, directory, port, sync):
        self.directory = directory
        self.processes = []
        routes = ", ".join(f"nats-route://127.0.0.1:{port + 100 + index}" for index in range(3))
        for index in range(3):
            place = directory / str(index)
            place.mkdir(parents=True)
            config = place / "nats.conf"
            config.write_text(
                f"server_name: n{index}\nlisten: 127.0.0.1:{port + index}\n"
                f"jetstream {{ store_dir: {json.dumps(str(place))}, max_file: 20GB, max_mem: 1GB\n"
                + ("sync_interval: always\n" if sync else "")
                + f"}}\ncluster {{ name: bench, listen: 127.0.0.1:{port + 100 + index}\n"
                f"routes: [{routes}] }}\n"
            )
            log = open(place / "log", "w")
            self.processes.append(subprocess.Popen([NATS, "-c", config], stdout=log, stderr=log))
        self.address = ",".join(f"127.0.0.1:{port + index}" for index in range(3))
        for index in range(3):
            accepts(port + index)

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(timeout=30)
        shutil.rmtree(self.directory, ignore_errors=True)


def peak_memory(directory):
    """MB that the largest of the processes that were given the directory has ever had resident; nan if there is
    none."""
    found = []
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            words = (status.parent / "cmdline").read_bytes()
            text = status.read_text()
        except OSError:
            continue
        if str(directory).encode() in words and (peak := re.search(r"VmHWM:\s+(\d+) kB", text)):
            found.append(int(peak.group(1)) / 1024)
    return max(found, default=math.nan)


def accepts(port):
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing listens on port {port} after 30 s")


def start(name, directory, peers, nodes):
    partitions = 6 if nodes == 1 else 12
    if name == "martlet":
        if nodes == 3:
            return MartletCluster(directory, 19192, [f"num.partitions={partitions}"])
        command = [BUILD / "martlet", "serve", "--data", directory, "--listen", "127.0.0.1:0"]
        return Process([*command, "--set", f"num.partitions={partitions}"], directory)
    if name == "ceiling":
        return Process([BUILD / "CeilingBroker", "127.0.0.1:0"], directory)
    if name == "ceiling-fsync":
        return Process([BUILD / "CeilingBroker", "127.0.0.1:0", "--sync", directory], directory)
    if name.startswith("nats"):
        return Nats(directory, 24222, sync=name == "nats-fsync")
    settings = f"num.partitions={partitions}\n"
    if name == "kafka-fsync":
        settings += "log.flush.interval.messages=1\n"
    return Kafka(peers / "kafka" / "kafka", directory, nodes, 29092, settings)
