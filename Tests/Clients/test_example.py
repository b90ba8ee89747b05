"""The example as it is shipped, but for its addresses."""

import json
import subprocess

import pytest
import store_a
from conftest import BINARY, ROOT, until
from postgres import Postgres
from test_store_a import Running, has_results, revenue_is_equal

EXAMPLE = ROOT / "examples" / "store-a"


@pytest.fixture
def postgres():
    server = Postgres()
    for name in ["ecommerce", "analytics"]:
        server.run(f"CREATE DATABASE {name}")
    server.run(store_a.SCHEMA, "ecommerce")
    server.run(
        "INSERT INTO orders (user_id, total_amount, status) SELECT n, n, 'completed' FROM generate_series(1, 20) n",
        "ecommerce",
    )
    yield server
    server.stop()


def example(directory, postgres):
    text = (EXAMPLE / "pipeline.yaml").read_text()
    for here, there in [
        ("\n  listen: 127.0.0.1:9092\n", "\n  listen: 127.0.0.1:0\n"),
        ("\n  http: 127.0.0.1:8080\n", "\n  http: 127.0.0.1:0\n"),
        ("host=localhost dbname=analytics user=postgres", postgres.conninfo("analytics")),
    ]:
        assert text.count(here) == 1, here
        text = text.replace(here, there)
    (directory / "pipeline.yaml").write_text(text)
    connector = json.loads((EXAMPLE / "connector.json").read_text())
    connector["config"] |= {"database.hostname": postgres.host, "database.port": postgres.port}
    (directory / "connector.json").write_text(json.dumps(connector))
    return connector["config"]


def check(directory):
    command = [BINARY, "capture", "--config", directory / "connector.json", "--check"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout


def test_truncate_is_followed(tmp_path, postgres):
    config = example(tmp_path, postgres)
    assert "TRUNCATE" not in check(tmp_path)
    running = Running(tmp_path / "pipeline.yaml")
    until(lambda: has_results(postgres, "revenue_analytics") and revenue_is_equal(postgres))
    postgres.run("TRUNCATE orders", "ecommerce")
    assert postgres.run(store_a.REVENUE, "ecommerce") == []
    until(lambda: revenue_is_equal(postgres))
    assert running.stop() == 0
    # Who leaves it out is told.
    del config["skipped.operations"]
    (tmp_path / "connector.json").write_text(json.dumps({"name": "store-a", "config": config}))
    assert "note: skipped.operations has t, as by default: TRUNCATE makes no event" in check(tmp_path)
