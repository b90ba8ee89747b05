"""What is done to the nodes. A fault begins, lasts, and is undone; then all is as it was, but for what was lost."""

import os
import random
import shutil

from network import CLIENTS


class Fault:
    """`nodes` are what it is done to, and `away` those that it takes away: the others, if they are a majority, must still
    answer."""

    name = ""
    # With fewer nodes it is not possible, or what was acknowledged may be lost by it.
    nodes_min = 1
    needs_power = False

    def __init__(self, cluster, dice):
        self.cluster = cluster
        self.dice = dice
        self.node = dice.choice(cluster.nodes)
        self.nodes = [self.node]

    @property
    def away(self):
        return self.nodes

    def begin(self):
        raise NotImplementedError

    def undo(self):
        raise NotImplementedError


class Kill(Fault):
    name = "kill"

    def begin(self):
        self.node.kill()

    def undo(self):
        self.node.start()


class Restart(Fault):
    name = "restart"

    def begin(self):
        if not self.node.stop():
            self.cluster.wrong.append(f"node {self.node.number} did not end when it was asked to")

    def undo(self):
        self.node.start()


class Pause(Fault):
    name = "pause"

    def begin(self):
        self.node.pause()

    def undo(self):
        self.node.resume()


class Power(Fault):
    """The power of a node fails: of what no flush has covered, a part is lost."""

    name = "power"
    needs_power = True

    def begin(self):
        for node in self.nodes:
            node.excuse = "no power"
            node.disk.cut(self.dice.getrandbits(60), self.dice.choice([10, 50, 90, 100]))
        for node in self.nodes:
            node.kill()

    def undo(self):
        for node in self.nodes:
            node.disk.restore()
            node.start()


class PowerOfAll(Power):
    name = "power-all"

    def __init__(self, cluster, dice):
        super().__init__(cluster, dice)
        self.nodes = list(cluster.nodes)


class FullDisk(Fault):
    name = "full"
    needs_power = True

    def begin(self):
        self.node.disk.fill()

    def undo(self):
        self.node.disk.empty()


class SlowDisk(Fault):
    name = "slow"
    needs_power = True

    def begin(self):
        self.node.disk.slow(self.dice.choice([5, 20, 100, 500]))

    def undo(self):
        self.node.disk.heal()


class FailingFlushes(Fault):
    """Flushes fail; afterwards the machine has another disk controller, and the same disk."""

    name = "fail"
    needs_power = True

    def begin(self):
        self.node.excuse = "its disk fails"
        self.node.disk.fail_flushes()

    def undo(self):
        self.node.kill()
        self.node.disk.restore()
        self.node.start()


class Partition(Fault):
    """A node and some of the others, or the clients, do not hear each other; or only one does not hear the other."""

    name = "partition"

    def __init__(self, cluster, dice):
        super().__init__(cluster, dice)
        others = [node.number for node in cluster.nodes if node is not self.node]
        kind = dice.choice(["isolated", "isolated", "one way", "one pair", "clients"]) if others else "clients"
        own = self.node.number
        if kind == "isolated":
            cuts = [pair for other in [*others, CLIENTS] for pair in ((own, other), (other, own))]
        elif kind == "one way":
            cuts = [(own, other) for other in others] if dice.random() < 0.5 else [(other, own) for other in others]
        elif kind == "one pair":
            other = dice.choice(others)
            cuts = [(own, other), (other, own)]
        else:
            cuts = dice.choice([[(own, CLIENTS), (CLIENTS, own)], [(own, CLIENTS)], [(CLIENTS, own)]])
        self.cuts = cuts

    def begin(self):
        for pair in self.cuts:
            self.cluster.network.cut(*pair)

    def undo(self):
        for pair in self.cuts:
            self.cluster.network.mend(*pair)


class PauseAndKill(Fault):
    """A node sleeps while another dies; it wakes up to a world in which it may lead no more."""

    name = "pause-kill"
    nodes_min = 2

    def __init__(self, cluster, dice):
        super().__init__(cluster, dice)
        self.nodes = dice.sample(cluster.nodes, 2)

    def begin(self):
        sleeper, victim = self.nodes
        sleeper.pause()
        self.cluster.wait(self.dice.uniform(0, 1))
        victim.kill()
        self.cluster.wait(self.dice.uniform(0, 0.5))
        sleeper.resume()

    def undo(self):
        self.nodes[1].start()


class PowerAndPartition(Power):
    """A node that has acknowledged is cut off, while the power of another fails."""

    name = "power-partition"
    nodes_min = 3

    def __init__(self, cluster, dice):
        super().__init__(cluster, dice)
        self.alone = Partition(cluster, dice)
        self.nodes = [dice.choice([node for node in cluster.nodes if node is not self.alone.node])]

    def begin(self):
        self.alone.begin()
        super().begin()

    def undo(self):
        if self.dice.random() < 0.5:
            self.alone.undo()
        super().undo()
        self.alone.undo()

    @property
    def away(self):
        return [*self.nodes, self.alone.node]


class BitFlip(Fault):
    """One bit of one file of a node that does not run. It is the same node in the whole run: of damage nobody knows
    before it is read, and so it is in sync; two of three copies must not have any."""

    name = "flip"
    nodes_min = 3

    def __init__(self, cluster, dice):
        super().__init__(cluster, dice)
        self.node = cluster.harmed = cluster.harmed or self.node
        self.nodes = [self.node]

    def begin(self):
        self.node.kill()
        # Whose directory it is only people can say: with that file damaged a node does not start.
        files = sorted(
            path for path in self.node.data.rglob("*")
            if path.is_file() and path.stat().st_size > 0 and path.name != "node.id")
        logs = [path for path in files if path.suffix == ".log"]
        path = self.dice.choice(logs if logs and self.dice.random() < 0.7 else files)
        with open(path, "r+b") as file:
            position = self.dice.randrange(path.stat().st_size)
            file.seek(position)
            byte = file.read(1)[0]
            file.seek(position)
            file.write(bytes([byte ^ 1 << self.dice.randrange(8)]))

    def undo(self):
        self.node.start()


class Rollback(Fault):
    """A node's files are those of a while ago. Its votes are gone with them: more than a crash may do. It is the
    same node in the whole run: two of three that have forgotten what they had are more than a majority can mend."""

    name = "rollback"
    nodes_min = 3

    def __init__(self, cluster, dice):
        super().__init__(cluster, dice)
        self.node = cluster.harmed = cluster.harmed or self.node
        self.nodes = [self.node]

    def begin(self):
        self.node.kill()
        kept = self.node.disk.mount / "kept"
        if kept.exists() and self.dice.random() < 0.5:
            shutil.rmtree(self.node.data)
            kept.rename(self.node.data)
        else:
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(self.node.data, kept)
        # A copy that a power cut takes half of is no copy.
        os.sync()

    def undo(self):
        self.node.start()


ALL = {
    fault.name: fault
    for fault in (
        Kill, Restart, Pause, Power, PowerOfAll, FullDisk, SlowDisk, FailingFlushes, Partition, PauseAndKill,
        PowerAndPartition, BitFlip, Rollback)
}
# A node that forgets its votes breaks what Raft stands on: only who asks for it has it.
USUAL = [name for name in ALL if name != "rollback"]


class Trouble:
    """A random few of the faults, other ones every few seconds, and a quarter of the time none."""

    def __init__(self, cluster, names, seed, history, pace):
        self.cluster = cluster
        self.history = history
        self.pace = pace
        self.dice = random.Random(seed)
        self.kinds = [ALL[name] for name in names]
        self.number = 0

    def turn(self, pass_time):
        """`pass_time(seconds)` passes the time."""

        def wait(seconds):
            pass_time(seconds / self.pace)

        faults = []
        if self.dice.random() >= 0.25:
            for _ in range(self.dice.choice([1, 1, 2])):
                fault = self.dice.choice(self.kinds)(self.cluster, self.dice)
                busy = {node for _, other in faults for node in other.away}
                if busy & set(fault.away):
                    continue
                self.begin(fault, faults)
                wait(self.dice.uniform(0, 0.5))
        wait(self.dice.choice([0.05, 0.5, 1, 2, 4]) * self.dice.uniform(0.5, 1.5))
        self.dice.shuffle(faults)
        for number, fault in faults:
            fault.undo()
            self.history.note(0, "healed", id=number)
            self.history.flush()
            wait(self.dice.uniform(0, 0.5))
        wait(self.dice.uniform(0.5, 4))

    def begin(self, fault, faults):
        self.number += 1
        self.history.note(0, "fault", id=self.number, text=fault.name, nodes=[node.number for node in fault.away])
        self.history.flush()
        fault.begin()
        faults.append((self.number, fault))
