"""Real nodes, real clients, real trouble: a history of all of it, and its verdict.

    .venv/bin/python Tests/Chaos/chaos.py --minutes 10 --faults kill,pause,power --seed 7 [--nodes 3]

Nodes run in a network and on disks of their own (network.py, disks.py); clients produce, read, commit and ask
(loads.py) while faults come and go (faults.py). Then all is healed and must go on, everything is read, by a client and
from the files of each node, and `martlet-check` judges. Exits with 0 if the history is clean. A history that is not is
kept, with what is needed to run it again. Needs root.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient, NewTopic

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "Clients"))

import faults
from disks import PlainDisk, PoweredDisk, dies_with_parent, run
from history import History
from network import CLIENTS, Network
from nodes import Node
from waiting import until

ROOT = HERE.parents[1]
TOPIC = "chaos"
# What a node may use, with this load.
LIMITS = {"rss": 700 << 20, "files": 2000, "threads": 200, "disk": -1}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--faults", default="usual", help="names with commas: " + ", ".join(faults.ALL))
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--rate", type=int, default=400, help="records per second of each of three producers")
    parser.add_argument("--pace", type=float, default=1, help="times as many faults")
    parser.add_argument("--gap", type=int, default=None, help="milliseconds without an acknowledgement that are blamed")
    parser.add_argument("--patience", type=float, default=60, help="seconds that going on or ending may take")
    parser.add_argument("--binaries", type=pathlib.Path, default=ROOT / ".build" / "release")
    parser.add_argument("--keep", type=pathlib.Path, default=ROOT / ".build" / "chaos", help="where bad histories go")
    parser.add_argument("--plain", action="store_true", help="directories, not disks: no fault of disks")
    parser.add_argument("--plant", choices=["lose", "no-sync"], help="a bug that must be found")
    return parser.parse_args()


class Cluster:
    def __init__(self, options, place):
        self.options = options
        self.place = place
        numbers = range(1, options.nodes + 1)
        self.network = Network(numbers)
        members = ",".join(f"{n}@{self.network.address(n)}:9092/19092" for n in numbers)
        environment = self.forgetful() if options.plant == "no-sync" else {}
        self.nodes = [
            Node(
                n, options.binaries / "martlet", self.disk(n), self.network, members if options.nodes > 1 else None,
                place / f"node-{n}.log", environment)
            for n in numbers]
        # Whose files have a flipped bit, or are older than they were, if there is one.
        self.harmed = None
        self.servers = ",".join(node.address for node in self.nodes)

    def disk(self, number):
        place = self.place / f"disk-{number}"
        if self.options.plain:
            return PlainDisk(place)
        return PoweredDisk(place, self.options.binaries / "forgetful-file", 1 << 30)

    def is_whole(self, is_quiet=False):
        """Every partition has a leader, and all its replicas are in sync; if nothing is written, they are equal."""
        pages = [node.gauges() for node in self.nodes]
        if not all(pages):
            return False

        def total(name):
            return sum(page.get(name, 0) for page in pages)

        def role(name):
            return total(f'martlet_partitions{{role="{name}"}}')

        return (
            role("leader") >= self.options.partitions and role("follower") == role("leader") * (len(self.nodes) - 1)
            and role("learner") + role("fenced") + role("candidate") == 0
            and total("martlet_leaderless_partitions") + total("martlet_under_replicated_partitions") == 0
            and (not is_quiet or total("martlet_replication_lag_records") == 0))

    def forgetful(self):
        """The planted bug: a journal whose flushes do nothing."""
        library = self.place / "forgetful.so"
        source = ROOT / "Tests" / "PowerCuts" / "CForgetfulSync"
        run("cc", "-shared", "-fPIC", "-O2", "-I", source / "include", "-o", library, source / "forgetful_sync.c")
        return {"LD_PRELOAD": str(library), "MARTLET_FORGETFUL_SYNC": "1"}

    def remove(self):
        for node in self.nodes:
            node.kill()
            node.disk.remove()


class Client:
    """A process of loads.py, in the clients' network."""

    def __init__(self, cluster, role, process, spec):
        self.role = role
        self.count = 0
        spec = {
            "process": process, "servers": cluster.servers, "topic": TOPIC, "seed": cluster.options.seed + process,
            "partitions": cluster.options.partitions, **spec}
        spec["history"] = str(cluster.place / f"{role}-{process}.jsonl")
        command = [*cluster.network.inside(CLIENTS), sys.executable, HERE / "loads.py", role, json.dumps(spec)]
        self.log = open(cluster.place / "clients.log", "ab")
        self.process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=self.log, preexec_fn=dies_with_parent)
        os.set_blocking(self.process.stdout.fileno(), False)

    def acknowledged(self):
        lines = (self.process.stdout.read() or b"").split()
        if lines:
            self.count = int(lines[-1])
        return self.count


class Run:
    def __init__(self, options):
        self.options = options
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="martlet-chaos-", dir="/dev/shm"))
        self.history = History(self.place / "trouble.jsonl")
        self.wrong = []
        self.clients = []

    def call(self):
        options = self.options
        cluster = None
        try:
            cluster = self.cluster = Cluster(options, self.place)
            cluster.wait = self.wait
            cluster.wrong = self.wrong
            self.begin()
            self.trouble()
            self.calm()
            self.finish()
        except Exception as error:
            # A mistake of this program is said like one of theirs: nothing was judged as it should be.
            self.wrong.append(f"{type(error).__name__}: {error}")
            traceback.print_exc()
        finally:
            for client in self.clients:
                client.process.kill()
                client.process.wait()
            if cluster:
                cluster.remove()
        try:
            return self.judge()
        finally:
            shutil.rmtree(self.place, ignore_errors=True)

    # Phases.

    def begin(self):
        cluster, options = self.cluster, self.options
        note = self.history.note
        note(0, "cluster", nodes=options.nodes)
        note(0, "limits", **LIMITS)
        for partition in range(options.partitions):
            note(0, "name", of="partition", number=partition, text=f"{TOPIC}-{partition}")
        for number, group in ((1, "readers"), (2, "generations")):
            note(0, "name", of="group", number=number, text=group)
        self.history.flush()
        for node in cluster.nodes:
            node.start()
        until(self.make_topic, 60, "a topic")
        # One gives up soon: of some records nobody knows what became. Not one that is idempotent: after it has given up
        # on one, librdkafka sends what was under way with it again in a new epoch, and so makes the copies itself.
        for process, idempotent, timeout in ((1000, True, 300), (2000, True, 300), (3000, False, 3)):
            spec = {"rate": options.rate, "inflight": 2000, "idempotent": idempotent, "timeout": timeout}
            spec["patience"] = options.patience
            self.add("writer", process, spec)
        for process in (10000, 11000):
            self.add("member", process, {})
        for process in (12000, 13000):
            self.add("generations", process, {})
        self.add("reader", 20000, {})
        self.add("asker", 30000, {"nodes": {node.number: node.address for node in cluster.nodes}})
        self.goes_on("the load")

    def add(self, role, process, spec):
        self.history.note(process, "name", of="process", number=process, text=role)
        self.clients.append(Client(self.cluster, role, process, spec))

    def make_topic(self):
        """In the clients' network; the ids of logs are named after the topic's."""
        script = f"""
import sys; sys.path.insert(0, {str(HERE)!r})
from chaos import topic_id
print(topic_id({self.cluster.servers!r}, {self.options.partitions}, {self.options.nodes}))
"""
        command = [*self.cluster.network.inside(CLIENTS), sys.executable, "-c", script]
        done = subprocess.run(command, capture_output=True, text=True)
        self.topic = done.stdout.strip()
        if not self.topic:
            time.sleep(0.5)
        return self.topic

    def trouble(self):
        names = [name for name in self.names() if self.can(faults.ALL[name])]
        if not names:
            raise RuntimeError("no fault that is possible here")
        print(f"seed {self.options.seed}: {', '.join(names)}", flush=True)
        self.rotation = faults.Trouble(self.cluster, names, self.options.seed, self.history, self.options.pace)
        end = time.monotonic() + self.options.minutes * 60
        while time.monotonic() < end:
            self.rotation.turn(self.wait)

    def names(self):
        names = faults.USUAL if self.options.faults == "usual" else self.options.faults.split(",")
        for name in names:
            if name not in faults.ALL:
                raise RuntimeError(f"there is no fault {name}")
        return names

    def can(self, fault):
        if self.options.nodes < fault.nodes_min:
            return False
        return not (self.options.plain and fault.needs_power)

    def wait(self, seconds):
        """Passes the time, and looks after things meanwhile."""
        end = time.monotonic() + seconds
        while True:
            self.look()
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.25))

    def look(self):
        now = time.monotonic()
        for node in self.cluster.nodes:
            if (why := node.watch()) and why not in self.wrong:
                self.wrong.append(why)
        if now - getattr(self, "sampled", 0) < 1:
            return
        self.sampled = now
        for node in self.cluster.nodes:
            if usage := node.usage():
                self.history.note(0, "used", node=node.number, **usage)
        for client in list(self.clients):
            client.acknowledged()
            if client.process.poll() is not None:
                self.wrong.append(f"the {client.role} ended with {client.process.returncode}")
                self.clients.remove(client)
        self.history.flush()

    def goes_on(self, what):
        """Every producer is acknowledged something from now on."""
        seconds = self.options.patience
        writers = [client for client in self.clients if client.role == "writer"]
        before = {client: client.acknowledged() for client in writers}
        deadline = time.monotonic() + seconds
        while any(client.acknowledged() <= before[client] for client in writers):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not go on within {seconds:g} s")
            self.wait(0.1)

    def calm(self):
        """All is healed: it must go on."""
        for node in self.cluster.nodes:
            node.start()
        healed = time.monotonic()
        try:
            self.goes_on("after everything was healed, the load")
            print(f"goes on after {time.monotonic() - healed:.1f} s", flush=True)
        except TimeoutError as error:
            # What is there is read all the same.
            self.wrong.append(str(error))
        self.be_whole("under load")

    def be_whole(self, when, is_quiet=False):
        seconds = self.options.patience
        begun = time.monotonic()
        while not self.cluster.is_whole(is_quiet):
            if time.monotonic() - begun > seconds:
                self.wrong.append(f"not every replica is in sync after {seconds:g} s {when}")
                return
            self.wait(0.1)
        print(f"all replicas are in sync after {time.monotonic() - begun:.1f} s {when}", flush=True)

    def finish(self):
        options = self.options
        order = sorted(self.clients, key=lambda client: client.role != "writer")
        for client in order:
            client.process.terminate()
        self.clients = []
        for client in order:
            try:
                status = client.process.wait(options.patience + 30)
            except subprocess.TimeoutExpired:
                client.process.kill()
                status = client.process.wait()
            if status != 0:
                self.wrong.append(f"the {client.role} ended with {status} when it was asked to end")
        self.be_whole("without load", is_quiet=True)
        final = Client(self.cluster, "final", 90000, {"lose": options.plant == "lose"})
        self.clients = [final]
        if final.process.wait(600) != 0:
            self.wrong.append("the final read failed")
        self.clients = []
        for node in self.cluster.nodes:
            if not node.stop():
                self.wrong.append(f"node {node.number} did not end when it was asked to")
        logs = [f"{self.topic}-{p}={p}" for p in range(options.partitions)]
        for node in self.cluster.nodes:
            path = self.place / f"replica-{node.number}.jsonl"
            command = [options.binaries / "replica-reader", node.data, node.number, time.monotonic_ns(), *logs]
            with open(path, "wb") as file:
                done = subprocess.run([str(word) for word in command], stdout=file, stderr=subprocess.PIPE, text=True)
            if done.returncode == 0:
                continue
            if node is self.cluster.harmed and "is damaged near byte" in done.stderr:
                print(f"of node {node.number} not all is compared: a flip that nobody has found yet", flush=True)
            else:
                self.wrong.append(f"node {node.number}: {done.stderr.strip()}")

    # The verdict.

    def judge(self):
        self.history.flush()
        histories = sorted(self.place.glob("*.jsonl"))
        command = [self.options.binaries / "martlet-check"]
        if self.options.gap:
            command += ["--gap", self.options.gap]
        done = subprocess.run([str(word) for word in [*command, *histories]], capture_output=True, text=True)
        print(done.stdout + done.stderr, end="")
        for line in self.wrong:
            print(f"WRONG: {line}")
        if done.returncode == 0 and not self.wrong:
            return 0
        kept = self.options.keep / f"{self.options.seed}-{time.strftime('%Y%m%d-%H%M%S')}"
        kept.mkdir(parents=True)
        for path in [*histories, *self.place.glob("*.log")]:
            shutil.copy(path, kept)
        (kept / "report.txt").write_text(" ".join(sys.argv) + "\n" + done.stdout + "\n".join(self.wrong) + "\n")
        print(f"kept in {kept}; again with --seed {self.options.seed}")
        return 1


def topic_id(servers, partitions, replicas):
    """Makes the topic, if it is not there; its id, as the names of logs have it."""
    admin = AdminClient({"bootstrap.servers": servers})
    if TOPIC not in admin.list_topics(timeout=5).topics:
        admin.create_topics([NewTopic(TOPIC, partitions, replicas)])[TOPIC].result(20)
    described = admin.describe_topics(TopicCollection([TOPIC]))[TOPIC].result(20)
    return str(described.topic_id).translate(str.maketrans("+/", "-_")).rstrip("=")


def main():
    options = arguments()
    if options.seed is None:
        options.seed = random.randrange(1 << 32)
    if os.environ.get("MARTLET_CHAOS_INSIDE") != "1":
        # A network and mounts of its own, that go when it does.
        os.environ["MARTLET_CHAOS_INSIDE"] = "1"
        words = [sys.executable, os.path.abspath(__file__), *sys.argv[1:]]
        if "--seed" not in " ".join(words):
            words += ["--seed", str(options.seed)]
        os.execvp("unshare", ["unshare", "--net", "--mount", *words])
    sys.exit(Run(options).call())


if __name__ == "__main__":
    main()
