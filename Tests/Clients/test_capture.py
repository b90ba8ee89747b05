"""What capture does around the stream: what it checks, refuses, follows and hands over."""

import base64
import json
import re
import signal
import subprocess
import time
from collections import defaultdict

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions,
)

from conftest import BINARY, Node
from postgres import Postgres
from waiting import until as wait_for


@pytest.fixture(scope="module")
def postgres():
    postgres = Postgres()
    yield postgres
    postgres.stop()


@pytest.fixture
def database(postgres):
    """A schema of its own in the one cluster: tables, slots and publications go afterwards."""
    yield postgres
    sql(
        postgres,
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active",
    )
    wait_for(lambda: not sql(postgres, "SELECT 1 FROM pg_replication_slots WHERE active"), 10)
    sql(
        postgres,
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots",
        "DROP PUBLICATION IF EXISTS dbz_publication",
        "DROP SCHEMA public CASCADE",
        "CREATE SCHEMA public",
        "GRANT USAGE ON SCHEMA public TO public",
    )


def sql(postgres, *statements, user="postgres"):
    rows = []
    connection = postgres.connect()
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
    connection.close()
    return rows


class Connector:
    def __init__(self, directory, postgres, node, name="c", **properties):
        directory.mkdir(exist_ok=True)
        self.file = directory / f"{name}.json"
        self.log = directory / f"{name}.log"
        self.node = node
        self.process = None
        config = {
            "database.hostname": postgres.host,
            "database.port": postgres.port,
            "database.user": "postgres",
            "database.dbname": "postgres",
            "topic.prefix": name,
            "plugin.name": "pgoutput",
            "key.converter.schemas.enable": "false",
            "value.converter.schemas.enable": "false",
        } | {key.replace("_", "."): value for key, value in properties.items()}
        self.file.write_text(json.dumps({"name": name, "config": config}))

    def command(self, *words):
        return [BINARY, "capture", "--config", self.file, *words]

    def run(self, *words, timeout=30):
        return subprocess.run(self.command(*words), capture_output=True, text=True, timeout=timeout)

    def start(self):
        self.log.touch()
        self.process = subprocess.Popen(
            self.command("--bootstrap", self.node.address), stderr=open(self.log, "ab")
        )
        return self

    def until(self, text, seconds=30):
        wait_for(lambda: re.search(text, self.log.read_text()) or self.process.poll(), seconds)
        assert re.search(text, self.log.read_text()), self.log.read_text()

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=30)


def records(node, topic, count, seconds=30):
    """The first records of a topic of one partition: (key, value)."""
    consumer = Consumer({"bootstrap.servers": node.address, "group.id": "x"})
    wait_for(lambda: topic in consumer.list_topics().topics, seconds)
    partitions = len(consumer.list_topics(topic).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, n, 0) for n in range(partitions)])
    found = []
    deadline = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        for message in consumer.consume(100, 0.2):
            value = json.loads(message.value()) if message.value() else None
            found.append((json.loads(message.key()) if message.key() else None, value))
    consumer.close()
    return found


def test_check_says_what_is_missing_and_how_to_mend_it(tmp_path):
    postgres = Postgres(settings="wal_level = replica\n")
    try:
        sql(
            postgres,
            "CREATE TABLE keyed (id int PRIMARY KEY)",
            "CREATE TABLE loose (id int)",
            "CREATE ROLE weak LOGIN",
        )
        connector = Connector(tmp_path, postgres, None, database_user="weak")
        result = connector.run("--check")
        assert result.returncode == 1
        for part in [
            "ALTER SYSTEM SET wal_level = logical",
            'ALTER ROLE "weak" REPLICATION',
            'GRANT SELECT ON "public"."keyed" TO "weak"',
            'ALTER TABLE "public"."loose" REPLICA IDENTITY FULL',
            'CREATE PUBLICATION "dbz_publication" FOR TABLE',
        ]:
            assert part in result.stdout, result.stdout
        # The SQL mends it.
        for statement in re.findall(r"^    (.*;)", result.stdout, re.M):
            if not statement.startswith("ALTER SYSTEM"):
                for part in statement.split("; "):
                    sql(postgres, part)
        postgres.kill()
        with open(postgres.data / "postgresql.conf", "a") as conf:
            conf.write("wal_level = logical\n")
        postgres.start()
        result = connector.run("--check")
        assert result.returncode == 0, result.stdout
        # A wrong password or database is said once, not retried.
        for key, value in [("database_dbname", "nowhere"), ("database_user", "nobody")]:
            result = Connector(tmp_path, postgres, None, **{key: value}).run("--check")
            assert result.returncode == 1 and "does not exist" in result.stdout
    finally:
        postgres.stop()


def test_a_slot_of_somebody_else_is_refused_and_can_be_adopted(tmp_path, database, node):
    sql(database, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    sql(database, "CREATE PUBLICATION dbz_publication FOR TABLE t")
    sql(database, "SELECT pg_create_logical_replication_slot('debezium', 'pgoutput')")
    sql(database, "INSERT INTO t VALUES (2)")
    result = Connector(tmp_path, database, node, "refused").run("--bootstrap", node.address)
    assert result.returncode == 1 and "snapshot.mode=no_data" in result.stderr
    connector = Connector(tmp_path, database, node, "adopted", snapshot_mode="no_data").start()
    connector.until("goes on from the slot")
    found = records(node, "adopted.public.t", 1)
    assert [(value["op"], value["after"]["id"]) for _, value in found] == [("c", 2)]
    assert connector.stop() == 0


def test_a_slot_that_was_moved_or_dropped_stops_it_loudly(tmp_path, database, node):
    sql(database, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    connector = Connector(tmp_path, database, node, "moved").start()
    connector.until("streams from")
    assert connector.stop() == 0
    sql(database, "INSERT INTO t VALUES (2)")
    sql(
        database,
        "SELECT pg_replication_slot_advance('debezium', pg_current_wal_lsn())",
    )
    result = connector.run("--bootstrap", node.address)
    assert result.returncode == 1 and "somebody else has read" in result.stderr, result.stderr
    sql(database, "SELECT pg_drop_replication_slot('debezium')")
    result = connector.run("--bootstrap", node.address)
    assert result.returncode == 1 and "is gone" in result.stderr, result.stderr
    # Forgotten, it begins anew, behind what is there.
    assert connector.run("--bootstrap", node.address, "--forget").returncode == 0
    connector.start().until("snapshot complete: 1 tables, 2 rows")
    found = records(node, "moved.public.t", 3)
    assert sorted(value["after"]["id"] for _, value in found) == [1, 1, 2]
    assert connector.stop() == 0


def test_a_publication_that_was_dropped_is_said_with_what_helps(tmp_path, database, node):
    sql(database, "CREATE TABLE t (id int PRIMARY KEY)")
    connector = Connector(tmp_path, database, node, "unpublished").start()
    connector.until("streams from")
    assert connector.stop() == 0
    sql(database, "DROP PUBLICATION dbz_publication", "INSERT INTO t VALUES (1)")
    result = connector.run("--bootstrap", node.address)
    assert result.returncode == 1 and "--forget" in result.stderr, result.stderr
    assert connector.run("--bootstrap", node.address, "--forget").returncode == 0
    connector.start().until("snapshot complete: 1 tables, 1 rows")
    assert connector.stop() == 0


def test_who_comes_later_takes_over(tmp_path, database, node):
    sql(database, "CREATE TABLE t (id int PRIMARY KEY)")
    first = Connector(tmp_path, database, node, "twice").start()
    first.until("streams from")
    second = Connector(tmp_path / "other", database, node, "twice").start()
    second.until("is being read by the backend")
    sql(database, "INSERT INTO t SELECT generate_series(1, 100)")
    assert first.process.wait(timeout=30) == 1
    assert "Another capture of the same name" in first.log.read_text()
    second.until("streams from")
    found = records(node, "twice.public.t", 100)
    assert sorted(value["after"]["id"] for _, value in found) == list(range(1, 101))
    assert second.stop() == 0


def test_idle_tables_hold_no_wal_back(tmp_path, database, node):
    sql(database, "CREATE TABLE quiet (id int PRIMARY KEY)", "CREATE TABLE busy (id int)")
    connector = Connector(
        tmp_path, database, node, "idle", table_include_list="public.quiet"
    ).start()
    connector.until("streams from")
    for n in range(3):
        sql(database, "INSERT INTO busy SELECT generate_series(1, 10000)")
        end = sql(database, "SELECT pg_current_wal_lsn()")[0][0]
        wait_for(
            lambda: sql(
                database, f"SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots"
            ) == [(True,)],
            20,
        )
    # Nothing of it is in the log, and what comes next is not forgotten.
    sql(database, "INSERT INTO quiet VALUES (7)")
    assert [value["after"] for _, value in records(node, "idle.public.quiet", 1)] == [{"id": 7}]
    assert connector.stop() == 0


def test_tables_change_under_it(tmp_path, database, node):
    sql(database, "CREATE TABLE t (id int PRIMARY KEY, a text)", "INSERT INTO t VALUES (1, 'x')")
    connector = Connector(tmp_path, database, node, "ddl", topic_creation_default_partitions="1")
    connector.start().until("streams from")
    sql(
        database,
        "CREATE TYPE mood AS ENUM ('sad', 'happy')",
        "ALTER TABLE t ADD COLUMN b mood",
        "INSERT INTO t VALUES (2, 'y', 'happy')",
        "ALTER TABLE t RENAME COLUMN a TO c",
        "INSERT INTO t VALUES (3, 'z', NULL)",
        "ALTER TABLE t DROP COLUMN b",
        "INSERT INTO t VALUES (4, 'w')",
    )
    rows = [value["after"] for _, value in records(node, "ddl.public.t", 4)]
    assert rows == [
        {"id": 1, "a": "x"},
        {"id": 2, "a": "y", "b": "happy"},
        {"id": 3, "c": "z", "b": None},
        {"id": 4, "c": "w"},
    ]
    assert connector.stop() == 0


def test_tables_without_keys_keep_their_order(tmp_path, database, node):
    sql(
        database,
        "CREATE TABLE t (n int)",
        "ALTER TABLE t REPLICA IDENTITY FULL",
        "INSERT INTO t SELECT generate_series(1, 10)",
    )
    connector = Connector(tmp_path, database, node, "loose", topic_creation_default_partitions="3")
    connector.start().until("streams from")
    sql(database, "UPDATE t SET n = n + 100 WHERE n < 3", "DELETE FROM t WHERE n = 10")
    found = [
        (value["op"], (value["before"] or {}).get("n"), (value["after"] or {}).get("n"))
        for _, value in records(node, "loose.public.t", 13)
    ]
    assert found[:10] == [("r", None, n) for n in range(1, 11)]
    assert found[10:] == [("u", 1, 101), ("u", 2, 102), ("d", 10, None)]
    assert connector.stop() == 0


def test_new_tables_and_partitions_of_a_publication_for_all(tmp_path, database, node):
    sql(
        database,
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
        "INSERT INTO p VALUES (1)",
        "CREATE PUBLICATION dbz_publication FOR ALL TABLES WITH (publish_via_partition_root)",
    )
    connector = Connector(
        tmp_path, database, node, "all", publication_autocreate_mode="all_tables"
    ).start()
    connector.until("streams from")
    sql(
        database,
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)",
        "INSERT INTO p VALUES (2), (12)",
        "CREATE TABLE later (id int PRIMARY KEY, t text)",
        "INSERT INTO later VALUES (5, 'five')",
    )
    found = [(v["op"], v["after"]["id"]) for _, v in records(node, "all.public.p", 3)]
    assert sorted(found) == [("c", 2), ("c", 12), ("r", 1)]
    assert [v["after"] for _, v in records(node, "all.public.later", 1)] == [
        {"id": 5, "t": "five"}
    ]
    assert connector.stop() == 0


def watermarks(node, topic):
    """How many records each partition has."""
    consumer = Consumer({"bootstrap.servers": node.address, "group.id": "x"})
    partitions = consumer.list_topics(topic).topics[topic].partitions
    ends = [
        consumer.get_watermark_offsets(TopicPartition(topic, n), timeout=20)[1] for n in partitions
    ]
    consumer.close()
    return ends


def kill(connector):
    connector.process.kill()
    connector.process.wait()


def test_partitions_added_while_it_lies_dead_repeat_and_skip_nothing(tmp_path, database, node):
    count = 120_000
    sql(database, "CREATE TABLE t (id int PRIMARY KEY)")
    connector = Connector(
        tmp_path, database, node, "more", topic_creation_default_partitions="2"
    ).start()
    connector.until("streams from")
    topic = "more.public.t"
    sql(database, f"INSERT INTO t SELECT generate_series(1, {count})")
    admin = AdminClient({"bootstrap.servers": node.address})
    for goal, partitions in [(5_000, 3), (40_000, 7)]:
        wait_for(lambda: sum(watermarks(node, topic)) > goal, 30)
        kill(connector)
        # Within the transaction, whose beginning is there and whose end is not.
        assert goal < sum(watermarks(node, topic)) < count
        admin.create_partitions([NewPartitions(topic, partitions)])[topic].result()
        connector.start()
    sql(database, "INSERT INTO t SELECT generate_series(-300, 0)")
    wait_for(lambda: sum(watermarks(node, topic)) >= count + 301, 60)
    found = [value["after"]["id"] for _, value in records(node, topic, count + 301)]
    assert sorted(found) == list(range(-300, count + 1))
    # What was written nowhere before goes by the number that there is now.
    assert all(watermarks(node, topic))
    assert connector.stop() == 0
    # All is recorded: the next number holds at once.
    admin.create_partitions([NewPartitions(topic, 8)])[topic].result()
    connector.start()
    sql(database, "INSERT INTO t SELECT generate_series(-1000, -301)")
    wait_for(lambda: sum(watermarks(node, topic)) == count + 1001, 60)
    assert all(watermarks(node, topic))
    assert connector.stop() == 0


def test_a_broker_that_does_not_answer_does_not_cost_the_stream(tmp_path, database):
    node = Node(tmp_path / "node")
    try:
        sql(database, "CREATE TABLE t (id int PRIMARY KEY)")
        sql(database, "CREATE PUBLICATION dbz_publication FOR ALL TABLES")
        sql(database, "ALTER SYSTEM SET wal_sender_timeout = '2s'", "SELECT pg_reload_conf()")
        connector = Connector(tmp_path, database, node, "patient").start()
        connector.until("streams from")
        walsender = sql(database, "SELECT pid FROM pg_stat_replication")
        node.process.send_signal(signal.SIGSTOP)
        sql(database, "CREATE TABLE fresh (id int PRIMARY KEY)", "INSERT INTO fresh VALUES (1)")
        deadline = time.monotonic() + 6
        while time.monotonic() < deadline:
            assert sql(database, "SELECT pid FROM pg_stat_replication") == walsender
            time.sleep(0.2)
        node.process.send_signal(signal.SIGCONT)
        found = records(node, "patient.public.fresh", 1)
        assert [value["after"]["id"] for _, value in found] == [1]
        assert sql(database, "SELECT pid FROM pg_stat_replication") == walsender
        assert connector.stop() == 0
    finally:
        sql(database, "ALTER SYSTEM RESET wal_sender_timeout", "SELECT pg_reload_conf()")
        node.process.send_signal(signal.SIGCONT)
        node.kill()


def test_a_row_that_is_too_large_stops_it_and_is_not_lost(tmp_path, database):
    node = Node(tmp_path / "node")
    try:
        sql(database, "CREATE TABLE t (id int PRIMARY KEY, body text)")
        connector = Connector(
            tmp_path, database, node, "large", topic_creation_default_partitions="1"
        ).start()
        connector.until("streams from")
        sql(database, "INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (2, repeat('b', 9500000))")
        assert connector.process.wait(timeout=30) == 1
        sql(database, "INSERT INTO t VALUES (3, 'c')")
        for part in ["A row of public.t", 'key {"id":2}', "9500", "Raise max.message.bytes"]:
            assert part in connector.log.read_text()
        topic = "large.public.t"
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[
            ConfigEntry("max.message.bytes", "20000000", incremental_operation=AlterConfigOpType.SET)
        ])
        admin = AdminClient({"bootstrap.servers": node.address})
        admin.incremental_alter_configs([resource])[resource].result()
        result = connector.run("--bootstrap", node.address)
        assert result.returncode == 1 and "this node's journal takes" in result.stderr
        assert node.stop() == 0
        node.settings.append("message.max.bytes=20000000")
        node.start()
        connector.start()
        rows = [value["after"] for _, value in records(node, topic, 3)]
        assert [(row["id"], len(row["body"])) for row in rows] == [(1, 1), (2, 9500000), (3, 1)]
        # It is there after a crash, too.
        node.kill()
        node.start()
        assert len(records(node, topic, 3)) == 3
        assert sum(watermarks(node, topic)) == 3
        assert connector.stop() == 0
    finally:
        node.kill()


def ids(node, topic, count):
    return sorted(value["after"]["id"] for _, value in records(node, topic, count))


@pytest.mark.parametrize("how", ["dropped", "renamed"])
def test_a_table_that_is_made_again_is_captured_again(tmp_path, database, node, how):
    sql(database, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    connector = Connector(
        tmp_path, database, node, f"again-{how}", table_include_list="public.t"
    ).start()
    connector.until("streams from")
    sql(database, "INSERT INTO t VALUES (2)")
    sql(
        database,
        "DROP TABLE t" if how == "dropped" else "ALTER TABLE t RENAME TO t_old",
        "CREATE TABLE t (id int PRIMARY KEY, body text)",
    )
    connector.until(r"public\.t was made, or made again")
    sql(database, "INSERT INTO t VALUES (3, 'three')", "UPDATE t SET body = 'x' WHERE id = 3")
    assert ids(node, f"again-{how}.public.t", 4) == [1, 2, 3, 3]
    assert connector.stop() == 0
    # Also while nobody looks.
    sql(database, "DROP TABLE t", "CREATE TABLE t (id int PRIMARY KEY)")
    connector.start().until(r"added public\.t")
    sql(database, "INSERT INTO t VALUES (4)")
    assert ids(node, f"again-{how}.public.t", 5) == [1, 2, 3, 3, 4]
    assert connector.stop() == 0


def test_a_table_that_cannot_be_published_is_said_with_what_helps(tmp_path, database, node):
    sql(database, "CREATE TABLE t (id int PRIMARY KEY)", "CREATE PUBLICATION dbz_publication FOR TABLE t")
    connector = Connector(
        tmp_path, database, node, "disabled", publication_autocreate_mode="disabled"
    ).start()
    connector.until("streams from")
    sql(database, "DROP TABLE t", "CREATE TABLE t (id int PRIMARY KEY)")
    connector.until(r'NOT captured.*ALTER PUBLICATION "dbz_publication" ADD TABLE "public"."t"')
    sql(database, 'ALTER PUBLICATION "dbz_publication" ADD TABLE "public"."t"')
    sql(database, "INSERT INTO t VALUES (1)")
    assert ids(node, "disabled.public.t", 1) == [1]
    assert connector.stop() == 0


def test_partitioned_tables_come_under_a_name_that_is_wanted_or_are_refused(tmp_path, database, node):
    sql(
        database,
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)",
        "INSERT INTO p VALUES (1), (11)",
    )
    # The changes would have the names of partitions, which nobody wants.
    parent = {"table_include_list": "public.p"}
    result = Connector(tmp_path, database, node, "parent", **parent).run("--check")
    assert result.returncode == 1 and "publish.via.partition.root=true" in result.stdout
    # So it is when the publication is there already; the SQL mends it.
    sql(database, "CREATE PUBLICATION dbz_publication FOR TABLE p")
    connector = Connector(tmp_path, database, node, "parent", **parent)
    result = connector.run("--check")
    assert result.returncode == 1 and "(public.p1, public.p2)" in result.stdout, result.stdout
    statement = re.search(r"^    (ALTER PUBLICATION .*root = true.*;)", result.stdout, re.M)[1]
    sql(database, statement)
    assert connector.run("--check").returncode == 0
    # Now partitions have no names of their own.
    leaf = Connector(tmp_path, database, node, "leaf", table_include_list="public.p1")
    result = leaf.run("--check")
    assert result.returncode == 1 and "under the name of public.p," in result.stdout, result.stdout
    sql(database, "DROP PUBLICATION dbz_publication")
    # Asked for, it is made so, as Debezium does.
    connector = Connector(
        tmp_path, database, node, "parent", publish_via_partition_root="true", **parent
    )
    assert connector.run("--check").returncode == 0
    connector.start().until("streams from")
    sql(
        database,
        "CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (30)",
        "INSERT INTO p VALUES (2), (12), (22)",
    )
    assert ids(node, "parent.public.p", 5) == [1, 2, 11, 12, 22]
    assert connector.stop() == 0


def test_some_partitions_may_be_wanted_and_a_new_one_is_followed(tmp_path, database, node):
    sql(
        database,
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)",
        "INSERT INTO p VALUES (1), (11)",
    )
    connector = Connector(
        tmp_path, database, node, "some", table_include_list="public.p,public.p1,public.p3"
    )
    result = connector.run("--check")
    assert result.returncode == 0 and re.search(r"warning: public\.p .*\(public\.p2\)", result.stdout)
    connector.start().until("streams from")
    sql(
        database,
        "CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (30)",
        "INSERT INTO p VALUES (2), (12), (22)",
    )
    assert ids(node, "some.public.p1", 2) == [1, 2]
    assert ids(node, "some.public.p3", 1) == [22]
    assert connector.stop() == 0


def markers(node, topic, count):
    return [value["source"]["snapshot"] for _, value in records(node, topic, count)]


@pytest.mark.parametrize("threads", [1, 4])
def test_a_snapshot_says_where_its_rows_stand(tmp_path, database, node, threads):
    sizes = {"a": 3, "b": 1, "c": 0, "d": 25_000, "e": 2, "f": 0}
    for table, rows in sizes.items():
        sql(
            database,
            f"CREATE TABLE {table} (id int PRIMARY KEY)",
            f"INSERT INTO {table} SELECT generate_series(1, {rows})",
        )
    name = f"marked{threads}"
    connector = Connector(
        tmp_path, database, node, name, topic_creation_default_partitions="1",
        snapshot_max_threads=str(threads),
    ).start()
    connector.until("streams from")
    found = {t: markers(node, f"{name}.public.{t}", n) for t, n in sizes.items() if n}
    assert {t: len(list_) for t, list_ in found.items()} == {t: n for t, n in sizes.items() if n}
    if threads == 1:
        # As Debezium does with one thread; the last event is of a table that is not the last.
        assert found["a"] == ["first", "true", "last_in_data_collection"]
        assert found["b"] == ["last_in_data_collection"]
        assert found["e"] == ["first_in_data_collection", "last"]
    every = [marker for list_ in found.values() for marker in list_]
    assert every.count("first") == 1 and every.count("last") == 1
    for list_ in found.values():
        assert list_[-1] in ["last_in_data_collection", "last", "first"]
        if len(list_) > 1:
            assert list_[0] in ["first_in_data_collection", "first"]
            assert set(list_[1:-1]) <= {"true"}
    assert connector.stop() == 0


def test_a_table_of_no_columns_is_captured_once(tmp_path, database, node):
    sql(
        database,
        "CREATE TABLE bare ()",
        "ALTER TABLE bare REPLICA IDENTITY FULL",
        "INSERT INTO bare DEFAULT VALUES",
        "CREATE TABLE made (a int GENERATED ALWAYS AS (1) STORED)",
        "INSERT INTO made DEFAULT VALUES",
    )
    connector = Connector(tmp_path, database, node, "bare").start()
    connector.until("snapshot complete: 2 tables, 2 rows")
    sql(database, "INSERT INTO bare DEFAULT VALUES", "INSERT INTO made DEFAULT VALUES")
    for topic in ["bare.public.bare", "bare.public.made"]:
        assert [(v["op"], v["after"]) for _, v in records(node, topic, 2)] == [("r", {}), ("c", {})]
    assert connector.stop() == 0
    connector.start()
    sql(database, "INSERT INTO bare DEFAULT VALUES")
    wait_for(lambda: sum(watermarks(node, "bare.public.bare")) > 2, 30)
    found = records(node, "bare.public.bare", 3)
    assert [value["op"] for _, value in found] == ["r", "c", "c"]
    assert connector.stop() == 0


def test_numbers_that_are_none_are_null_with_a_line_or_stop_it(tmp_path, database, node):
    sql(
        database,
        "CREATE TABLE t (id int PRIMARY KEY, a numeric, b numeric(10,2) NOT NULL)",
        "INSERT INTO t VALUES (1, 'NaN', 1)",
    )
    connector = Connector(
        tmp_path, database, node, "nan", topic_creation_default_partitions="1"
    ).start()
    connector.until("column a of public.t has the value NaN")
    connector.until("streams from")
    sql(database, "INSERT INTO t VALUES (2, 'Infinity', 1), (3, 1, 'NaN')")
    assert connector.process.wait(timeout=30) == 1
    assert "Column b of public.t has the value NaN" in connector.log.read_text()
    # The setting that it names mends it.
    connector = Connector(
        tmp_path, database, node, "nan", topic_creation_default_partitions="1",
        decimal_handling_mode="string",
    ).start()
    found = [value["after"] for _, value in records(node, "nan.public.t", 3)]
    assert [row["id"] for row in found] == [1, 2, 3]
    assert found[2]["b"] == "NaN"
    assert connector.stop() == 0


def test_a_directory_is_no_configuration(tmp_path):
    for command in [["capture", "--config"], ["run"], ["serve", "--config"]]:
        result = subprocess.run(
            [BINARY, *command, tmp_path], capture_output=True, text=True, timeout=30
        )
        assert result.returncode != 0
        assert f"{tmp_path} cannot be read: Is a directory." in result.stderr, result.stderr


def test_columns_that_are_not_wanted_are_not_even_read(tmp_path, database, node):
    sql(
        database,
        "CREATE TABLE t (id int PRIMARY KEY, name text, secret text)",
        "ALTER TABLE t REPLICA IDENTITY FULL",
        "INSERT INTO t VALUES (1, 'a', 's1')",
    )
    connector = Connector(
        tmp_path, database, node, "columns",
        column_exclude_list=r"public\.t\.(id|secret),public.t.nothing",
        topic_creation_default_partitions="1",
    )
    assert "'public.t.nothing', and no column" in connector.run("--check").stdout
    connector.start().until("streams from")
    sql(
        database,
        "UPDATE t SET name = 'b', secret = 's2'",
        "ALTER TABLE t ADD COLUMN more int DEFAULT 7",
        "DELETE FROM t",
    )
    found = records(node, "columns.public.t", 4)
    assert [key for key, _ in found] == [{"id": 1}] * 4
    rows = [(v["op"], v["before"], v["after"]) for _, v in found if v]
    assert rows == [
        ("r", None, {"name": "a"}),
        ("u", {"name": "a"}, {"name": "b"}),
        ("d", {"name": "b", "more": 7}, None),
    ]
    assert connector.stop() == 0


def text(value):
    return base64.b64decode(value["message"]["content"]).decode()


def test_messages_and_transactions_come_once_whatever_is_killed(tmp_path, database, node):
    rows, small = 30_000, 1_500
    sql(database, "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE u (id int PRIMARY KEY)")
    connector = Connector(
        tmp_path, database, node, "said", provide_transaction_metadata="true",
        message_prefix_exclude_list="noise.*", topic_creation_default_partitions="3",
    ).start()
    connector.until("streams from")
    # One transaction, and messages that do and do not belong to it.
    sql(
        database,
        f"""DO $$ BEGIN FOR i IN 1..{rows} LOOP
              INSERT INTO t VALUES (i);
              PERFORM pg_logical_emit_message(true, 'outbox', i::text);
              PERFORM pg_logical_emit_message(true, 'noise.x', 'unheard');
              PERFORM pg_logical_emit_message(false, 'first', i::text);
              INSERT INTO u VALUES (i);
            END LOOP; END $$""",
    )
    for goal in [0, 10_000, 25_000]:
        wait_for(lambda: sum(watermarks(node, "said.public.t")) > goal, 30)
        kill(connector)
        if goal == 0:
            # Within the transaction, whose beginning is there and whose end is not.
            assert sum(watermarks(node, "said.public.t")) < rows
        connector.start()
    connection = database.connect()
    connection.autocommit = True
    with connection.cursor() as cursor:
        for n in range(small):
            cursor.execute(f"SELECT pg_logical_emit_message(false, 'loose', '{n}')")
            cursor.execute(f"INSERT INTO t VALUES ({-n})")
            if n % 300 == 150:
                kill(connector)
                connector.start()
    connection.close()
    found = [v for _, v in records(node, "said.message", 2 * rows + small, 60)]
    said = defaultdict(list)
    for value in found:
        said[value["message"]["prefix"]].append(text(value))
    # One key each: one partition, in order, each once.
    assert said == {
        "outbox": [str(n) for n in range(1, rows + 1)],
        "first": [str(n) for n in range(1, rows + 1)],
        "loose": [str(n) for n in range(small)],
    }
    changes = {t: [v for _, v in records(node, f"said.public.{t}", n, 60)]
               for t, n in [("t", rows + small), ("u", rows)]}
    inside = [v for v in found if v["message"]["prefix"] == "outbox"]
    large = inside[0]["transaction"]["id"]
    assert all(v["transaction"] is None and v["source"]["txId"] is None
               for v in found if v["message"]["prefix"] != "outbox")
    places = [v["transaction"] for v in [*changes["t"], *changes["u"], *inside]]
    orders = sorted(p["total_order"] for p in places if p["id"] == large)
    assert orders == list(range(1, 3 * rows + 1))
    for list_ in [changes["t"], changes["u"], inside]:
        orders = [v["transaction"]["data_collection_order"] for v in list_
                  if v["transaction"]["id"] == large]
        assert sorted(orders) == list(range(1, rows + 1))
    borders = defaultdict(list)
    for key, value in records(node, "said.transaction", 2 * (small + 1), 60):
        assert key == {"id": value["id"]}
        borders[value["id"]].append(value)
    assert sum(watermarks(node, "said.transaction")) == 2 * (small + 1)
    assert set(borders) == {p["id"] for p in places}
    for id_, (begin, end) in borders.items():
        assert (begin["status"], end["status"]) == ("BEGIN", "END")
        assert begin["event_count"] is None and begin["data_collections"] is None
        counts = {c["data_collection"]: c["event_count"] for c in end["data_collections"]}
        wanted = dict.fromkeys(["public.t", "message", "public.u"], rows)
        assert counts == (wanted if id_ == large else {"public.t": 1})
        assert end["event_count"] == sum(counts.values())
    assert connector.process.poll() is None
    assert connector.stop() == 0


def test_heartbeats_beat_and_act(tmp_path, database, node):
    sql(database, "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE pulse (n serial)")
    connector = Connector(
        tmp_path, database, node, "beat", table_include_list="public.t",
        heartbeat_interval_ms="100", topic_heartbeat_prefix="__hb",
        heartbeat_action_query="INSERT INTO pulse DEFAULT VALUES",
    ).start()
    connector.until("streams from")
    found = records(node, "__hb.beat", 3)
    assert all(key == {"serverName": "beat"} and set(value) == {"ts_ms"} for key, value in found)
    assert sql(database, "SELECT count(*) FROM pulse")[0][0] >= 3
    # What fails is said once, and neither beats nor changes wait for it.
    sql(database, "ALTER TABLE pulse RENAME TO gone")
    connector.until("heartbeat.action.query failed: .*pulse")
    end = sum(watermarks(node, "__hb.beat"))
    wait_for(lambda: sum(watermarks(node, "__hb.beat")) > end + 5, 20)
    assert connector.log.read_text().count("query failed") == 1
    sql(database, "ALTER TABLE gone RENAME TO pulse", "INSERT INTO t VALUES (1)")
    assert ids(node, "beat.public.t", 1) == [1]
    assert connector.stop() == 0
    times = [v["ts_ms"] for _, v in records(node, "__hb.beat", sum(watermarks(node, "__hb.beat")))]
    assert sorted(times) == times and times[-1] - times[0] >= (len(times) - 2) * 80
