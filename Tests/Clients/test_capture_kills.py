"""Capture under kill -9 of Postgres, of the broker and of itself: nothing lost, nothing repeated.

The load writes into three tables and, by triggers, one line per change into `history`, in the same
transaction. Every version of a row has a number of its own, and every event names its transaction,
so each change has exactly one place in its key's sequence of events. A second slot, which only the
test reads, says when each transaction committed. Afterwards the topics are read from the beginning and
must say what the history says: each change once, in order, nothing more; folded, they are the
tables.

A snapshot's rows stand for the history before them. After a snapshot that was interrupted a key may
begin at a later version than others; it must go on from there without a gap. What a key was before
and is no more may be missing only if it was over when the last snapshot was taken.
"""

import json
import os
import random
import re
import subprocess
import threading
import time
import uuid
from collections import defaultdict

import psycopg2
import pytest
from confluent_kafka import Consumer, TopicPartition

from conftest import BINARY, Node
from postgres import Postgres
from waiting import until as wait_for

LONG = os.environ.get("MARTLET_LONG") == "1"
KILLS = 50 if LONG else 8
# Kills that try to meet the snapshot.
EARLY = 5 if LONG else 3
TABLES = ["accounts", "orders", "notes"]
PARTITIONS = 3
SEED_ROWS = 20_000

SCHEMA = """
CREATE SEQUENCE versions;
CREATE TABLE accounts (id bigint PRIMARY KEY, version bigint NOT NULL, body text);
CREATE TABLE orders (a int, b text, version bigint NOT NULL, body text, PRIMARY KEY (a, b));
CREATE TABLE notes (id bigint PRIMARY KEY, version bigint NOT NULL, body text);
CREATE TABLE others (id bigint PRIMARY KEY, body text);
CREATE TABLE history (n bigserial, tbl text, op text, key text, old_key text, version bigint,
  xid bigint DEFAULT txid_current() % (1::bigint << 32));
CREATE FUNCTION name_of(t text, r record) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF t = 'orders' THEN RETURN r.a || '/' || r.b; END IF;
  RETURN r.id::text;
END $$;
CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO history (tbl, op, key, version)
      VALUES (TG_TABLE_NAME, 'c', name_of(TG_TABLE_NAME, NEW), NEW.version);
  ELSIF TG_OP = 'UPDATE' THEN
    INSERT INTO history (tbl, op, key, old_key, version) VALUES (TG_TABLE_NAME, 'u',
      name_of(TG_TABLE_NAME, NEW), name_of(TG_TABLE_NAME, OLD), NEW.version);
  ELSE
    INSERT INTO history (tbl, op, key, version)
      VALUES (TG_TABLE_NAME, 'd', name_of(TG_TABLE_NAME, OLD), OLD.version);
  END IF;
  RETURN NULL;
END $$;
"""


def prepare(postgres):
    with postgres.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_create_logical_replication_slot('audit', 'test_decoding')")
    with postgres.connect() as connection, connection.cursor() as cursor:
        cursor.execute(SCHEMA)
        for table in TABLES:
            cursor.execute(
                f"CREATE TRIGGER remember AFTER INSERT OR UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION remember()"
            )
        for table, columns in [("accounts", "g"), ("orders", "g, 'k' || g"), ("notes", "g")]:
            cursor.execute(
                f"INSERT INTO {table} SELECT {columns}, nextval('versions'), repeat('x', 200) "
                f"FROM generate_series(1, {SEED_ROWS}) g"
            )


class Load:
    """Writers that go on for ever, also over a server that dies under them."""

    def __init__(self, postgres, seed, writers=2):
        self.postgres = postgres
        self.stopping = threading.Event()
        self.transactions = 0
        self.threads = [
            threading.Thread(target=self.run, args=(random.Random(f"{seed}-{n}"),))
            for n in range(writers)
        ]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "a writer does not end"

    def run(self, random):
        connection = None
        while not self.stopping.is_set():
            try:
                connection = connection or self.postgres.connect()
                with connection, connection.cursor() as cursor:
                    for _ in range(random.choice([1, 1, 1, 2, 5, 40])):
                        self.change(cursor, random)
                    if random.random() < 0.05:
                        raise ZeroDivisionError
                self.transactions += 1
                if random.random() < 0.5:
                    self.stopping.wait(random.random() * 0.01)
            except ZeroDivisionError:
                pass  # rolled back
            except (psycopg2.errors.UniqueViolation, psycopg2.errors.DeadlockDetected):
                pass
            except psycopg2.Error:
                connection = None
                self.stopping.wait(0.05)

    def change(self, cursor, random):
        table = random.choice(TABLES)
        number = random.randrange(1, SEED_ROWS + 2000) // random.choice([1, 1, 50]) + 1
        body = "y" * random.randrange(0, 300)
        where = "a = %s AND b = 'k' || %s" if table == "orders" else "id = %s"
        key = (number, number) if table == "orders" else (number,)
        kind = random.random()
        if kind < 0.45:
            cursor.execute(
                f"UPDATE {table} SET version = nextval('versions'), body = %s WHERE {where}",
                (body, *key),
            )
        elif kind < 0.65:
            cursor.execute(f"DELETE FROM {table} WHERE {where}", key)
        elif kind < 0.75:
            other = random.randrange(1, SEED_ROWS + 2000)
            change = "a = %s, b = 'k' || %s" if table == "orders" else "id = %s"
            to = (other, other) if table == "orders" else (other,)
            cursor.execute("SAVEPOINT s")
            try:
                cursor.execute(
                    f"UPDATE {table} SET version = nextval('versions'), {change} WHERE {where}",
                    (*to, *key),
                )
            except psycopg2.errors.UniqueViolation:
                cursor.execute("ROLLBACK TO s")
        elif kind < 0.78:
            cursor.execute(
                "INSERT INTO others VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET body = 'z'",
                (number, body),
            )
        else:
            columns = "%s, 'k' || %s" if table == "orders" else "%s"
            cursor.execute(
                f"INSERT INTO {table} VALUES ({columns}, nextval('versions'), %s) "
                "ON CONFLICT DO NOTHING",
                (*key, body),
            )


class Capture:
    """A `martlet capture`, with a node in its process or against one in another."""

    def __init__(self, directory, postgres, node=None, merged=False):
        self.directory = directory
        self.node = node
        self.port = 0
        self.process = None
        self.config = directory / "connector.json"
        properties = {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "database.hostname": postgres.host,
            "database.port": postgres.port,
            "database.user": "postgres",
            "database.dbname": "postgres",
            "topic.prefix": "kills",
            "plugin.name": "pgoutput",
            "table.include.list": ",".join(f"public.{table}" for table in TABLES),
            "key.converter.schemas.enable": "false",
            "value.converter.schemas.enable": "false",
            "topic.creation.default.partitions": str(PARTITIONS),
            "snapshot.max.threads": "2",
        }
        if merged:
            properties |= {
                "transforms": "route",
                "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
                "transforms.route.regex": "kills\\.public\\.(accounts|notes)",
                "transforms.route.replacement": "kills.both",
            }
        self.topics = (
            ["kills.both", "kills.public.orders"]
            if merged
            else [f"kills.public.{table}" for table in TABLES]
        )
        self.config.write_text(json.dumps({"name": "kills", "config": properties}))
        self.log = open(directory / "capture.log", "ab")

    def start(self):
        self.snapshots = self.text().count("snapshot of")
        command = [BINARY, "capture", "--config", self.config]
        if self.node:
            command += ["--bootstrap", self.node.address]
        else:
            command += ["--data", self.directory / "data", "--listen", f"127.0.0.1:{self.port}"]
            command += ["--http", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stderr=self.log)
        if not self.node and not self.port:
            wait_for(lambda: re.search(r"serves .* on 127\.0\.0\.1:(\d+)", self.text()), 20)
            self.port = int(re.search(r"serves .* on 127\.0\.0\.1:(\d+)", self.text())[1])

    def has_begun(self):
        """Whether this process is at a snapshot or beyond."""
        text = self.text()
        return text.count("snapshot of") > self.snapshots or "streams from" in text

    def text(self):
        return (self.directory / "capture.log").read_text(errors="replace")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=90)

    @property
    def address(self):
        return self.node.address if self.node else f"127.0.0.1:{self.port}"


def read(address, topics):
    """Every record of the topics, by partition: (position, key, value, headers)."""
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": uuid.uuid4().hex, "enable.auto.commit": False}
    )
    partitions = []
    for topic in topics:
        partitions += [TopicPartition(topic, n, 0) for n in range(PARTITIONS)]
    ends = {}
    for p in partitions:
        low, high = consumer.get_watermark_offsets(p, timeout=20)
        assert low == 0
        ends[p.topic, p.partition] = high
    consumer.assign(partitions)
    records = defaultdict(list)
    left = {p for p, end in ends.items() if end > 0}
    deadline = time.monotonic() + 120
    while left:
        assert time.monotonic() < deadline, f"cannot read {left}"
        for message in consumer.consume(1000, 1.0):
            assert not message.error(), message.error()
            place = message.topic(), message.partition()
            headers = dict(message.headers() or [])
            text = headers["martlet.position"].decode()
            position = int(text[:16], 16), int(text[16:32], 16)
            value = json.loads(message.value()) if message.value() else None
            records[place].append((position, json.loads(message.key()), value))
            if message.offset() + 1 >= ends[place]:
                left.discard(place)
    consumer.close()
    return records


def name_of(table, key):
    return f"{key['a']}/{key['b']}" if table == "orders" else str(key["id"])


def events(records):
    """Per table and key the events in order; checks what must hold of each partition."""
    result = defaultdict(list)
    for place, list_ in records.items():
        for earlier, later in zip(list_, list_[1:]):
            assert earlier[0] < later[0], f"positions do not rise in {place}: {earlier} {later}"
        tombstone_of = None
        for position, key, value in list_:
            if value is None:
                # Behind its delete, in the same partition.
                assert tombstone_of == (position[0], position[1] - 1, key), f"a stray tombstone {key}"
                tombstone_of = None
                continue
            assert tombstone_of is None, f"the tombstone of {tombstone_of} is missing"
            table, op = value["source"]["table"], value["op"]
            version = value["after"]["version"] if value["after"] else None
            event = op, version, value["source"]["txId"]
            result[table, name_of(table, key)].append(event)
            if op == "d":
                tombstone_of = (*position, key)
        assert tombstone_of is None, f"the last tombstone of {place} is missing"
    return result


def expected(postgres):
    """Per table and key, what happened to it: (op, version, xid), a changed key being a d and a c."""
    result = defaultdict(list)
    with postgres.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tbl, op, key, old_key, version, xid FROM history ORDER BY n")
        for table, op, key, old_key, version, xid in cursor:
            if op == "u" and key != old_key:
                result[table, old_key].append(("d", None, xid))
                result[table, key].append(("c", version, xid))
            else:
                result[table, key].append((op, None if op == "d" else version, xid))
    return result


def lsn(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def commits(postgres):
    """Where each transaction's commit ends, by xid."""
    with postgres.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT xid, lsn FROM pg_logical_slot_peek_changes('audit', NULL, NULL) "
            "WHERE data LIKE 'COMMIT%'"
        )
        return {int(xid): lsn(end) for xid, end in cursor}


def last_snapshot(address):
    """What the last generation of the snapshot saw: everything that committed before."""
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": uuid.uuid4().hex, "enable.auto.commit": False}
    )
    place = TopicPartition("martlet-capture-positions", 0, 0)
    _, end = consumer.get_watermark_offsets(place, timeout=20)
    consumer.assign([place])
    result, offset = 0, -1
    while offset + 1 < end:
        for message in consumer.consume(1000, 1.0):
            offset = message.offset()
            for generation in json.loads(message.value())["generations"]:
                result = max(result, lsn(generation["lsn"]))
    consumer.close()
    return result


def check(records, postgres, snapshot):
    """The topics against the source. Returns how many events were compared."""
    found, wanted, ends = events(records), expected(postgres), commits(postgres)
    assert not (strange := set(found) - set(wanted)), f"keys that never were: {list(strange)[:5]}"
    compared = 0
    for name, history in wanted.items():
        seen = found.get(name, [])
        compared += len(seen)
        if seen and seen[0][0] == "r":
            starts = [n for n, (op, v, _) in enumerate(history) if op in "cu" and v == seen[0][1]]
            assert len(starts) == 1, f"{name}: a row of no history: {seen[0]}"
            cut, seen = starts[0] + 1, seen[1:]
        else:
            # Not there when its table was copied. What it was before that is over.
            cut = len(history) - len(seen)
            assert cut >= 0, f"{name}: {seen[:12]} is more than {history[:12]}"
            assert cut == 0 or history[cut - 1][0] == "d", f"{name}: lost {history[:cut][-3:]}"
        assert seen == history[cut:], f"{name}: {seen[:12]} is not {history[cut:][:12]}"
        for _, _, xid in history[:cut]:
            assert ends[xid] <= snapshot, f"{name}: lost what {xid} did, of {history}"
    assert compared == sum(map(len, found.values()))
    folded = {name: list_[-1][1] for name, list_ in found.items() if list_[-1][0] != "d"}
    table = {}
    with postgres.connect() as connection, connection.cursor() as cursor:
        for name in TABLES:
            key = "a || '/' || b" if name == "orders" else "id::text"
            cursor.execute(f"SELECT {key}, version FROM {name}")
            table |= {(name, key): version for key, version in cursor}
    assert folded == table
    return compared


def caught_up(postgres):
    """The slot has everything, and everything is confirmed."""
    with postgres.connect() as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_logical_emit_message(true, 'end', ''), pg_current_wal_lsn()")
            end = cursor.fetchone()[1]

            def is_confirmed():
                cursor.execute(
                    "SELECT confirmed_flush_lsn >= %s FROM pg_replication_slots "
                    "WHERE slot_name = 'debezium'", (end,)
                )
                row = cursor.fetchone()
                return row and row[0]

            wait_for(is_confirmed, 90)


class Proof:
    """One arrangement, some kills, and the comparison."""

    def __init__(self, directory, seed, in_process, merged=False):
        self.random = random.Random(f"kills-{seed}")
        self.postgres = Postgres()
        self.node = None if in_process else Node(directory / "node")
        self.capture = Capture(directory, self.postgres, self.node, merged)
        prepare(self.postgres)
        self.kills = defaultdict(int)
        self.kinds = []

    def run(self, count):
        self.load = Load(self.postgres, self.random.random())
        try:
            self.capture.start()
            for number in range(count):
                # The first ones find a snapshot at work.
                if number < EARLY and "streams from" not in self.capture.text():
                    wait_for(self.capture.has_begun, 30)
                    time.sleep(self.random.uniform(0, 0.25))
                    self.kill("capture" if number % 3 else None)
                else:
                    time.sleep(self.random.uniform(0.1, 2))
                    self.kill()
                assert self.capture.process.poll() is None, self.capture.text()[-3000:]
            time.sleep(1)
        finally:
            self.load.stop()
        try:
            caught_up(self.postgres)
            assert self.capture.process.poll() is None
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.capture.text()[-3000:]}") from error
        compared = check(
            read(self.capture.address, self.capture.topics), self.postgres,
            last_snapshot(self.capture.address),
        )
        assert self.capture.stop() == 0
        return compared

    def kill(self, what=None):
        if not self.kinds:
            # Each kind comes as often as the others, in any order.
            self.kinds = ["capture", "postgres"] + ["broker", "both"] * bool(self.node)
            self.random.shuffle(self.kinds)
        what = what or self.kinds.pop()
        self.kills[what] += 1
        if what == "postgres":
            self.postgres.kill()
            time.sleep(self.random.uniform(0, 0.3))
            self.postgres.start()
        elif what == "broker":
            self.node.kill()
            time.sleep(self.random.uniform(0, 0.3))
            self.node.start()
        elif what == "both":
            # Capture goes on reading, has nobody who keeps it, and dies with it.
            self.node.kill()
            time.sleep(self.random.uniform(0.2, 1.5))
            self.capture.kill()
            self.node.start()
            self.capture.start()
        else:
            self.capture.kill()
            time.sleep(self.random.uniform(0, 0.2))
            self.capture.start()

    def close(self):
        if self.capture.process and self.capture.process.poll() is None:
            self.capture.kill()
        if self.node:
            self.node.kill()
        self.postgres.stop()


@pytest.mark.parametrize("arrangement", ["in one process", "over TCP", "topics together"])
def test_kills_lose_nothing_and_repeat_nothing(tmp_path, arrangement):
    seed = os.environ.get("MARTLET_SEED", arrangement)
    proof = Proof(
        tmp_path, seed, in_process=arrangement != "over TCP",
        merged=arrangement == "topics together",
    )
    try:
        compared = proof.run(KILLS)
        log = proof.capture.text()
        print(
            f"{arrangement}: kills {dict(proof.kills)}, {proof.load.transactions} transactions, "
            f"{compared} events, {log.count('goes on with the snapshot')} snapshots resumed, "
            f"{log.count('streams from')} streams"
        )
        assert proof.load.transactions > 100
        assert compared > len(TABLES) * SEED_ROWS
    finally:
        proof.close()
