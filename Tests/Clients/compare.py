#!/usr/bin/env python3
"""Sends the same calls to Apache Kafka and to Martlet and compares what they answer.

    compare.py [KAFKA]

KAFKA is the script that starts Apache Kafka 4.3 (`start DIR --nodes 1 --port P`, `stop DIR`); without
it the environment variable MARTLET_KAFKA says where it is, or MARTLET_PEERS in which folder it is
(`kafka/kafka`), or it is looked for beside the repository. `test_compare.py` runs it as a test.
Prints each call with both answers. Exits with 1 if an answer differs and KNOWN does not say why.
"""

import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import uuid

import kafka.protocol.admin.configs as configs
import kafka.protocol.admin.groups as groups
import kafka.protocol.admin.topics as topics
import kafka.protocol.consumer.fetch as fetch
import kafka.protocol.consumer.group as group
import kafka.protocol.consumer.offsets as offsets
import kafka.protocol.metadata as metadata
import kafka.protocol.producer.produce as produce
import kafka.protocol.producer.transaction as transaction
from conftest import ROOT, Node
from kafka.errors import for_code
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.util import calc_crc32c

# Calls whose answers may differ, each with the reason.
KNOWN = {
    r"metadata: metadata that creates":
        "Kafka answers before the topic is there, Martlet when it is",
    r"alter configs: alter \[\('retention.ms', 9, '1'\)\]":
        "Kafka's controller fails on an operation that there is not",
    r"produce: produce (codec 7|gzip that is none)": "Kafka fails on it with an unknown error",
    r"idempotence: sequence: duplicate( of the first)?":
        "the time at which the batch was built is another for each of the two",
    r"idempotence: sequence: unknown producer":
        "Kafka before 4.5 lets it begin anywhere, which can keep out its first batch (KAFKA-15591)",
    r"delete records: the largest timestamp after it": "Kafka finds a record that is deleted",
    r"topic configs: config martlet\..*": "Martlet's own setting, which Kafka does not have",
    r"topic configs: synonyms of martlet\..*": "Martlet's own setting, which Kafka does not have",
    r"topic configs: (config|synonyms of) min\.insync\.replicas":
        "KRaft writes it as a cluster-wide setting when it formats the storage",
}


def find_kafka():
    """The script that starts Apache Kafka, or None."""
    found = [os.environ.get("MARTLET_KAFKA")]
    if peers := os.environ.get("MARTLET_PEERS"):
        found.append(pathlib.Path(peers) / "kafka" / "kafka")
    found += [parent / "shared" / "peers" / "kafka" / "kafka" for parent in ROOT.parents]
    for path in found:
        if path and pathlib.Path(path).is_file() and shutil.which("java"):
            return pathlib.Path(path)
    return None


def free_port():
    """A port that is free, and whose successor by a hundred is."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 100))
                return port
            except (OSError, OverflowError):
                continue


class Kafka:
    """One node of Apache Kafka in a folder of its own."""

    def __init__(self, script, directory):
        self.script, self.directory, self.port = script, directory, free_port()
        settings = pathlib.Path(f"{directory}.properties")
        # What the two are to have in common.
        settings.write_text(
            "num.partitions=3\nlog.cleaner.enable=false\noffsets.topic.num.partitions=1\n"
            "group.initial.rebalance.delay.ms=100\n")
        self.run("start", "--nodes", "1", "--port", str(self.port), "--config", str(settings))

    def run(self, command, *arguments):
        subprocess.run(
            [self.script, command, str(self.directory), *arguments], check=True, timeout=120,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "KAFKA_HEAP": "-Xms256m -Xmx512m -XX:TieredStopAtLevel=1"})

    def stop(self):
        self.run("kill", "1")


class Peer:
    """A connection to a node that says what the answers to raw requests are."""

    def __init__(self, port):
        self.port, self.number = port, 0
        self.socket = None

    def connect(self):
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=8)
        return self.socket

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None

    def exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.connect().recv(count - len(data))
            if not part:
                self.close()
                raise ConnectionError
            data += part
        return data

    def exchange(self, frame):
        """The bytes that come back for a frame; ConnectionError if the node closes instead."""
        try:
            self.connect().sendall(struct.pack(">i", len(frame)) + frame)
            return self.exactly(struct.unpack(">i", self.exactly(4))[0])
        except OSError as error:
            self.close()
            raise ConnectionError from error

    def call(self, module, name, version, /, client="compare", **fields):
        """Sends a request; its response, decoded."""
        request = filled(getattr(module, f"{name}Request"), version, fields)
        self.number += 1
        request.with_header(correlation_id=self.number, client_id=client)
        answer = self.exchange(request.encode(header=True))
        return getattr(module, f"{name}Response").decode(answer, version=version, header=True)


def filled(kind, version, fields):
    """A message from dictionaries and lists of them."""
    values = {}
    for name, value in fields.items():
        field = kind.fields.get(name)
        if value is not None and field is not None and field.is_struct_array():
            value = [filled(field.data_class, version, entry) for entry in value]
        values[name] = value
    return kind(version=version, **values)


def batch(*records, codec=0, timestamp=None, producer=(-1, -1, -1)):
    """A record batch of keys and values."""
    builder = DefaultRecordBatchBuilder(2, codec, False, *producer, 1_000_000_000)
    now = timestamp if timestamp is not None else int(time.time() * 1000)
    for offset, (key, value) in enumerate(records):
        builder.append(offset, now, key, value, [])
    return bytes(builder.build())


def changed(data, at, form, value):
    """A batch with one field overwritten and its checksum made good."""
    data = bytearray(data)
    struct.pack_into(form, data, at, value)
    if at > 20:
        struct.pack_into(">I", data, 17, calc_crc32c(bytes(data[21:])))
    return bytes(data)


class Calls:
    """What is asked. Each method whose name begins with `case_` yields pairs of a call and its answer.

    An answer is anything that can be compared and printed. What differs by nature (ids, the time,
    the wording of messages) is left out of it.
    """

    def __init__(self, port):
        self.peer = Peer(port)

    def ask(self, *arguments, **fields):
        return self.peer.call(*arguments, **fields)

    # What many cases need.

    def create(self, name, partitions=1, replicas=1, version=7, assignments=(), validate=False,
               config=()):
        topic = {
            "name": name, "num_partitions": partitions, "replication_factor": replicas,
            "assignments": [{"partition_index": p, "broker_ids": b} for p, b in assignments],
            "configs": [{"name": key, "value": value} for key, value in dict(config).items()]}
        answer = self.ask(
            topics, "CreateTopics", version, timeout_ms=10000, validate_only=validate,
            topics=[topic]).topics[0]
        # Kafka answers before a node's view of the topic is there.
        deadline = time.monotonic() + 5
        while answer.error_code == 0 and not validate and time.monotonic() < deadline:
            found = self.metadata(name)
            if found.error_code == 0 and all(p.leader_id >= 0 for p in found.partitions):
                break
            time.sleep(0.02)
        return answer

    def metadata(self, name, version=12, create=False):
        return self.ask(
            metadata, "Metadata", version, topics=[{"name": name, "topic_id": uuid.UUID(int=0)}],
            allow_auto_topic_creation=create).topics[0]

    def produce(self, topic, data, acks=-1, version=12, partition=0, transactional=None,
                client="compare"):
        try:
            answer = self.ask(
                produce, "Produce", version, client=client, transactional_id=transactional,
                acks=acks, timeout_ms=10000, topic_data=[{"name": topic, "partition_data": [
                    {"index": partition, "records": data}]}]).responses[0].partition_responses[0]
        except ConnectionError:
            return "closed"
        return (errors(answer.error_code), answer.base_offset, answer.log_append_time_ms,
                answer.log_start_offset, [e.batch_index for e in answer.record_errors or []])

    def fetch(self, topic, offset, partition=0, version=12, epoch=-1, limit=1_000_000,
              isolation=0):
        answer = self.ask(
            fetch, "Fetch", version, max_wait_ms=0, min_bytes=0, max_bytes=limit,
            isolation_level=isolation, topics=[{"topic": topic, "partitions": [{
                "partition": partition, "current_leader_epoch": epoch, "fetch_offset": offset,
                "partition_max_bytes": limit}]}]).responses[0].partitions[0]
        data = bytes(answer.records or b"")
        first = struct.unpack_from(">q", data)[0] if data else None
        return (errors(answer.error_code), answer.high_watermark, answer.last_stable_offset,
                answer.log_start_offset, answer.aborted_transactions, first, len(data))

    def list_offsets(self, topic, time, version=8, partition=0, epoch=-1):
        answer = self.ask(
            offsets, "ListOffsets", version, replica_id=-1, topics=[{"name": topic, "partitions": [{
                "partition_index": partition, "current_leader_epoch": epoch, "timestamp": time}]}])
        part = answer.topics[0].partitions[0]
        return errors(part.error_code), part.offset, part.timestamp, part.leader_epoch

    def commit(self, group_id, topic="log", offset=1, note="", generation=-1, member="",
               version=9, partition=0, epoch=-1):
        answer = self.ask(
            group, "OffsetCommit", version, group_id=group_id, member_id=member,
            generation_id_or_member_epoch=generation, topics=[{"name": topic, "partitions": [{
                "partition_index": partition, "committed_offset": offset,
                "committed_leader_epoch": epoch, "committed_metadata": note}]}])
        return errors(answer.topics[0].partitions[0].error_code)

    def committed(self, group_id, topic="log", partition=0, version=9):
        found = self.ask(
            group, "OffsetFetch", version, require_stable=False, groups=[{
                "group_id": group_id, "member_id": None, "member_epoch": -1, "topics": [
                    {"name": topic, "partition_indexes": [partition]}]}]).groups[0]
        parts = [(errors(p.error_code), p.committed_offset, p.committed_leader_epoch, p.metadata)
                 for t in found.topics for p in t.partitions]
        return errors(found.error_code), parts

    def join(self, group_id, member="", protocols=("range",), kind="consumer", session=10000,
             version=9, instance=None):
        return self.ask(
            group, "JoinGroup", version, group_id=group_id, member_id=member,
            session_timeout_ms=session, rebalance_timeout_ms=2000, protocol_type=kind,
            group_instance_id=instance, reason="",
            protocols=[{"name": name, "metadata": b"m"} for name in protocols])

    def joined(self, *arguments, **more):
        answer = self.join(*arguments, **more)
        return (errors(answer.error_code), answer.generation_id, answer.protocol_type,
                answer.protocol_name, bool(answer.leader), bool(answer.member_id))

    def sync(self, group_id, member, generation, assign=(), kind="consumer", name="range"):
        answer = self.ask(
            group, "SyncGroup", 5, group_id=group_id, member_id=member, generation_id=generation,
            protocol_type=kind, protocol_name=name,
            assignments=[{"member_id": m, "assignment": a} for m, a in assign])
        return (errors(answer.error_code), answer.protocol_type, answer.protocol_name,
                bytes(answer.assignment))

    def beat(self, group_id, member, generation, instance=None):
        return errors(self.ask(
            group, "Heartbeat", 4, group_id=group_id, member_id=member, generation_id=generation,
            group_instance_id=instance).error_code)

    def leave(self, group_id, member, version=5, instance=None):
        if version < 3:
            answer = self.ask(group, "LeaveGroup", version, group_id=group_id, member_id=member)
        else:
            answer = self.ask(group, "LeaveGroup", version, group_id=group_id, members=[
                {"member_id": member, "group_instance_id": instance, "reason": ""}])
        return errors(answer.error_code), [errors(m.error_code) for m in answer.members or []]

    def describe(self, group_id, version=6):
        found = self.ask(
            groups, "DescribeGroups", version, groups=[group_id],
            include_authorized_operations=version >= 3).groups[0]
        return (errors(found.error_code), found.group_state, found.protocol_type,
                found.protocol_data, len(found.members), found.authorized_operations)

    def delete_group(self, group_id):
        return errors(
            self.ask(groups, "DeleteGroups", 2, groups_names=[group_id]).results[0].error_code)

    def configs_of(self, kind, name, keys=None, synonyms=False):
        return self.ask(
            configs, "DescribeConfigs", 4, include_synonyms=synonyms, include_documentation=False,
            resources=[{"resource_type": kind, "resource_name": name, "configuration_keys": keys}]
        ).results[0]

    def alter(self, name, changes, kind=2, validate=False):
        return errors(self.ask(
            configs, "IncrementalAlterConfigs", 1, validate_only=validate, resources=[{
                "resource_type": kind, "resource_name": name, "configs": [
                    {"name": key, "config_operation": operation, "value": value}
                    for key, operation, value in changes]}]).responses[0].error_code)

    # The cases.

    def case_create_topics(self):
        def create(*arguments, **more):
            answer = self.create(*arguments, **more)
            return errors(answer.error_code), answer.num_partitions, answer.replication_factor

        yield "create log", create("log", 2)
        yield "create again", create("log", 2)
        yield "create with a space in the name", create("a b")
        yield "create with an empty name", create("")
        yield "create '..'", create("..")
        yield "create a name of 250 characters", create("x" * 250)
        yield "create colliding names", [create("one.two")[0], create("one_two")[0]]
        yield "create with an unknown config", create("c1", config={"no.such": "1"})
        yield "create with a bad number", create("c2", config={"retention.ms": "abc"})
        yield "create with a number out of range", create("c3", config={"retention.ms": "-2"})
        yield "create with a null config value", create("c4", config={"retention.ms": None})
        yield "create with a small segment", create("c5", config={"segment.bytes": "1000"})
        yield "create with an unknown policy", create("c6", config={"cleanup.policy": "keep"})
        yield "create with 0 partitions", create("c7", 0)
        yield "create with -2 partitions", create("c8", -2)
        yield "create with the default counts", create("c9", -1, -1)
        yield "create with factor 5", create("c10", 1, 5)
        yield "create with factor 0", create("c11", 1, 0)
        yield "create with an assignment", create("c12", -1, -1, assignments=[(0, [1])])
        yield "create with an assignment and counts", create("c13", 1, 1, assignments=[(0, [1])])
        yield "create with a gap in the assignment", create("c14", -1, -1, assignments=[(1, [1])])
        yield "create on an unknown broker", create("c15", -1, -1, assignments=[(0, [9])])
        yield "create twice on one broker", create("c16", -1, -1, assignments=[(0, [1, 1])])
        yield "only validate", create("c17", 1, validate=True)
        yield "which made nothing", errors(self.metadata("c17").error_code)
        twice = self.ask(topics, "CreateTopics", 7, timeout_ms=9000, validate_only=False, topics=[
            {"name": "twin", "num_partitions": 1, "replication_factor": 1, "assignments": [],
             "configs": []}] * 2)
        yield "create one name twice", [errors(t.error_code) for t in twice.topics]

    def case_partitions(self):
        def grow(name, count, assign=None):
            answer = self.ask(
                topics, "CreatePartitions", 3, timeout_ms=9000, validate_only=False,
                topics=[{"name": name, "count": count, "assignments": assign}])
            return errors(answer.results[0].error_code)

        self.create("grow", 2)
        yield "grow to 3", grow("grow", 3)
        yield "grow to the same", grow("grow", 3)
        yield "grow to fewer", grow("grow", 1)
        yield "grow to -1", grow("grow", -1)
        yield "grow an unknown topic", grow("nothing", 3)
        yield "grow with too few assignments", grow("grow", 5, [{"broker_ids": [1]}])
        yield "grow onto an unknown broker", grow("grow", 4, [{"broker_ids": [7]}])

    def case_delete_topics(self):
        def delete(name=None, number=0, version=6):
            entry = {"name": name, "topic_id": uuid.UUID(int=number)}
            answer = self.ask(
                topics, "DeleteTopics", version, timeout_ms=9000, **(
                    {"topics": [entry]} if version > 5 else {"topic_names": [name]}))
            return [(t.name, errors(t.error_code)) for t in answer.responses]

        self.create("gone")
        yield "delete", delete("gone")
        yield "delete again", delete("gone")
        yield "delete an unknown topic, version 5", delete("gone", version=5)
        yield "delete a bad name", delete("a b")
        yield "delete an unknown id", delete(None, 77)
        yield "delete a name and an id", delete("log", 77)

    def case_metadata(self):
        for name in ["nothing", "a b", "", "x" * 250]:
            found = self.metadata(name)
            yield f"metadata of {name[:10]!r}", (errors(found.error_code), found.is_internal)
        found = self.metadata("log")
        yield "metadata of log", (
            errors(found.error_code), found.is_internal, [
                (errors(p.error_code), p.leader_id, p.leader_epoch, p.replica_nodes, p.isr_nodes,
                 p.offline_replicas) for p in found.partitions])
        found = self.ask(metadata, "Metadata", 12, topics=[
            {"topic_id": uuid.UUID(int=5), "name": None}], allow_auto_topic_creation=False)
        yield "metadata of an unknown id", [
            (errors(t.error_code), t.name, t.partitions) for t in found.topics]
        whole = self.ask(metadata, "Metadata", 12, topics=[], allow_auto_topic_creation=False)
        yield "metadata of no topic", (whole.topics, len(whole.brokers), whole.controller_id)
        yield "metadata that creates", errors(self.metadata("made", create=True).error_code)
        time.sleep(0.3)
        yield "what it made", len(self.metadata("made").partitions)

    def case_topic_configs(self):
        self.create("configured", config={
            "retention.ms": "123456", "cleanup.policy": "compact,delete"})
        found = self.configs_of(2, "configured")
        yield "describe configs", errors(found.error_code)
        for config in sorted(found.configs, key=lambda c: c.name):
            yield f"config {config.name}", (
                config.value, config.config_source, config.config_type, config.read_only,
                config.is_sensitive)
        found = self.configs_of(2, "configured", synonyms=True)
        for config in sorted(found.configs, key=lambda c: c.name):
            yield f"synonyms of {config.name}", [
                (s.name, s.value, s.source) for s in config.synonyms]
        found = self.configs_of(2, "configured", ["retention.ms", "no.such"])
        yield "describe two keys", [c.name for c in found.configs]
        yield "describe no keys", len(self.configs_of(2, "configured", []).configs) > 0
        for kind, name in [(2, "nothing"), (2, "a b"), (2, ""), (4, "9"), (4, "x"), (1, "y")]:
            found = self.configs_of(kind, name)
            yield f"describe configs of {kind}:{name!r}", (
                errors(found.error_code), len(found.configs))

    def case_alter_configs(self):
        self.create("altered")
        put, drop, append, subtract = range(4)
        for changes in [
                [("retention.ms", put, "5000")], [("retention.ms", put, "abc")],
                [("retention.ms", put, None)], [("retention.ms", drop, None)],
                [("retention.ms", append, "1")], [("no.such", put, "1")],
                [("no.such", drop, None)], [("retention.ms", 9, "1")],
                [("cleanup.policy", append, "compact")], [("cleanup.policy", append, "compact")],
                [("cleanup.policy", subtract, "delete")], [("cleanup.policy", subtract, "x")],
                [("cleanup.policy", append, "x")], [("cleanup.policy", put, "")],
                [("retention.ms", put, "1"), ("retention.ms", put, "2")],
                [("max.message.bytes", put, "-1")], [("min.insync.replicas", put, "0")],
                [("compression.type", put, "brotli")], [("compression.gzip.level", put, "0")],
                [("min.cleanable.dirty.ratio", put, "1.5")], [("preallocate", put, "maybe")],
                [("message.timestamp.type", put, "x")], [("segment.ms", put, "0")],
                [("remote.storage.enable", put, "true")]]:
            yield f"alter {changes}", self.alter("altered", changes)
        found = self.configs_of(2, "altered", ["cleanup.policy", "retention.ms"])
        yield "what is altered", sorted((c.name, c.value, c.config_source) for c in found.configs)
        yield "alter an unknown topic", self.alter("nothing", [("retention.ms", put, "1")])
        yield "alter an unknown broker", self.alter("9", [("retention.ms", put, "1")], 4)
        yield "alter an unknown kind", self.alter("x", [("retention.ms", put, "1")], 3)

    def case_produce(self):
        one = [(b"k", b"v")]
        yield "produce", self.produce("log", batch(*one))
        yield "produce three", self.produce("log", batch(*one * 3))
        yield "produce with acks 1", self.produce("log", batch(*one), acks=1)
        yield "produce with acks 2", self.produce("log", batch(*one), acks=2)
        yield "produce with acks -2", self.produce("log", batch(*one), acks=-2)
        yield "produce to an unknown topic", self.produce("nothing", batch(*one))
        yield "produce to an unknown partition", self.produce("log", batch(*one), partition=9)
        yield "produce to partition -1", self.produce("log", batch(*one), partition=-1)
        yield "produce to a bad name", self.produce("a b", batch(*one))
        yield "produce null", self.produce("log", None)
        yield "produce nothing", self.produce("log", b"")
        yield "produce two batches", self.produce("log", batch(*one) * 2)
        yield "produce half a batch", self.produce("log", batch(*one)[:40])
        yield "produce a broken checksum", self.produce(
            "log", batch(*one)[:-1] + b"x")
        yield "produce magic 1", self.produce("log", changed(batch(*one), 16, ">b", 1))
        yield "produce magic 9", self.produce("log", changed(batch(*one), 16, ">b", 9))
        yield "produce base offset 7", self.produce("log", changed(batch(*one), 0, ">q", 7))
        yield "produce a wrong count", self.produce("log", changed(batch(*one), 57, ">i", 2))
        yield "produce count 0", self.produce("log", changed(batch(*one), 57, ">i", 0))
        yield "produce a wrong last offset", self.produce("log", changed(batch(*one), 23, ">i", 4))
        yield "produce a control batch", self.produce("log", changed(batch(*one), 21, ">h", 32))
        yield "produce codec 7", self.produce("log", changed(batch(*one), 21, ">h", 7))
        yield "produce gzip that is none", self.produce("log", changed(batch(*one), 21, ">h", 1))
        yield "produce zstd in version 6", self.produce("log", batch(*one * 9, codec=4), version=6)
        yield "produce a transactional batch", self.produce(
            "log", changed(batch(*one, producer=(5, 0, 0)), 21, ">h", 16))
        yield "produce in version 3", self.produce("log", batch(*one), version=3)
        yield "produce acks 0 to nothing", self.produce("nothing", batch(*one), acks=0)

        self.create("small", config={"max.message.bytes": "200"})
        yield "produce too much", self.produce("small", batch((b"k", b"v" * 300)))
        yield "produce as much as allowed", self.produce("small", batch((b"k", b"v" * 120)))
        self.create("keyed", config={"cleanup.policy": "compact"})
        yield "produce without a key to a compacted topic", self.produce(
            "keyed", batch((b"k", b"v"), (None, b"v")))
        self.create("timed", config={
            "message.timestamp.before.max.ms": "60000", "message.timestamp.after.max.ms": "60000"})
        now = int(time.time() * 1000)
        for shift in [-120_000, 120_000, -1000, 1000]:
            yield f"produce a timestamp {shift} ms off", self.produce(
                "timed", batch(*one, timestamp=now + shift))
        yield "produce a timestamp of -1", self.produce("log", batch(*one, timestamp=-1))
        yield "produce two hours ahead", self.produce("log", batch(*one, timestamp=now + 7_200_000))
        self.create("stamped", config={"message.timestamp.type": "LogAppendTime"})
        answer = self.produce("stamped", batch(*one, timestamp=5))
        yield "produce with the time of the append", (*answer[:2], answer[2] > now - 60000)

    def case_idempotence(self):
        self.create("once")
        one = (b"k", b"v")
        deadline = time.monotonic() + 10
        while True:
            ids = self.ask(
                transaction, "InitProducerId", 5, transactional_id=None,
                transaction_timeout_ms=1000, producer_id=-1, producer_epoch=-1)
            # Kafka fetches its first block of ids when it is first asked for one.
            if ids.error_code != 14 or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        yield "init producer id", (errors(ids.error_code), ids.producer_id >= 0, ids.producer_epoch)
        number = ids.producer_id
        for what, epoch, sequence, count in [
                ("first", 0, 0, 1), ("next", 0, 1, 2), ("duplicate", 0, 1, 2),
                ("duplicate of the first", 0, 0, 1), ("part of a duplicate", 0, 2, 1),
                ("gap", 0, 9, 1), ("new epoch in the middle", 1, 3, 1), ("new epoch", 1, 0, 1),
                ("old epoch", 0, 3, 1), ("no sequence", 1, -1, 1), ("next again", 1, 1, 1)]:
            yield f"sequence: {what}", self.produce(
                "once", batch(*[one] * count, producer=(number, epoch, sequence)))
        yield "sequence: unknown producer", self.produce(
            "once", batch(one, producer=(number + 500, 3, 40)))
        answer = self.ask(
            transaction, "InitProducerId", 5, transactional_id="", transaction_timeout_ms=1000,
            producer_id=-1, producer_epoch=-1)
        yield "init with an empty id", errors(answer.error_code)

    def case_fetch(self):
        self.create("read")
        for n in range(5):
            self.produce("read", batch((b"k", b"v"), (b"k", b"w"), timestamp=1000 + n))
        for what, fields in {
                "the start": {"offset": 0}, "the middle of a batch": {"offset": 5},
                "the end": {"offset": 10}, "beyond the end": {"offset": 11},
                "-1": {"offset": -1}, "an unknown topic": {"topic": "nothing", "offset": 0},
                "an unknown partition": {"partition": 7, "offset": 0},
                "with an old epoch": {"offset": 0, "epoch": -2},
                "with a new epoch": {"offset": 0, "epoch": 9},
                "with the epoch": {"offset": 0, "epoch": 0},
                "one byte": {"offset": 0, "limit": 1}, "version 4": {"offset": 0, "version": 4},
                "committed": {"offset": 0, "isolation": 1}}.items():
            yield f"fetch {what}", self.fetch(**{"topic": "read", **fields})
        missing = uuid.UUID(int=99)
        answer = self.ask(
            fetch, "Fetch", 16, max_wait_ms=0, min_bytes=0, max_bytes=100, topics=[{
                "topic_id": missing, "partitions": [
                    {"partition": 0, "fetch_offset": 0, "partition_max_bytes": 100}]}])
        yield "fetch an unknown id", (errors(answer.error_code), [
            errors(p.error_code) for t in answer.responses for p in t.partitions])
        for number, epoch in [(12345, 3), (0, 3), (12345, 0)]:
            answer = self.ask(
                fetch, "Fetch", 12, max_wait_ms=0, min_bytes=0, max_bytes=100, topics=[],
                session_id=number, session_epoch=epoch)
            yield f"fetch session {number} epoch {epoch}", errors(answer.error_code)

    def case_list_offsets(self):
        for topic in ["read", "grow"]:
            for time in [-1, -2, -3, -4, 0, 1000, 1003, 1004, 1005, -7]:
                yield f"offset in {topic} at {time}", self.list_offsets(topic, time)
        for version, time in [(1, -1), (1, 1003), (6, -3), (7, -4), (4, -2)]:
            yield f"offset at {time}, version {version}", self.list_offsets("read", time, version)
        yield "offset in an unknown topic", self.list_offsets("nothing", -1)
        yield "offset in an unknown partition", self.list_offsets("read", -1, partition=8)
        yield "offset with a new epoch", self.list_offsets("read", -1, epoch=9)
        answer = self.ask(offsets, "ListOffsets", 8, replica_id=-1, topics=[
            {"name": "read", "partitions": [{"partition_index": 0, "timestamp": -1}] * 2}])
        yield "offset of one partition twice", sorted(
            {errors(p.error_code) for t in answer.topics for p in t.partitions})
        for current, asked in [(-1, 0), (-1, 9), (0, 0), (5, 0)]:
            answer = self.ask(offsets, "OffsetForLeaderEpoch", 4, replica_id=-1, topics=[{
                "topic": "read", "partitions": [{
                    "partition": 0, "current_leader_epoch": current, "leader_epoch": asked}]}])
            part = answer.topics[0].partitions[0]
            yield f"end of epoch {asked}, current {current}", (
                errors(part.error_code), part.leader_epoch, part.end_offset)

    def case_delete_records(self):
        def delete(name, offset, partition=0):
            answer = self.ask(topics, "DeleteRecords", 2, timeout_ms=9000, topics=[
                {"name": name, "partitions": [{"partition_index": partition, "offset": offset}]}])
            part = answer.topics[0].partitions[0]
            return errors(part.error_code), part.low_watermark

        self.create("cut")
        self.produce("cut", batch(*[(b"k", b"v")] * 10))
        yield "delete records", delete("cut", 4)
        yield "delete records before the start", delete("cut", 2)
        yield "delete records beyond the end", delete("cut", 11)
        yield "delete records at -2", delete("cut", -2)
        yield "fetch what is deleted", self.fetch("cut", 3)
        yield "fetch what is left", self.fetch("cut", 4)
        yield "delete all records", delete("cut", -1)
        yield "the start after it", self.list_offsets("cut", -2)
        yield "the largest timestamp after it", self.list_offsets("cut", -3)
        yield "delete records of an unknown topic", delete("nothing", 1)
        yield "delete records of an unknown partition", delete("cut", 1, 5)
        yield "delete records of a compacted topic", delete("keyed", 0)

    def case_coordinator(self):
        for kind, key in [(0, "g"), (0, ""), (7, "g")]:
            deadline = time.monotonic() + 10
            while True:
                try:
                    answer = self.ask(
                        metadata, "FindCoordinator", 4, coordinator_keys=[key], key_type=kind)
                    found = [(c.key, errors(c.error_code), c.node_id) for c in answer.coordinators]
                except ConnectionError:
                    found = "closed"
                # Kafka makes the topic of the offsets when it is first asked.
                waits = found != "closed" and "COORDINATOR_NOT_AVAILABLE" in str(found)
                if not waits or time.monotonic() > deadline:
                    break
                time.sleep(0.05)
            yield f"coordinator of {kind}:{key!r}", found

    def case_groups(self):
        deadline = time.monotonic() + 10
        while self.join("warm").error_code in (14, 15, 16) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield "join asks for the member id", self.joined("g1")
        yield "join with an unknown member", self.joined("g1", "nobody")
        yield "join in version 3", self.joined("g0", version=3)
        yield "join with a short session", self.joined("g1", session=10)
        yield "join with a long session", self.joined("g1", session=100_000_000)
        yield "join without a group", self.joined("")
        yield "join without protocols", self.joined("g1", protocols=())
        yield "join without a type", self.joined("g1", kind="")
        member = self.join("g1").member_id
        answer = self.join("g1", member)
        generation = answer.generation_id
        yield "join", (
            errors(answer.error_code), generation, answer.protocol_name, answer.leader == member,
            len(answer.members), answer.skip_assignment)
        yield "describe while it waits", self.describe("g1")
        yield "heartbeat before the sync", self.beat("g1", member, generation)
        yield "commit before the sync", self.commit("g1", generation=generation, member=member)
        yield "sync with another protocol", self.sync("g1", member, generation, name="sticky")
        yield "sync with another type", self.sync("g1", member, generation, kind="connect")
        yield "sync with another generation", self.sync("g1", member, generation + 1)
        yield "sync of nobody", self.sync("g1", "nobody", generation)
        yield "sync", self.sync("g1", member, generation, [(member, b"mine")])
        yield "sync again", self.sync("g1", member, generation)
        yield "describe", self.describe("g1")
        yield "describe in version 2", self.describe("g1", 2)
        yield "heartbeat", self.beat("g1", member, generation)
        yield "heartbeat of nobody", self.beat("g1", "nobody", generation)
        yield "heartbeat of another generation", self.beat("g1", member, generation + 1)
        yield "heartbeat of an older generation", self.beat("g1", member, generation - 1)
        yield "heartbeat of an unknown group", self.beat("g-none", member, generation)
        yield "heartbeat without a group", self.beat("", member, generation)
        yield "heartbeat of an unknown instance", self.beat("g1", member, generation, "i")
        yield "join with other protocols", self.joined("g1", "", ("sticky",), version=3)
        yield "join with another type", self.joined("g1", "", kind="connect", version=3)
        yield "commit", self.commit("g1", generation=generation, member=member, note="n")
        yield "commit of nobody", self.commit("g1", generation=generation, member="nobody")
        yield "commit of another generation", self.commit("g1", generation=9, member=member)
        yield "commit without a member", self.commit("g1")
        yield "committed", self.committed("g1")
        yield "delete while it has a member", self.delete_group("g1")
        answer = self.ask(group, "OffsetDelete", 0, group_id="g1", topics=[
            {"name": "log", "partitions": [{"partition_index": 0}]}])
        yield "delete offsets while it has a member", (errors(answer.error_code), [
            errors(p.error_code) for t in answer.topics for p in t.partitions])
        yield "leave as nobody", self.leave("g1", "nobody")
        yield "leave as nobody, version 2", self.leave("g1", "nobody", 2)
        yield "leave as an unknown instance", self.leave("g1", "", instance="i")
        yield "leave an unknown group", self.leave("g-none", member)
        yield "leave", self.leave("g1", member)
        yield "describe when it is empty", self.describe("g1")
        yield "heartbeat after it left", self.beat("g1", member, generation)
        yield "describe an unknown group", self.describe("g-none")
        yield "describe an unknown group, version 5", self.describe("g-none", 5)
        yield "describe without a name", self.describe("")
        listed = self.ask(groups, "ListGroups", 5, states_filter=["empty"], types_filter=[])
        yield "list empty groups", [
            (g.group_id, g.protocol_type, g.group_state, g.group_type)
            for g in listed.groups if g.group_id == "g1"]
        listed = self.ask(groups, "ListGroups", 5, states_filter=["Odd"], types_filter=["x"])
        yield "list groups of an odd state", (errors(listed.error_code), len(listed.groups))
        yield "delete", self.delete_group("g1")
        yield "delete again", self.delete_group("g1")
        yield "delete without a name", self.delete_group("")

    def case_static_member(self):
        answer = self.join("g2", instance="i")
        member, generation = answer.member_id, answer.generation_id
        yield "join as an instance", (
            errors(answer.error_code), generation, member.startswith("i-"), len(answer.members))
        yield "sync", self.sync("g2", member, generation, [(member, b"a")])
        yield "heartbeat of the instance", self.beat("g2", member, generation, "i")
        yield "heartbeat of another member", self.beat("g2", "other", generation, "i")
        answer = self.join("g2", instance="i")
        yield "join again", (
            errors(answer.error_code), answer.generation_id, answer.member_id == member,
            answer.leader == answer.member_id, answer.skip_assignment)
        yield "heartbeat of the one it replaced", self.beat("g2", member, generation, "i")
        yield "leave as the instance", self.leave("g2", "", instance="i")

    def case_offsets(self):
        yield "commit to a new group", self.commit("g3", offset=7, note="here", epoch=4)
        yield "committed", self.committed("g3")
        yield "commit with large metadata", self.commit("g3", note="x" * 4097)
        yield "commit with as much metadata as allowed", self.commit("g3", note="x" * 4096)
        yield "commit with null metadata", self.commit("g3", note=None)
        yield "committed without metadata", self.committed("g3")
        yield "commit offset -1", self.commit("g3", offset=-1)
        yield "committed -1", self.committed("g3")
        yield "commit offset -5", self.commit("g3", offset=-5)
        yield "commit for an unknown topic", self.commit("g3", "nothing")
        yield "commit for an unknown partition", self.commit("g3", partition=99)
        yield "commit with a generation but no member", self.commit("g3", generation=3)
        yield "commit with a member but no group", self.commit("g4", generation=3, member="m")
        yield "commit without a group", self.commit("")
        yield "committed of an unknown group", self.committed("g-none")
        yield "committed of an unknown topic", self.committed("g3", "nothing")
        answer = self.ask(group, "OffsetDelete", 0, group_id="g-none", topics=[])
        yield "delete offsets of an unknown group", errors(answer.error_code)
        answer = self.ask(group, "OffsetDelete", 0, group_id="g3", topics=[
            {"name": name, "partitions": [{"partition_index": p}]}
            for name, p in [("log", 0), ("log", 1), ("nothing", 0)]])
        yield "delete offsets", (errors(answer.error_code), sorted(
            (t.name, p.partition_index, errors(p.error_code))
            for t in answer.topics for p in t.partitions))
        yield "committed after that", self.committed("g3")

    def case_frames(self):
        def send(frame):
            try:
                return self.peer.exchange(frame)[4:].hex()[:12]
            except ConnectionError:
                return "closed"

        yield "ApiVersions 99", send(struct.pack(">hhih", 18, 99, 1, -1))[:4]
        yield "an unknown API", send(struct.pack(">hhih", 999, 0, 1, -1))
        yield "an unknown version of Metadata", send(struct.pack(">hhih", 3, 99, 1, -1))
        yield "half a header", send(b"\0\3")
        yield "an empty frame", send(b"")
        yield "a truncated Metadata", send(struct.pack(">hhih", 3, 1, 1, -1) + b"\0\0\0\5")


def errors(code):
    """The name of an error code."""
    kind = for_code(code)
    return "none" if code == 0 else getattr(kind, "message", kind.__name__)


def answers(port):
    """What a node answers to each call, in order."""
    calls, found = Calls(port), {}
    for name in vars(Calls):
        if not name.startswith("case_"):
            continue
        try:
            for call, answer in getattr(calls, name)():
                found[f"{name[5:].replace('_', ' ')}: {call}"] = answer
        except Exception as error:  # The rest of the case is missing: that is a difference.
            found[f"{name[5:]}: failed"] = f"{type(error).__name__}: {error}"
            traceback.print_exc()
            calls.peer.close()
    calls.peer.close()
    return found


def compare(script):
    """Runs both and prints the table; the calls whose answers differ and should not."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="martlet-compare-"))
    try:
        node = Node(directory / "martlet")
        try:
            kafka = Kafka(script, directory / "kafka")
            try:
                theirs = answers(kafka.port)
            finally:
                kafka.stop()
            ours = answers(node.port)
        finally:
            node.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    failures = []
    for call in dict.fromkeys([*theirs, *ours]):
        their, our = theirs.get(call, "no answer"), ours.get(call, "no answer")
        reason = next((why for known, why in KNOWN.items() if re.fullmatch(known, call)), None)
        if their == our:
            print(f"  same   {call}: {their}")
        elif reason:
            print(f"  known  {call}: Kafka {their}, Martlet {our} ({reason})")
        else:
            print(f"* DIFFER {call}: Kafka {their}, Martlet {our}")
            failures.append(f"{call}: Kafka {their}, Martlet {our}")
    unused = [known for known in KNOWN if not any(re.fullmatch(known, call) for call in [*theirs, *ours])]
    print(f"{len(theirs)} calls, {len(failures)} unexplained differences")
    return failures + [f"KNOWN names no call: {known}" for known in unused]


def main():
    script = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else find_kafka()
    if script is None:
        sys.exit("There is no Apache Kafka; name its script, or set MARTLET_KAFKA.")
    sys.exit(1 if compare(script) else 0)


if __name__ == "__main__":
    main()
