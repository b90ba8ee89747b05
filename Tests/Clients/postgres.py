"""A throwaway Postgres 15 cluster that can be killed."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import psycopg2
import pytest

BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
SETTINGS = """
wal_level = logical
fsync = off
listen_addresses = ''
max_wal_senders = 10
max_replication_slots = 10
wal_sender_timeout = 10s
log_min_messages = warning
"""


class Postgres:
    """Runs as the user postgres, because initdb refuses root; a Unix socket in its own directory."""

    port = "5432"

    def __init__(self, settings=""):
        if not (BIN / "initdb").exists():
            pytest.skip("Postgres 15 is not installed")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="martlet-pg-"))
        shutil.chown(self.directory, "postgres")
        self.data = self.directory / "data"
        self._run(BIN / "initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-N", "-E", "UTF8")
        with open(self.data / "postgresql.conf", "a") as conf:
            conf.write(SETTINGS + settings + f"\nunix_socket_directories = '{self.directory}'\n")
        self.start()

    @property
    def host(self):
        return str(self.directory)

    def _run(self, *command):
        subprocess.run(
            ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *map(str, command)],
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd="/",
        )

    def start(self):
        self._run(
            BIN / "pg_ctl", "-D", self.data, "-l", self.directory / "log", "-w", "-t", "60", "start"
        )
        self.pid = int((self.data / "postmaster.pid").read_text().split("\n")[0])

    def kill(self):
        """kill -9 of the server and all of its backends; what is in the page cache stays."""
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.pid)], capture_output=True, text=True
        ).stdout.split()
        for pid in [str(self.pid), *children]:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + 20
        while any(os.path.exists(f"/proc/{pid}") for pid in [str(self.pid), *children]):
            assert time.monotonic() < deadline, "Postgres does not die"
            time.sleep(0.01)

    def conninfo(self, database="postgres"):
        return f"host={self.host} port={self.port} user=postgres dbname={database}"

    def connect(self, database="postgres"):
        return psycopg2.connect(self.conninfo(database))

    def run(self, statements, database="postgres"):
        """Runs statements, each on its own; the rows of the last one."""
        connection = self.connect(database)
        connection.autocommit = True
        try:
            cursor = connection.cursor()
            cursor.execute(statements)
            return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def stop(self):
        try:
            self._run(BIN / "pg_ctl", "-D", self.data, "-m", "immediate", "stop")
        except subprocess.CalledProcessError:
            pass
        shutil.rmtree(self.directory, ignore_errors=True)
