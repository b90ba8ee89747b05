"""What Prometheus sees of nodes, captures and processors, with a node in the process and without."""

import json
import re
import signal
import subprocess
import urllib.error
import urllib.request

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from conftest import BINARY, Node, until
from postgres import Postgres
from test_processors import SQLite, Source, make_topics


@pytest.fixture(scope="module")
def postgres():
    postgres = Postgres()
    yield postgres
    postgres.stop()


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    for process in Command.running:
        if process.poll() is None:
            process.kill()
            process.wait()


class Page:
    """The status pages of one process, at its `url`."""

    def page(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.read().decode()

    def samples(self, name, **labels):
        """The samples that have these labels; every line must be in the text format."""
        found = []
        for line in self.page("/metrics").splitlines():
            if line.startswith("#"):
                continue
            match = re.fullmatch(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)', line)
            assert match, line
            pairs = dict(re.findall(r'([a-z]+)="((?:[^"\\]|\\.)*)"', match.group(2) or ""))
            if match.group(1) == name and all(pairs.get(key) == value for key, value in labels.items()):
                found.append(float(match.group(3)))
        return found

    def value(self, name, **labels):
        """The sum of the samples that have these labels."""
        found = self.samples(name, **labels)
        return sum(found) if found else None


class NodePage(Page):
    def __init__(self, node):
        self.url = f"http://127.0.0.1:{node.http}"


class Command(Page):
    running = []

    def __init__(self, directory, *words):
        self.log = directory / "command.log"
        self.process = subprocess.Popen([BINARY, *words], stderr=open(self.log, "wb"))
        self.running.append(self.process)
        found = until(lambda: re.search(r"metrics on port (\d+)", self.log.read_text()))
        self.url = f"http://127.0.0.1:{found.group(1)}"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=20) == 0, self.log.read_text()


def test_processors(tmp_path):
    node = Node(tmp_path / "data")
    Command.running.append(node.process)
    make_topics(node.address)
    config = tmp_path / "processors.yaml"
    database = SQLite(tmp_path)
    config.write_text(json.dumps({"results": database.setting, "processors": [
        {"name": "revenue", "kind": "revenue", "grace": "600s"}, {"name": "stock", "kind": "low-stock"}]}))
    command = Command(tmp_path, "process", "--bootstrap", node.address, "--config", config, "--http", "127.0.0.1:0")
    producer = Producer({"bootstrap.servers": node.address})
    counts = {"orders": 0, "products": 0}
    for topic, key, value in Source(5).events(2000):
        producer.produce(topic, value, key)
        counts[topic] += 1
    producer.flush(20)
    until(lambda: command.value("martlet_processor_records_in_total", processor="revenue") == counts["orders"])
    until(lambda: command.value("martlet_processor_records_in_total", processor="stock") == counts["products"])
    assert command.value("martlet_processor_dead_letters_total") == 5
    assert command.value("martlet_processor_late_records_total", processor="revenue") > 0
    assert command.value("martlet_processor_batches_total", processor="stock") > 0
    assert command.value("martlet_processor_records_out_total", processor="revenue") > 5
    assert command.value("martlet_processor_lag_seconds_count", processor="revenue") > 0
    until(lambda: command.value("martlet_processor_lag_records", processor="revenue") == 0)
    assert command.value("martlet_processor_running") == 2
    assert command.page("/health") == "ok\n"
    with pytest.raises(urllib.error.HTTPError):
        command.page("/")
    # A broker that goes and comes is a restart, with its error.
    node.kill()
    until(lambda: command.value("martlet_processor_last_error", processor="revenue") or "No broker" in command.log.read_text(), 60)
    node.start()
    Command.running.append(node.process)
    command.stop()
    assert node.stop() == 0


def produce(node, topic, counts):
    producer = Producer({"bootstrap.servers": node.address})
    errors = []
    for partition, count in enumerate(counts):
        for n in range(count):
            producer.produce(topic, f"value {n}", partition=partition, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(20) == 0 and errors == [None] * sum(counts)


def commit(node, group, topic, offsets):
    """Returns when the node has answered: from then on the lag is known."""
    consumer = Consumer({"bootstrap.servers": node.address, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, *place) for place in offsets.items()], asynchronous=False)
    consumer.close()


def read(node, topic, partition, count):
    consumer = Consumer({"bootstrap.servers": node.address, "group.id": "reader", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, 0)])
    found = []
    until(lambda: found.extend(consumer.consume(1000, 0.1)) or len(found) >= count)
    consumer.close()


def lags(node, group, topic):
    page = NodePage(node)
    sums = page.samples("kafka_consumer_lag_sum", consumergroup=group, topic=topic)
    assert len(sums) < 2
    return [page.value("martlet_group_lag", group=group, topic=topic, partition=str(n)) for n in range(2)] + (sums or [None])


def test_a_groups_lag_is_what_it_has_not_committed(node, topic):
    admin = AdminClient({"bootstrap.servers": node.address})
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result()
    group = f"g-{topic}"
    produce(node, topic, [300, 100])
    assert lags(node, group, topic) == [None, None, None]
    commit(node, group, topic, {0: 120})
    assert lags(node, group, topic) == [180, None, 180]
    commit(node, group, topic, {1: 100})
    assert lags(node, group, topic) == [180, 0, 180]
    produce(node, topic, [30, 7])
    assert lags(node, group, topic) == [210, 7, 217]
    commit(node, group, topic, {0: 330, 1: 106})
    assert lags(node, group, topic) == [0, 1, 1]
    # Back, to read again, and beyond the end, which is behind nothing.
    commit(node, group, topic, {0: 10, 1: 2000})
    assert lags(node, group, topic) == [320, 0, 320]
    # Another group is nobody else's business.
    commit(node, f"{group}-other", topic, {0: 0})
    assert lags(node, group, topic) == [320, 0, 320]
    assert lags(node, f"{group}-other", topic) == [330, None, 330]
    admin.delete_consumer_groups([group])[group].result()
    assert lags(node, group, topic) == [None, None, None]


@pytest.mark.parametrize("ends", ["killed", "stopped"])
def test_a_node_that_starts_again_counts_from_zero_and_has_its_logs_and_lags(tmp_path, topic, ends):
    node = Node(tmp_path / "data")
    Command.running.append(node.process)
    admin = AdminClient({"bootstrap.servers": node.address})
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result()
    # It would come back by itself and ask.
    del admin
    for _ in range(20):
        produce(node, topic, [15, 5])
    commit(node, "g", topic, {0: 120, 1: 100})
    read(node, topic, 0, 300)

    page = NodePage(node)
    counted = ["martlet_topic_records_in_total", "kafka_server_brokertopicmetrics_messagesinpersec_total"]
    for name in counted:
        assert page.value(name, topic=topic) == 400
    bytes_in = page.value("martlet_topic_bytes_in_total", topic=topic)
    assert bytes_in > 400 * len("value 0")
    # What was read is one partition of two.
    assert 0 < page.value("martlet_bytes_out_total") < bytes_in
    produced = page.value("martlet_requests_total", api="produce", error="NONE")
    assert produced >= 20
    assert page.value("martlet_request_duration_seconds_count", api="produce") == produced
    # One or more batches each, and with the offsets' log nothing that is not a client's.
    assert page.value("martlet_append_duration_seconds_count") >= produced
    # A node that is alone leads everything, and is the majority.
    assert page.value("martlet_commit_duration_seconds_count") == page.value("martlet_append_duration_seconds_count")
    assert page.value("martlet_partitions", role="leader") >= 2
    for name in ["martlet_under_replicated_partitions", "martlet_under_min_isr_partitions", "martlet_leaderless_partitions"]:
        assert page.value(name) == 0, name
    assert page.value("martlet_metadata_leader") == page.value("martlet_node_started") == 1
    assert page.value("martlet_peer_connected") is None
    writes = page.value("martlet_journal_write_duration_seconds_count")
    assert writes >= 20
    for name, labels in [
            ("martlet_request_duration_seconds", {"api": "produce"}), ("martlet_append_duration_seconds", {}),
            ("martlet_commit_duration_seconds", {}),
            ("martlet_journal_write_duration_seconds", {})]:
        buckets = page.samples(f"{name}_bucket", **labels)
        assert buckets == sorted(buckets) and buckets[-1] == page.value(f"{name}_count", **labels)
        assert 0 < page.value(f"{name}_sum", **labels) < 20 * buckets[-1]

    def gauges():
        page = NodePage(node)
        return [page.value(name, topic=topic, partition=str(n))
                for name in ["martlet_log_end_offset", "martlet_log_size_bytes"] for n in range(2)]

    before = gauges()
    assert before[:2] == [300, 100] and sum(before[2:]) == bytes_in
    assert lags(node, "g", topic) == [180, 0, 180]

    node.kill() if ends == "killed" else node.stop()
    node.start()
    Command.running.append(node.process)
    page = NodePage(node)
    assert gauges() == before
    until(lambda: lags(node, "g", topic) == [180, 0, 180])
    # Nobody has asked for anything yet. A restart is an earlier value that is larger, not a gap.
    for name in [*counted, "martlet_topic_bytes_in_total", "martlet_requests_total", "martlet_request_duration_seconds_count"]:
        assert page.value(name) is None, name
    for name in ["martlet_bytes_out_total", "martlet_cold_fetches_total", "martlet_append_duration_seconds_count",
                 "martlet_append_duration_seconds_sum", "martlet_append_duration_seconds_bucket"]:
        assert page.value(name) == 0, name
    assert page.value("martlet_journal_write_duration_seconds_count") < writes
    produce(node, topic, [5, 0])
    for name in counted:
        assert page.value(name, topic=topic) == 5
    assert page.value("martlet_requests_total", api="produce", error="NONE") >= 1
    assert lags(node, "g", topic) == [185, 0, 185]
    assert gauges()[:2] == [305, 100]
    assert page.value("martlet_topic_bytes_in_total", topic=topic) == sum(gauges()[2:]) - sum(before[2:])
    read(node, topic, 0, 305)
    # All of it but the five was written by the process before.
    assert page.value("martlet_cold_fetches_total") >= (ends == "stopped")
    assert page.value("martlet_bytes_out_total") > 0
    assert node.stop() == 0


def test_a_pipeline_has_everything_on_one_page(tmp_path, postgres):
    postgres.run("CREATE TABLE orders (order_id int PRIMARY KEY, total_amount numeric(10,2), status text, created_at timestamp DEFAULT now())")
    postgres.run("INSERT INTO orders SELECT n, 1, 'completed' FROM generate_series(1, 100) n")
    pipeline = tmp_path / "pipeline.yaml"
    pipeline.write_text(json.dumps({
        "log": {"data": str(tmp_path / "data"), "listen": "127.0.0.1:0"},
        "capture": [{"config": {
            "name": "c", "database.hostname": postgres.host, "database.user": "postgres",
            "database.dbname": "postgres", "topic.prefix": "c", "table.include.list": "public.orders",
        }}],
        "processors": [{"kind": "revenue", "source": "c.public.orders"}],
    }))
    command = Command(tmp_path, "run", pipeline, "--http", "127.0.0.1:0")
    until(lambda: command.value("martlet_capture_streaming", capture="c") == 1, 60)
    assert command.value("martlet_capture_snapshot_rows") == 100
    assert command.value("martlet_capture_snapshot_tables_complete") == 1
    postgres.run("INSERT INTO orders SELECT n, 1, 'completed' FROM generate_series(101, 150) n")
    until(lambda: command.value("martlet_capture_records_out_total") == 50)
    assert command.value("martlet_capture_records_in_total") == 50
    assert command.value("martlet_capture_lag_seconds_count") >= 1
    until(lambda: command.value("martlet_processor_records_in_total") == 150)
    until(lambda: 0 < command.value("martlet_capture_recorded_lsn") == command.value("martlet_capture_confirmed_lsn"))
    # The server's end moves on its own; what the slot holds back is little.
    assert command.value("martlet_capture_slot_lag_bytes") < 1 << 24
    assert command.value("martlet_topic_records_in_total", topic="c.public.orders") == 150
    assert command.page("/health") == "ok\n"
    command.stop()


def test_a_pipeline_with_a_part_that_has_failed_is_not_healthy(tmp_path):
    (tmp_path / "not-a-file").mkdir()
    pipeline = tmp_path / "pipeline.yaml"
    pipeline.write_text(json.dumps({
        "log": {"data": str(tmp_path / "data"), "listen": "127.0.0.1:0"},
        "results": {"sqlite": str(tmp_path / "results.db")},
        "processors": [
            {"kind": "revenue", "name": "bad", "results": {"sqlite": str(tmp_path / "not-a-file")}},
            {"kind": "low-stock", "name": "good"},
        ],
    }))
    command = Command(tmp_path, "run", pipeline, "--http", "127.0.0.1:0")
    until(lambda: "processor 'bad' has failed" in command.log.read_text())
    with pytest.raises(urllib.error.HTTPError) as error:
        command.page("/health")
    assert error.value.code == 503
    text = error.value.read().decode()
    assert text.startswith("processor 'bad': ") and "good" not in text, text
    command.process.send_signal(signal.SIGTERM)
    assert command.process.wait(timeout=20) == 1
