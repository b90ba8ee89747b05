"""Where a node's files are: a disk in memory that can be cut off, slowed down, filled up and made to fail.

An ext4 on a loop device on the file of `forgetful-file`, which holds what no flush has covered, as a drive's write cache
does. Needs root and a mount namespace of its own, which goes with the process that has it.
"""

import ctypes
import errno
import os
import pathlib
import signal
import subprocess
import time


def run(*command, **more):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True, **more).stdout


def dies_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class PlainDisk:
    """A directory."""

    def __init__(self, place):
        self.mount = pathlib.Path(place)
        self.mount.mkdir(parents=True)

    def remove(self):
        pass


class PoweredDisk:
    def __init__(self, place, program, bytes_):
        self.place = pathlib.Path(place)
        self.mount = self.place / "mount"
        self.fuse = self.place / "fuse"
        self.has_failed = False
        for directory in (self.mount, self.fuse):
            directory.mkdir(parents=True)
        self.daemon = subprocess.Popen(
            [program, self.fuse, str(bytes_)], stdout=subprocess.PIPE, text=True, preexec_fn=dies_with_parent)
        if self.daemon.stdout.readline() != "ready\n":
            raise RuntimeError("forgetful-file did not start")
        run("mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", self.fuse / "disk")
        self.attach()

    def attach(self):
        # The loop device goes when it is unmounted.
        run("mount", "-t", "ext4", "-o", "loop,errors=continue", self.fuse / "disk", self.mount)

    def detach(self):
        for _ in range(100):
            done = subprocess.run(["umount", self.mount], capture_output=True, text=True)
            if done.returncode == 0:
                break
            time.sleep(0.05)
        # Mounted elsewhere too, it would go on there, with all that it has not written yet.
        for _ in range(100):
            if not run("losetup", "--associated", self.fuse / "disk"):
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.mount} is still in use: {done.stderr}")

    def control(self, command):
        (self.fuse / "control").write_text(command)

    def cut(self, seed, percent):
        """The power fails. Returns how many sectors were dropped."""
        self.control(f"cut {seed} {percent}")
        return int((self.fuse / "control").read_text().split()[-1])

    def restore(self):
        """The power is back, or the disk is well again; nobody uses it."""
        self.detach()
        self.control("heal")
        if self.has_failed:
            # What failed while it was mounted is mounted again only once it was checked: 1 is mended.
            checked = subprocess.run(["e2fsck", "-f", "-y", self.fuse / "disk"], capture_output=True, text=True)
            if checked.returncode > 1:
                raise RuntimeError(f"e2fsck: {checked.stdout}{checked.stderr}")
            self.has_failed = False
        self.attach()

    def slow(self, milliseconds):
        self.control(f"slow {milliseconds}")

    def fail_flushes(self):
        self.has_failed = True
        self.control("fail")

    def heal(self):
        self.control("heal")

    def fill(self):
        """Until there is no room at all."""
        file = os.open(self.mount / "filler", os.O_WRONLY | os.O_CREAT)
        size = 0
        step = 64 << 20
        while step >= 4096:
            try:
                os.posix_fallocate(file, size, step)
                size += step
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                step //= 2
        os.close(file)

    def empty(self):
        (self.mount / "filler").unlink(missing_ok=True)
        # Or a power cut would bring it back.
        directory = os.open(self.mount, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(directory)
        os.close(directory)

    def remove(self):
        subprocess.run(["umount", "--lazy", self.mount], capture_output=True)
        subprocess.run(["umount", "--lazy", self.fuse], capture_output=True)
        self.daemon.kill()
        self.daemon.wait()
