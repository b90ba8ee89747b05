"""Publishes to JetStream and waits for its acknowledgements, at most 4,000 open at a time.

    nats_load.py HOST:PORT,... STREAM RECORDS SIZE RATE

A stream of three replicas in files for each of 12 partitions. RATE -1 is as fast as it goes; with
one, a record's latency counts from when it was due. Prints the rate and p50, p99, p99.9 in ms.
"""

import json
import os
import re
import select
import socket
import sys
import time

PARTITIONS = 12
OPEN_MAX = 4000
REPLY = re.compile(rb"MSG _R\S*\.(\d+) 1 (\d+)\r\n([^\r]*)\r\n")


class Connection:
    def __init__(self, address):
        # Its own: what others are answered is not for it.
        self.inbox = f"_R{os.urandom(8).hex()}".encode()
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 10)
        self.input = b""
        self.output = b""
        self.open = 0
        self.socket.sendall(b'CONNECT {"verbose":false,"headers":false,"no_responders":false}\r\n')
        self.socket.sendall(b"SUB %s.* 1\r\n" % self.inbox)

    def request(self, subject, body):
        """Asks until there is an answer: the servers may not have found each other yet."""
        data = json.dumps(body).encode()
        self.socket.settimeout(1)
        for _ in range(60):
            self.socket.sendall(b"PUB %s %s.0 %d\r\n%s\r\n" % (subject, self.inbox, len(data), data))
            try:
                while True:
                    self.input += self.socket.recv(65536)
                    if match := REPLY.search(self.input):
                        self.input = b""
                        self.socket.settimeout(None)
                        return json.loads(match.group(3))
            except TimeoutError:
                self.input = b""
        sys.exit(f"nobody answers {subject.decode()}")

    def replies(self):
        data = self.socket.recv(1 << 20)
        if not data:
            sys.exit("the server closed the connection")
        self.input += data
        end = 0
        found = []
        for match in REPLY.finditer(self.input):
            if b'"error"' in match.group(3):
                sys.exit(match.group(3).decode())
            found.append(int(match.group(1)))
            end = match.end()
        if end:
            self.input = self.input[end:]
        elif b"PING\r\n" in self.input:
            self.output += b"PONG\r\n"
            self.input = self.input.replace(b"PING\r\n", b"")
        self.open -= len(found)
        return found


def create(connection, stream):
    for partition in range(PARTITIONS):
        name = f"{stream}-{partition}"
        body = {"name": name, "subjects": [f"{stream}.{partition}"], "num_replicas": 3}
        body |= {"storage": "file", "retention": "limits", "duplicate_window": 100_000_000}
        for _ in range(100):
            answer = connection.request(b"$JS.API.STREAM.CREATE." + name.encode(), body)
            if "error" not in answer:
                break
            time.sleep(0.1)
        else:
            sys.exit(f"{name} is not made: {answer['error']}")


def main():
    addresses, stream, records, size, rate = sys.argv[1:6]
    records, size, rate = int(records), int(size), int(rate)
    connections = [Connection(address) for address in addresses.split(",")]
    create(connections[0], stream)
    payload = os.urandom(size)
    subjects = [f"{stream}.{partition}".encode() for partition in range(PARTITIONS)]
    start = time.perf_counter()
    sent = done = 0
    latencies = []
    while done < records:
        elapsed = time.perf_counter() - start
        allowed = records if rate < 0 else min(records, int(elapsed * rate))
        for index, connection in enumerate(connections):
            batch = []
            while sent < allowed and connection.open < OPEN_MAX // 3 and len(batch) < 200:
                subject = subjects[sent % PARTITIONS]
                batch.append(b"PUB %s %s.%d %d\r\n%s\r\n" % (subject, connection.inbox, sent, size, payload))
                sent += 1
                connection.open += 1
            connection.output += b"".join(batch)
        writers = [c for c in connections if c.output]
        readable, writable, _ = select.select(connections_of(connections), connections_of(writers), [], 0.0005)
        for connection in connections:
            if connection.socket in writable:
                connection.output = connection.output[connection.socket.send(connection.output):]
            if connection.socket in readable:
                replies = connection.replies()
                done += len(replies)
                if rate > 0:
                    now = time.perf_counter() - start
                    latencies += [(now - number / rate) * 1000 for number in replies]
    seconds = time.perf_counter() - start
    latencies = sorted(latencies[rate:]) or [0]
    quantiles = [latencies[min(len(latencies) - 1, int(len(latencies) * q))] for q in (0.5, 0.99, 0.999)]
    print(records / seconds, *[f"{value:.2f}" for value in quantiles])


def connections_of(connections):
    return [connection.socket for connection in connections]


main()
