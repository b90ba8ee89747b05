"""The parts of the chaos runner, each by itself, and short runs: .venv/bin/pytest -rs Tests/Chaos (root).

CHAOS_BINARIES is where martlet, martlet-check, replica-reader and forgetful-file are, if not in .build/release.
"""

import errno
import os
import pathlib
import subprocess
import sys
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
BINARIES = pathlib.Path(os.environ.get("CHAOS_BINARIES", HERE.parents[1] / ".build" / "release"))



def missing():
    """Why this machine cannot do that to itself, if it cannot."""
    if os.getuid() != 0:
        return "mounts and namespaces need root"
    for path in ("/dev/loop-control", "/dev/fuse", *(BINARIES / name for name in ("martlet", "forgetful-file"))):
        if not os.path.exists(path):
            return f"{path} is not there"
    done = subprocess.run(["unshare", "--net", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    return None if done.returncode == 0 else "no namespaces or mounts: " + done.stderr.decode().strip()


MISSING = missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=MISSING or "")


def inside(script, *arguments):
    """Runs it in a network and with mounts that go when it ends."""
    head = f"import sys; sys.path.insert(0, {str(HERE)!r}); import os, time, socket\n"
    command = ["unshare", "--net", "--mount", sys.executable, "-c", head + script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def chaos(tmp_path, *arguments):
    command = [sys.executable, HERE / "chaos.py", "--binaries", BINARIES, "--keep", tmp_path, *arguments]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=400)
    print(done.stdout, done.stderr)
    return done.returncode, done.stdout


# Disks.

DISK = """
from disks import PoweredDisk
disk = PoweredDisk(sys.argv[1] + "/disk", sys.argv[2] + "/forgetful-file", 64 << 20)
def write(name, sync):
    file = os.open(disk.mount / name, os.O_WRONLY | os.O_CREAT)
    os.write(file, b"x" * 8192)
    try:
        if sync:
            os.fsync(file)
        return 0
    except OSError as error:
        return error.errno
    finally:
        os.close(file)
def there(name):
    path = disk.mount / name
    return int(path.exists() and path.read_bytes() == b"x" * 8192)
"""


def test_a_power_cut_leaves_what_was_flushed(tmp_path):
    script = DISK + """
write("kept", True)
write("lost", False)
disk.cut(7, 100)
disk.restore()
print(there("kept"), there("lost"))
disk.remove()
"""
    assert inside(script, tmp_path, BINARIES) == ["1", "0"]


def test_a_disk_fails_is_checked_and_works(tmp_path):
    script = DISK + """
write("before", True)
disk.fail_flushes()
print(write("during", True))
disk.restore()
print(write("after", True), there("before"), there("after"))
disk.remove()
"""
    assert inside(script, tmp_path, BINARIES) == [str(errno.EIO), "0", "1", "1"]


def test_a_disk_takes_its_time_or_is_full(tmp_path):
    script = DISK + """
def seconds():
    start = time.monotonic()
    write(str(start), True)
    return time.monotonic() - start
# The least of a few: anything may take long on a busy machine.
quick = min(seconds() for _ in range(5))
disk.slow(500)
slow = seconds()
disk.heal()
print(int(quick < 0.5), int(slow >= 0.5))
disk.fill()
try:
    os.posix_fallocate(os.open(disk.mount / "more", os.O_WRONLY | os.O_CREAT), 0, 8192)
    print(0)
except OSError as error:
    print(error.errno)
disk.empty()
print(write("room", True))
disk.remove()
"""
    assert inside(script, tmp_path, BINARIES) == ["1", "1", str(errno.ENOSPC), "0"]


def test_a_disk_that_is_in_use_is_not_said_to_be_restored(tmp_path):
    script = DISK + """
import subprocess
other = subprocess.Popen(
    ["unshare", "--mount", "sh", "-c", "echo ready; exec sleep 60"], stdout=subprocess.PIPE, text=True)
other.stdout.readline()
disk.cut(7, 100)
try:
    disk.restore()
except RuntimeError as error:
    print("refused")
other.kill()
other.wait()
disk.remove()
"""
    assert inside(script, tmp_path, BINARIES) == ["refused"]


# The network.


def test_a_connection_is_cut_one_way_and_mended():
    script = """
from network import Network
import subprocess
network = Network([1, 2])
server = subprocess.Popen([*network.inside(1), sys.executable, "-uc", '''
import socket
listener = socket.create_server(("10.77.1.2", 5000))
print("ready")
connection, _ = listener.accept()
while data := connection.recv(9): connection.send(data)
'''], stdout=subprocess.PIPE, text=True)
server.stdout.readline()
client = subprocess.Popen(
    [*network.inside(2), sys.executable, "-u", "-c", '''
import socket, sys
c = socket.create_connection(("10.77.1.2", 5000), timeout=20)
for line in sys.stdin:
    c.settimeout(float(line))
    try:
        c.send(b"x")
        print(c.recv(9).decode())
    except TimeoutError:
        print("-")
'''], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
def ask(seconds):
    client.stdin.write(f"{seconds}\\n")
    client.stdin.flush()
    return client.stdout.readline().strip()
print(ask(20))
network.cut(1, 2)
print(ask(0.5))
network.mend(1, 2)
print(ask(20)[:1])
server.kill()
client.kill()
"""
    assert inside(script) == ["x", "-", "x"]


# Histories.


def test_what_clients_write_the_judge_reads(tmp_path):
    from history import History, payload
    import zlib

    history = History(tmp_path / "a.jsonl")
    bytes_ = payload(77, 100)
    assert bytes_[:16] == b"%016x" % 77
    crc = zlib.crc32(bytes_)
    history.note(1, "produce", op=1, part=0, idem=True, records=[[77, crc]])
    history.note(1, "produced", op=1, outcome="ok", offset=0)
    history.note(2, "final", reader=0, part=0, records=[[0, 77, crc, -1]])
    history.note(2, "range", reader=0, part=0, start=0, end=1)
    history.flush()
    check = [BINARIES / "martlet-check", tmp_path / "a.jsonl"]
    assert subprocess.run(check).returncode == 0
    # A record more than there was, by another process whose last line is torn.
    history.note(2, "poll", part=0, records=[[1, 78, crc, -1]])
    history.flush()
    (tmp_path / "b.jsonl").write_text('{"t":1,"p":3')
    done = subprocess.run([*check, tmp_path / "b.jsonl"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "C3 violated" in done.stdout and "1 last lines are cut short" in done.stdout
    (tmp_path / "b.jsonl").write_text("{}\n")
    assert subprocess.run([*check, tmp_path / "b.jsonl"], capture_output=True).returncode == 2


# Whole runs.


def test_one_node_survives_all_that_one_node_can(tmp_path):
    # No full disk, and no flushes that fail: then clients are told of a storage error. librdkafka takes that for not
    # written, goes on in a new epoch, and what it sends again there may be a copy of what was there all the same.
    status, said = chaos(
        tmp_path, "--minutes", "0.5", "--pace", "3", "--seed", "3",
        "--faults", "kill,restart,pause,power,slow,partition")
    assert status == 0
    assert "\nclean\n" in said
    assert list(tmp_path.iterdir()) == []


def test_three_nodes_survive_kills_power_cuts_and_partitions(tmp_path):
    status, said = chaos(
        tmp_path, "--nodes", "3", "--minutes", "0.5", "--pace", "3", "--seed", "11",
        "--faults", "kill,power,power-all,partition")
    assert status == 0
    assert "\nclean\n" in said
    assert "all replicas are in sync" in said


def test_a_record_left_out_is_found(tmp_path):
    status, said = chaos(tmp_path, "--minutes", "0.1", "--seed", "5", "--faults", "kill", "--plant", "lose")
    assert status == 1
    assert "C4 violated 1 times" in said
    assert len(list(tmp_path.glob("5-*/report.txt"))) == 1


def test_a_journal_that_is_not_flushed_is_found(tmp_path):
    status, said = chaos(
        tmp_path, "--minutes", "0.2", "--seed", "6", "--faults", "power", "--plant", "no-sync", "--patience", "10")
    assert status == 1
    # The node itself knows that it has lost something, and serves what is left.
    assert "WRONG" in said
