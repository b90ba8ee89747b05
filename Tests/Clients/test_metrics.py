"""What Prometheus sees of captures and processors, with a node in the process and without."""

import json
import re
import signal
import subprocess
import urllib.error
import urllib.request

import pytest
from confluent_kafka import Producer

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


class Command:
    running = []

    def __init__(self, directory, *words):
        self.log = directory / "command.log"
        self.process = subprocess.Popen([BINARY, *words], stderr=open(self.log, "wb"))
        self.running.append(self.process)
        found = until(lambda: re.search(r"metrics on port (\d+)", self.log.read_text()))
        self.url = f"http://127.0.0.1:{found.group(1)}"

    def page(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.read().decode()

    def value(self, name, **labels):
        """The sum of the samples that have these labels; every line must be in the text format."""
        found = []
        for line in self.page("/metrics").splitlines():
            if line.startswith("#"):
                continue
            match = re.fullmatch(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)', line)
            assert match, line
            pairs = dict(re.findall(r'([a-z]+)="((?:[^"\\]|\\.)*)"', match.group(2) or ""))
            if match.group(1) == name and all(pairs.get(key) == value for key, value in labels.items()):
                found.append(float(match.group(3)))
        return sum(found) if found else None

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
