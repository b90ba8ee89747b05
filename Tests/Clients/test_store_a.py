"""Store A end to end, as its users run it: Postgres, `martlet run` with a pipeline's file, stock Kafka
clients, results in an analytics database."""

import decimal
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import textwrap

import kafka
import pytest
import store_a
from conftest import BINARY, ROOT, until
from postgres import Postgres

FACTS = ROOT.parent / "shared" / "facts" / "pipelines" / "store-a" / "test_pipeline.py"


def pipeline(directory, postgres, listen="127.0.0.1:0"):
    """A pipeline's file; JSON is YAML."""
    file = {
        "name": "store-a",
        "log": {
            "data": str(directory / "data"),
            "listen": listen,
            "http": "127.0.0.1:0",
            "settings": {"num.partitions": "6", "group.initial.rebalance.delay.ms": "100"},
        },
        "capture": [
            {"config": {"name": "shop", **store_a.connector(postgres.host, postgres.port)}}
        ],
        "results": {"postgres": postgres.conninfo("analytics")},
        "processors": [{"kind": "revenue"}, {"kind": "low-stock"}],
    }
    path = directory / "pipeline.yaml"
    path.write_text(json.dumps(file, indent=2))
    return path


class Running:
    """A `martlet run` process."""

    def __init__(self, path):
        self.path = path
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [BINARY, "run", self.path], stderr=subprocess.PIPE, text=True
        )
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            if match := re.search(r" on 127\.0\.0\.1:(\d+)$", line.strip()):
                self.address = f"127.0.0.1:{match.group(1)}"
                break
        else:
            raise RuntimeError("martlet did not start: " + "".join(lines))
        os.set_blocking(self.process.stderr.fileno(), False)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


@pytest.fixture(scope="module")
def postgres():
    server = Postgres()
    for name in ["ecommerce", "analytics"]:
        server.run(f"CREATE DATABASE {name}")
    server.run(store_a.SCHEMA, "ecommerce")
    server.run("INSERT INTO users (email) SELECT 'u' || n FROM generate_series(1, 10) n", "ecommerce")
    server.run(
        "INSERT INTO products (name, price, stock_quantity)"
        " SELECT 'p' || n, n, 15 * n FROM generate_series(1, 5) n",
        "ecommerce",
    )
    server.run(
        "INSERT INTO orders (user_id, total_amount, status)"
        " SELECT n, 10.05 * n, 'completed' FROM generate_series(1, 20) n",
        "ecommerce",
    )
    yield server
    server.stop()


@pytest.fixture(scope="module")
def running(postgres, tmp_path_factory):
    running = Running(pipeline(tmp_path_factory.mktemp("run"), postgres))
    yield running
    assert running.process.poll() is None, "the pipeline ended: " + (running.process.stderr.read() or "")
    assert running.stop() == 0


def revenue_is_equal(postgres):
    source = postgres.run(store_a.REVENUE, "ecommerce")
    results = postgres.run(
        "SELECT window_start, total_revenue, order_count FROM revenue_analytics"
        " WHERE order_count <> 0 ORDER BY 1",
        "analytics",
    )
    return source == results


def has_results(postgres, table):
    query = f"SELECT to_regclass('{table}') IS NOT NULL"
    return postgres.run(query, "analytics")[0][0]


def test_snapshot_is_in_the_results(postgres, running):
    until(lambda: has_results(postgres, "revenue_analytics") and revenue_is_equal(postgres))
    total = postgres.run("SELECT sum(total_revenue) FROM revenue_analytics", "analytics")[0][0]
    assert total == decimal.Decimal("2110.50")


def events(running, topic, key, wanted):
    """The events of one row, once as many as wanted are there."""
    consumer = kafka.KafkaConsumer(
        topic,
        bootstrap_servers=[running.address],
        value_deserializer=lambda value: json.loads(value) if value else None,
        auto_offset_reset="earliest",
        consumer_timeout_ms=20_000,
    )
    found = []
    for message in consumer:
        after = message.value and message.value["payload"]["after"]
        if after and after["order_id"] == key:
            found.append(message.value["payload"])
            if len(found) == wanted:
                break
    consumer.close()
    return found


def test_an_order_and_its_update_are_captured(postgres, running):
    insert = (
        "INSERT INTO orders (user_id, total_amount, status) VALUES (999, 123.45, 'pending')"
        " RETURNING order_id"
    )
    order = postgres.run(insert, "ecommerce")[0][0]
    postgres.run(
        f"UPDATE orders SET status = 'completed', updated_at = CURRENT_TIMESTAMP"
        f" WHERE order_id = {order}",
        "ecommerce",
    )
    create, update = events(running, "orders", order, 2)
    assert create["op"] == "c" and update["op"] == "u"
    assert create["after"]["user_id"] == 999
    assert float(create["after"]["total_amount"]) == 123.45
    assert create["after"]["status"] == "pending" and update["after"]["status"] == "completed"
    until(lambda: revenue_is_equal(postgres))


def test_revenue_follows_an_order_out_of_completed(postgres, running):
    def total():
        return postgres.run("SELECT sum(total_revenue) FROM revenue_analytics", "analytics")[0][0]

    before = total()
    order = postgres.run(
        "INSERT INTO orders (user_id, total_amount, status) VALUES (1, 77.77, 'completed')"
        " RETURNING order_id",
        "ecommerce",
    )[0][0]
    until(lambda: total() == before + decimal.Decimal("77.77"))
    postgres.run(f"UPDATE orders SET total_amount = 80 WHERE order_id = {order}", "ecommerce")
    until(lambda: total() == before + 80)
    postgres.run(f"UPDATE orders SET status = 'cancelled' WHERE order_id = {order}", "ecommerce")
    until(lambda: total() == before)
    postgres.run(f"DELETE FROM orders WHERE order_id = {order}", "ecommerce")
    postgres.run(
        "INSERT INTO orders (user_id, total_amount, status) VALUES (1, 0.01, 'completed')",
        "ecommerce",
    )
    until(lambda: total() == before + decimal.Decimal("0.01"))
    assert revenue_is_equal(postgres)


def test_low_stock_alerts_rise_and_resolve(postgres, running):
    def alert(product):
        rows = postgres.run(
            "SELECT alert_level, status, current_stock FROM inventory_alerts"
            f" WHERE product_id = {product}",
            "analytics",
        )
        return rows[0] if rows else None

    until(lambda: has_results(postgres, "inventory_alerts") and alert(1))
    assert alert(1) == ("MEDIUM", "active", 15) and alert(2) is None
    for stock, expected in [(9, "HIGH"), (0, "CRITICAL"), (-4, "CRITICAL"), (10, "MEDIUM")]:
        postgres.run(
            f"UPDATE products SET stock_quantity = {stock} WHERE product_id = 1", "ecommerce"
        )
        until(lambda: alert(1) == (expected, "active", stock))
    postgres.run("UPDATE products SET stock_quantity = 20 WHERE product_id = 1", "ecommerce")
    until(lambda: alert(1)[1] == "resolved")


def test_results_are_in_topics_too(postgres, running):
    consumer = kafka.KafkaConsumer(
        "revenue-analytics",
        bootstrap_servers=[running.address],
        auto_offset_reset="earliest",
        consumer_timeout_ms=20_000,
    )
    latest = {}
    expected = dict(
        postgres.run("SELECT window_start, total_revenue::text FROM revenue_analytics", "analytics")
    )
    for message in consumer:
        assert message.key.startswith(b"revenue-")
        assert "martlet.position" in dict(message.headers)
        latest[message.key] = json.loads(message.value)["total_revenue"]
        if len(latest) == len(expected) and sorted(latest.values()) == sorted(expected.values()):
            break
    consumer.close()
    assert sorted(latest.values()) == sorted(expected.values())


def test_a_killed_pipeline_goes_on_where_it_was(postgres, running):
    for round in range(3):
        postgres.run(
            "INSERT INTO orders (user_id, total_amount, status)"
            " SELECT n, 1.11 * n, 'completed' FROM generate_series(1, 50) n",
            "ecommerce",
        )
        running.kill()
        postgres.run("UPDATE orders SET total_amount = total_amount + 1", "ecommerce")
        running.start()
        until(lambda: revenue_is_equal(postgres), seconds=40)


@pytest.mark.skipif(not FACTS.exists(), reason="the users' own test is not on this machine")
@pytest.mark.skipif(os.geteuid() != 0, reason="ports of its own need root")
def test_users_own_test_passes(tmp_path):
    """Their file, with the imports that it lacks, at the addresses that it names: in a network of its
    own, where nobody else has those ports.

    It inserts before it polls. kafka-python 3 looks up "latest" at the first poll, which would be
    behind the insert with any broker, and wait for ever: here a consumer has its position when it
    is made."""
    (tmp_path / "conftest.py").write_text(
        textwrap.dedent(
            """
            import kafka

            class Consumer(kafka.KafkaConsumer):
                def __init__(self, *topics, **options):
                    super().__init__(*topics, **options)
                    while not self.assignment():
                        self.poll(timeout_ms=100)
                    for partition in self.assignment():
                        self.position(partition)

            kafka.KafkaConsumer = Consumer
            """
        )
    )
    text = "import json\nfrom datetime import datetime, timedelta\n" + FACTS.read_text()
    (tmp_path / "test_pipeline.py").write_text(text)
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import pathlib, subprocess, sys
            sys.path[:0] = [{str(pathlib.Path(__file__).parent)!r}]
            import test_store_a, store_a
            from postgres import Postgres
            here = pathlib.Path({str(tmp_path)!r})
            postgres = Postgres("listen_addresses = 'localhost'")
            try:
                for name in ["ecommerce", "analytics"]:
                    postgres.run(f"CREATE DATABASE {{name}}")
                postgres.run(store_a.SCHEMA, "ecommerce")
                running = test_store_a.Running(
                    test_store_a.pipeline(here, postgres, listen="127.0.0.1:9092"))
                try:
                    test_store_a.until(
                        lambda: test_store_a.has_results(postgres, "revenue_analytics"))
                    result = subprocess.run(
                        [sys.executable, "-m", "pytest", "-q", here / "test_pipeline.py",
                         "--rootdir", here, "-p", "no:cacheprovider"], timeout=90)
                finally:
                    running.stop()
            finally:
                postgres.stop()
            sys.exit(result.returncode)
            """
        )
    )
    command = ["unshare", "-n", "sh", "-c", f"ip link set lo up && exec {sys.executable} {script}"]
    if not shutil.which("ip"):
        pytest.skip("iproute2 is not installed")
    result = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert result.returncode == 0, result.stdout + result.stderr
