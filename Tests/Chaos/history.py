"""Events of a history, a line each; Sources/Checks/HistoryLine.swift has the form.

(1) One clock for all processes of the machine. What begins is noted before it is sent, what ends after it has arrived.
(2) What begins is in the file (`flush`) before it is sent: whoever is killed leaves nothing out that others may see.
"""

import json
import os
import time
import zlib

# Producers count their values up from here, each by its number.
VALUES_PER_PROCESS = 1 << 40


class History:
    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.lines = []

    def note(self, process, kind, **fields):
        self.lines.append(json.dumps({"t": time.monotonic_ns(), "p": process, "e": kind, **fields}, separators=(",", ":")))

    def flush(self):
        if not self.lines:
            return
        rest = memoryview(("\n".join(self.lines) + "\n").encode())
        self.lines.clear()
        while rest:
            rest = rest[os.write(self.file, rest):]


def payload(value, size):
    """The value's sixteen digits, and a filling that follows from it."""
    return b"%016x" % value + (b"%d." % (value * 2654435761 % 1000003)) * (size // 7)


def seen(message):
    """A record as a history has it: offset, value, checksum, epoch."""
    bytes_ = message.value() or b""
    try:
        value = int(bytes_[:16], 16)
    except ValueError:
        # Nobody wrote that.
        value = (1 << 63) + zlib.crc32(bytes_)
    epoch = message.leader_epoch()
    return [message.offset(), value, zlib.crc32(bytes_), -1 if epoch is None else epoch]
