"""A network of its own: each node, and the clients, in a namespace with one link to a router, which this process is.

Packets are dropped where they are forwarded, from one to another, so that neither end is told: connections that are there
stay, and wait. Needs root, and a network and a mount namespace of its own, which go with the process that has them.
"""

import pathlib

from disks import run

CLIENTS = 0


class Network:
    def __init__(self, nodes):
        self.cuts = set()
        names = pathlib.Path("/run/netns")
        names.mkdir(exist_ok=True)
        # Names are files; those of others stay where they are.
        run("mount", "-t", "tmpfs", "tmpfs", names)
        run("ip", "link", "set", "lo", "up")
        pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        for number in [CLIENTS, *nodes]:
            name, link = f"n{number}", f"v{number}"
            run("ip", "netns", "add", name)
            run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
            run("ip", "addr", "add", f"10.77.{number}.1/24", "dev", link)
            run("ip", "link", "set", link, "up")
            run("ip", "-n", name, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
            for interface in ("eth0", "lo"):
                run("ip", "-n", name, "link", "set", interface, "up")
            run("ip", "-n", name, "route", "add", "default", "via", f"10.77.{number}.1")

    def address(self, number):
        return f"10.77.{number}.2"

    def inside(self, number):
        """Words before a command that is to run there: without mounts of its own, which would keep a disk mounted."""
        return ["nsenter", f"--net=/run/netns/n{number}"]

    def rule(self, verb, source, target):
        run("ip", "rule", verb, "prio", "10", "iif", f"v{source}", "to", self.address(target), "blackhole")

    def cut(self, source, target):
        """What the one sends does not reach the other."""
        if (source, target) not in self.cuts:
            self.cuts.add((source, target))
            self.rule("add", source, target)

    def mend(self, source, target):
        if (source, target) in self.cuts:
            self.cuts.discard((source, target))
            self.rule("del", source, target)
