"""One request of Kafka's protocol, by hand: what stock clients do not show is how an answer came about."""

import pathlib
import socket
import struct
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "Clients"))

from frames import request, text


class Refused(Exception):
    """An error code."""

    def __init__(self, code):
        super().__init__(f"error {code}")
        self.code = code


class Connection:
    def __init__(self, address, timeout):
        self.address = address
        self.timeout = timeout
        self.socket = None
        self.correlation = 0

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def call(self, key, version, body):
        try:
            if not self.socket:
                host, port = self.address.split(":")
                self.socket = socket.create_connection((host, int(port)), timeout=self.timeout)
                self.socket.settimeout(self.timeout)
            self.correlation += 1
            self.socket.sendall(request(key, version, body, "chaos", self.correlation))
            answer = self.take(struct.unpack(">i", self.take(4))[0])
            if struct.unpack(">i", answer[:4])[0] != self.correlation:
                raise OSError("an answer to another request")
            return answer[4:]
        except OSError:
            self.close()
            raise

    def take(self, count):
        bytes_ = b""
        while len(bytes_) < count:
            piece = self.socket.recv(count - len(bytes_))
            if not piece:
                raise OSError("closed")
            bytes_ += piece
        return bytes_

    def end(self, topic, partition):
        """ListOffsets, version 5: the end of the log as its leader knows it, and the leader's epoch."""
        body = struct.pack(">ibi", -1, 0, 1) + text(topic) + struct.pack(">iiiq", 1, partition, -1, -1)
        answer = self.call(2, 5, body)
        error, _, offset, epoch = struct.unpack(">hqqi", answer[-22:])
        if error:
            raise Refused(error)
        return offset, epoch
