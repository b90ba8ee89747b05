"""Clients that mean no good, or that die at a bad moment: the node goes on, and so do the others."""

import signal
import socket
import struct
import time

from conftest import Node, until
from frames import request, text

PRODUCE, FETCH, METADATA, FIND_COORDINATOR, CREATE_TOPICS = 0, 1, 3, 10, 19


def frame(api, version, body):
    return request(api, version, body, "hostile")


def create(topic, partitions):
    body = struct.pack(">i", 1) + text(topic) + struct.pack(">ihii", partitions, 1, 0, 0)
    return frame(CREATE_TOPICS, 4, body + struct.pack(">ib", 5000, 0))


def fetch(topic, wait, offset=0):
    body = struct.pack(">iiiibiii", -1, wait, 1, 1 << 20, 0, 0, -1, 1) + text(topic)
    body += struct.pack(">iiqqi", 1, 0, offset, -1, 1 << 20) + struct.pack(">i", 0)
    return frame(FETCH, 7, body)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def batch():
    record = b"\x0e\0\0\0\x01\x02v\0"
    rest = struct.pack(">hiqqqhii", 0, 0, 0, 0, -1, -1, -1, 1) + record
    return struct.pack(">qiibI", 0, len(rest) + 9, 0, 2, crc32c(rest)) + rest


def produce(topic, partition):
    records = batch()
    body = struct.pack(">hhii", -1, -1, 5000, 1) + text(topic)
    body += struct.pack(">iii", 1, partition, len(records)) + records
    return frame(PRODUCE, 3, body)


class Client:
    def __init__(self, node):
        self.socket = socket.create_connection(("127.0.0.1", node.port), 10)

    def send(self, data):
        self.socket.sendall(data)

    def answer(self):
        (size,) = struct.unpack(">i", self.bytes(4))
        return self.bytes(size)

    def bytes(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def ask(self, data):
        self.send(data)
        return self.answer()

    def produced(self, topic, partition):
        """The error code of one batch."""
        answer = self.ask(produce(topic, partition))
        return struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic) + 4 + 4)[0]

    def is_closed(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def processor_seconds(node):
    with open(f"/proc/{node.process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def memory_megabytes(node):
    with open(f"/proc/{node.process.pid}/status") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmRSS"))


def is_well(node):
    return len(Client(node).ask(frame(METADATA, 1, struct.pack(">i", 0)))) > 8


def test_bytes_that_are_no_request_close_the_connection(node):
    for data in [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes.fromhex("1603010200010001fc0303") + bytes(500),
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
        # No body: it would have waited for its coordinator for ever.
        frame(FIND_COORDINATOR, 0, b"\x7f"),
    ]:
        client = Client(node)
        client.send(data)
        assert client.is_closed(), data[:20]
    assert is_well(node)


def test_a_frame_that_is_only_claimed_takes_no_memory(node):
    clients = [Client(node) for _ in range(200)]
    for client in clients:
        client.send(struct.pack(">i", 100 << 20))
    assert is_well(node)
    assert memory_megabytes(node) < 200


def test_a_client_that_is_gone_with_all_its_requests_open_costs_nothing(node, topic):
    topic = topic.encode()
    Client(node).ask(create(topic, 1))
    client = Client(node)
    # More than are taken at once, and none is answered for an hour.
    client.send(fetch(topic, 3_600_000) * 140)
    time.sleep(0.3)
    client.reset()
    time.sleep(0.2)
    before = processor_seconds(node)
    time.sleep(1)
    assert processor_seconds(node) - before < 0.3


def test_connections_do_not_take_the_descriptors_that_files_need(tmp_path):
    node = Node(tmp_path / "data")
    assert node.stop() == 0
    node.prefix = ["prlimit", "--nofile=100:100"]
    node.start()
    first = Client(node)
    first.ask(create(b"few", 3))
    crowd = [Client(node) for _ in range(150)]
    time.sleep(0.2)
    before = processor_seconds(node)
    assert [first.produced(b"few", n) for n in range(3)] == [0, 0, 0]
    time.sleep(1)
    assert processor_seconds(node) - before < 0.3
    for client in crowd:
        client.socket.close()
    assert until(lambda: is_well(node))
    assert node.stop() == 0


def test_a_stop_answers_what_was_produced_and_waits_for_nobody_else(tmp_path):
    node = Node(tmp_path / "data")
    client = Client(node)
    client.ask(create(b"t", 1))
    assert client.produced(b"t", 0) == 0
    # One that never reads what it asked for, more than the sockets' buffers hold.
    deaf = Client(node)
    deaf.socket.setblocking(False)
    try:
        for _ in range(2000):
            deaf.socket.send(fetch(b"t", 0) * 100)
    except BlockingIOError:
        pass
    client.send(produce(b"t", 0) * 20)
    answers = 0
    began = time.monotonic()
    node.process.send_signal(signal.SIGTERM)
    try:
        while client.answer():
            answers += 1
    except (EOFError, ConnectionError):
        pass
    assert node.process.wait(timeout=10) == 0
    assert time.monotonic() - began < 8
    node.start()
    end = struct.unpack_from(">q", Client(node).ask(fetch(b"t", 0)), 18 + 3 + 4 + 6)[0]
    # What was read from the socket was answered, and what was answered is there.
    assert end == 1 + answers
    assert node.stop() == 0
