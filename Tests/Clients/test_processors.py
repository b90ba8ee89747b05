"""Processors over a real node: killed again and again, they neither lose nor repeat anything.

Synthetic Debezium events go to `orders` and `products` while `martlet process` is killed, and with
Postgres the database too. Afterwards the tables are what the source's final state says, to the cent,
and the result topics, folded, are the tables.
"""

import collections
import datetime
import decimal
import json
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from conftest import BINARY, Node, until

POSTGRES = pathlib.Path("/usr/lib/postgresql/15/bin")
LONG = os.environ.get("MARTLET_LONG") == "1"
KILLS = 50 if LONG else 6
EVENTS = 60_000 if LONG else 12_000
WINDOW = 300
GRACE = 600


class Postgres:
    """A server in a temporary directory, reached through a socket there."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="martlet-pg-")
        if os.getuid() == 0:
            shutil.chown(self.directory, "postgres")
        self._run("initdb", "-D", f"{self.directory}/data", "-A", "trust", "-U", "postgres", "--no-sync")
        self.conninfo = f"host={self.directory} user=postgres dbname=postgres"
        self.start()

    def _run(self, program, *arguments):
        prefix = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        subprocess.run(
            [*prefix, POSTGRES / program, *arguments], cwd="/", check=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C.UTF-8"},
        )

    def start(self):
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.directory}'"
        self._run("pg_ctl", "start", "-w", "-D", f"{self.directory}/data", "-l", f"{self.directory}/log", "-o", options)

    def crash(self):
        self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", f"{self.directory}/data")

    def remove(self):
        self.crash()
        shutil.rmtree(self.directory)

    def query(self, sql):
        output = subprocess.run(
            [POSTGRES / "psql", "-X", "-A", "-t", "-F", "\t", "-d", self.conninfo, "-c", sql],
            check=True, capture_output=True, text=True, env={**os.environ, "PGTZ": "UTC"},
        ).stdout
        return [tuple(line.split("\t")) for line in output.splitlines()]

    setting = property(lambda self: {"postgres": self.conninfo})
    time = staticmethod(lambda column: f"extract(epoch from {column})::bigint")


class SQLite:
    def __init__(self, directory):
        self.path = str(directory / "results.db")

    def query(self, sql):
        with sqlite3.connect(self.path, timeout=30) as database:
            return [tuple(str(value) for value in row) for row in database.execute(sql)]

    def crash(self):
        pass

    start = remove = crash
    setting = property(lambda self: {"sqlite": self.path})
    time = staticmethod(lambda column: f"strftime('%s', {column})")


class Source:
    """Two tables, their changes as events, and what is in them in the end."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.orders = {}
        self.products = {}
        # Event time runs faster than the clock, so that there are many windows and late orders.
        self.clock = 1_790_000_000

    def events(self, count):
        for number in range(count):
            self.clock += self.random.random() * 0.5
            if number % 400 == 399:
                yield "orders", b'{"order_id":0}', self.random.choice([b"{", b'{"op":"c"}', b'[1]', b'{"before":null,"after":{"order_id":-1,"status":"completed"},"op":"c"}'])
            elif self.random.random() < 0.3:
                yield from self.product()
            else:
                yield from self.order()

    def order(self):
        identity = self.random.randrange(EVENTS // 4)
        key = json.dumps({"order_id": identity}).encode()
        old = self.orders.get(identity)
        if old and self.random.random() < 0.1:
            del self.orders[identity]
            yield "orders", key, self.envelope("d", {"order_id": identity}, None)
            yield "orders", key, None
            return
        created = old[2] if old else self.clock - (self.random.random() * 4 * GRACE if self.random.random() < 0.05 else 0)
        amount = decimal.Decimal(self.random.randrange(2000, 50_000)) / 100
        status = self.random.choice(["pending", "processing", "completed", "completed", "cancelled"])
        self.orders[identity] = (amount, status, created)
        row = {"order_id": identity, "user_id": 1, "total_amount": str(amount), "status": status, "created_at": int(created * 1_000_000)}
        yield "orders", key, self.envelope("u" if old else "c", None, row)

    def product(self):
        identity = self.random.randrange(200)
        key = json.dumps({"product_id": identity}).encode()
        known = identity in self.products
        if known and self.random.random() < 0.05:
            del self.products[identity]
            yield "products", key, self.envelope("d", {"product_id": identity}, None)
            yield "products", key, None
            return
        stock = self.random.randrange(-5, 60)
        threshold = None if identity % 17 == 0 else 20
        self.products[identity] = (stock, threshold)
        row = {"product_id": identity, "name": f'Pr\u00f6duct "{identity}"', "stock_quantity": stock, "min_threshold": threshold}
        yield "products", key, self.envelope("u" if known else "c", None, row)

    def envelope(self, operation, before, after):
        micros = int(self.clock * 1_000_000)
        source = {"version": "1", "ts_ms": micros // 1000, "ts_us": micros, "snapshot": "false"}
        payload = {"before": before, "after": after, "source": source, "op": operation, "ts_ms": micros // 1000}
        return json.dumps({"schema": {"type": "struct", "fields": []}, "payload": payload}).encode()

    def revenue(self):
        totals = collections.defaultdict(lambda: [decimal.Decimal(0), 0])
        for amount, status, created in self.orders.values():
            if status == "completed":
                total = totals[int(created) // WINDOW * WINDOW]
                total[0] += amount
                total[1] += 1
        return {start: tuple(total) for start, total in totals.items()}

    def alerts(self):
        found = {}
        for identity, (stock, threshold) in self.products.items():
            if threshold is not None and stock < threshold:
                level = "CRITICAL" if stock <= 0 else "HIGH" if stock * 2 < threshold else "MEDIUM"
                found[identity] = (stock, level)
        return found


class Processors:
    """A `martlet process` that can be killed."""

    def __init__(self, address, directory, database):
        config = {"results": database.setting, "processors": [
            {"name": "revenue", "kind": "revenue", "grace": f"{GRACE}s"},
            {"name": "stock", "kind": "low-stock"},
        ]}
        # JSON is YAML.
        path = directory / "processors.yaml"
        path.write_text(json.dumps(config))
        self.command = [BINARY, "process", "--bootstrap", address, "--config", path]
        self.log = open(directory / "processors.log", "ab")
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, stderr=self.log)

    def kill(self):
        assert self.process.poll() is None, "the processors ended: " + open(self.log.name).read()[-2000:]
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=20) == 0, open(self.log.name).read()[-2000:]


def make_topics(address):
    admin = AdminClient({"bootstrap.servers": address})
    for future in admin.create_topics([NewTopic("orders", 12, 1), NewTopic("products", 3, 1)]).values():
        future.result(20)


def produce(address, source, count, done):
    """Sends the events, not faster than they are to last; answers how many records there are."""
    producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 2})
    sent = 0
    for topic, key, value in source.events(count):
        while True:
            try:
                producer.produce(topic, value, key)
                break
            except BufferError:
                producer.poll(0.1)
        sent += 1
        if sent % 50 == 0:
            producer.poll(0)
            time.sleep(0.04 if LONG else 0.02)
    assert producer.flush(60) == 0
    done.append(sent)


def read(address, topic):
    """All records of a topic, by partition."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "check", "enable.auto.commit": False})
    try:
        count = len(consumer.list_topics(topic, 20).topics[topic].partitions)
        found = {}
        for partition in range(count):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), 20)
            consumer.assign([TopicPartition(topic, partition, low)])
            records = []
            while len(records) < high - low:
                record = consumer.poll(20)
                assert record is not None and not record.error()
                records.append(record)
            found[partition] = records
        return found
    finally:
        consumer.close()


def position(record):
    value = dict(record.headers())["martlet.position"].decode()
    return int(value[:16], 16), int(value[16:32], 16)


def fold(address, topic):
    """The last value of each key. Positions must increase, and an origin is never there twice."""
    last = {}
    for records in read(address, topic).values():
        positions = [position(record) for record in records]
        assert all(a < b for a, b in zip(positions, positions[1:])), topic
        for record in records:
            last[record.key()] = record.value()
            assert {"martlet.source.topic", "martlet.source.partition", "martlet.source.offset"} <= {
                name for name, _ in record.headers()
            }
    return {key: json.loads(value) for key, value in last.items() if value is not None}


def seconds(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    if request.param == "postgres" and not (POSTGRES / "initdb").exists():
        pytest.skip("needs Postgres 15")
    database = Postgres() if request.param == "postgres" else SQLite(tmp_path)
    yield database
    database.remove()


@pytest.fixture
def own_node(tmp_path):
    node = Node(tmp_path / "data")
    yield node
    assert node.stop() == 0


def check_revenue(address, source, database):
    rows = database.query(
        f"SELECT {database.time('window_start')}, total_revenue, order_count FROM revenue_analytics")
    late = database.query(
        f"SELECT {database.time('window_start')}, amount, row_count FROM revenue_analytics_late")
    assert late, "no order was late, so nothing was shown"
    totals = collections.defaultdict(lambda: [decimal.Decimal(0), 0])
    for start, amount, count in rows + late:
        totals[int(start)][0] += decimal.Decimal(amount)
        totals[int(start)][1] += int(count)
    assert {start: tuple(total) for start, total in totals.items() if total != [0, 0]} == source.revenue()

    table = {int(start): (decimal.Decimal(amount), int(count)) for start, amount, count in rows}
    topic = {
        seconds(row["window_start"]): (decimal.Decimal(row["total_revenue"]), row["order_count"])
        for row in fold(address, "revenue-analytics").values()
    }
    assert topic == table
    records = [record for records in read(address, "revenue-analytics-late").values() for record in records]
    origins = {(*[value for name, value in record.headers() if name.startswith("martlet.source")], record.key()) for record in records}
    assert len(records) == len(origins) == len(late)


def check_alerts(address, source, database):
    rows = database.query("SELECT product_id, current_stock, alert_level, status FROM inventory_alerts")
    active = {int(row[0]): (int(row[1]), row[2]) for row in rows if row[3] == "active"}
    assert active == source.alerts()
    topic = fold(address, "inventory-alerts")
    assert {
        (str(row["product_id"]), str(row["current_stock"]), row["alert_level"], row["status"]) for row in topic.values()
    } == set(rows)


def test_killed_anywhere_the_results_are_the_sources(own_node, database, tmp_path):
    address = own_node.address
    make_topics(address)
    source = Source(7)
    done = []
    thread = threading.Thread(target=produce, args=(address, source, EVENTS, done))
    processors = Processors(address, tmp_path, database)
    processors.start()
    thread.start()
    chance = random.Random(11)
    for kill in range(KILLS):
        time.sleep(chance.random() * 1.2)
        if kill % 3 == 2:
            database.crash()
            # Half of the time it lives long enough to see that the database is gone.
            time.sleep(chance.choice([0, 0.3]))
        processors.kill()
        processors.start()
        if kill % 3 == 2:
            database.start()
    thread.join()

    def is_done():
        try:
            return database.query("SELECT sum(next_offset) FROM martlet_offsets") == [(str(done[0]),)]
        except (sqlite3.OperationalError, subprocess.CalledProcessError):
            return False

    until(is_done, 120)
    processors.stop()
    check_revenue(address, source, database)
    check_alerts(address, source, database)
    letters = [record for records in read(address, "dlq-topic").values() for record in records]
    origins = {tuple(value for name, value in r.headers() if name in ("martlet.source.partition", "martlet.source.offset")) for r in letters}
    assert len(letters) == len(origins) == EVENTS // 400


def test_a_completed_order_is_in_its_window_at_once(own_node, database, tmp_path):
    """What store-a's own test asks of the analytics database."""
    address = own_node.address
    make_topics(address)
    processors = Processors(address, tmp_path, database)
    processors.start()
    until(lambda: re.search("processor 'revenue' runs", open(tmp_path / "processors.log").read()))
    producer = Producer({"bootstrap.servers": address, "linger.ms": 0})
    source = Source(1)
    latencies = []
    for number in range(20):
        source.clock = time.time()
        row = {"order_id": number, "total_amount": 200.0, "status": "completed", "created_at": int(source.clock * 1e6)}
        start = time.monotonic()
        producer.produce("orders", source.envelope("c", None, row), b'{"order_id":%d}' % number)
        producer.flush(20)
        if isinstance(database, SQLite):
            since = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)).isoformat()
        else:
            since = f"{datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - datetime.timedelta(minutes=1)}"
        until(lambda: database.query(
            f"SELECT sum(order_count) FROM revenue_analytics WHERE window_end > '{since}'") == [(str(number + 1),)], 10)
        latencies.append(time.monotonic() - start)
    processors.stop()
    print(f"order to table, asked from outside: median {sorted(latencies)[10] * 1000:.0f} ms")
    assert sorted(latencies)[10] < 5


def test_two_instances_do_not_both_write(own_node, tmp_path):
    address = own_node.address
    make_topics(address)
    database = SQLite(tmp_path)
    first = Processors(address, tmp_path, database)
    first.start()
    log = lambda: open(tmp_path / "processors.log").read()
    runs = lambda name: log().count(f"processor '{name}' runs")
    until(lambda: runs("stock") == 1 and runs("revenue") == 1)
    second = Processors(address, tmp_path, database)
    second.start()
    until(lambda: runs("stock") == 2 and runs("revenue") == 2)
    producer = Producer({"bootstrap.servers": address})
    source = Source(3)
    sent = 0
    for topic, key, value in source.events(300):
        producer.produce(topic, value, key)
        sent += 1
    producer.flush(20)
    assert first.process.wait(timeout=30) == 1
    assert "nother instance" in log()
    until(lambda: database.query("SELECT sum(next_offset) FROM martlet_offsets") == [(str(sent),)], 30)
    second.stop()


def test_a_wrong_configuration_is_answered_with_a_sentence(tmp_path):
    for text, words in [
        ("", "no processor"), ("{", "not YAML"), ("processors: []", "no processor"),
        ("log: {data: d}\nprocessors: [{kind: revenue}]", "c.yaml, line 1: log has data"),
        ("processors: [{kind: revenue}]\ncapture: []", "c.yaml, line 2: There is no key 'capture'"),
        ('{"processors":\n[{"name":"a","kind":"x"}]}', "c.yaml, line 2: There is no processor 'x'"),
        ("processors:\n- kind: revenue\n  results: {}", "line 3: results names either postgres or sqlite"),
        ("processors:\n- kind: revenue\n  windowSeconds: 3", "line 3: There is no key 'windowSeconds'"),
        ("processors: [{kind: revenue}, {kind: revenue, name: b}]", "both write to"),
    ]:
        path = tmp_path / "c.yaml"
        path.write_text(text)
        ended = subprocess.run([BINARY, "process", "--config", path], capture_output=True, text=True)
        assert ended.returncode == 2
        assert words in ended.stderr
