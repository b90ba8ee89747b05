import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.*;

/**
 * What the tests do with Kafka's own Java client: the first argument says which test, the second
 * where the node is, the third names a topic that only this test uses. It fails with a stack trace.
 */
public final class JavaClient {
  static String servers;
  static String topic;

  public static void main(String[] arguments) throws Exception {
    servers = arguments[1];
    topic = arguments[2];
    switch (arguments[0]) {
      case "codecs" -> codecs();
      case "member" -> member(arguments[3]);
      case "idempotent" -> idempotent(Integer.parseInt(arguments[3]));
      case "times" -> times();
      case "transactions" -> transactions();
      case "topics" -> topics();
      case "groups" -> groups();
      case "records" -> deletedRecords();
      default -> throw new IllegalArgumentException(arguments[0]);
    }
    System.exit(0);
  }

  static void check(Object found, Object expected, String what) {
    if (!java.util.Objects.equals(found, expected)) {
      throw new AssertionError(what + ": found " + found + ", expected " + expected);
    }
  }

  static KafkaProducer<byte[], byte[]> producer(Map<String, Object> more) {
    var settings = new HashMap<String, Object>(more);
    settings.put("bootstrap.servers", servers);
    return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
  }

  /** A transactional id is served, transactions are not: what the client says of them, and when. */
  static void transactions() throws Exception {
    Map<String, Object> settings = Map.of("transactional.id", topic);
    try (var first = producer(settings); var second = producer(settings)) {
      long start = System.nanoTime();
      first.initTransactions();
      second.initTransactions();
      first.beginTransaction();
      try {
        first.send(new ProducerRecord<>(topic, bytes("k"), bytes("v"))).get();
        throw new AssertionError("a record in a transaction was taken");
      } catch (ExecutionException error) {
        System.out.println(error.getCause());
      }
      try {
        first.commitTransaction();
        throw new AssertionError("a transaction was committed");
      } catch (KafkaException error) {
        System.out.println(error + " " + error.getCause());
      }
      System.out.println("milliseconds " + (System.nanoTime() - start) / 1_000_000);
    }
  }

  static KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> more) {
    var settings = new HashMap<String, Object>();
    settings.put("auto.offset.reset", "earliest");
    settings.put("enable.auto.commit", "false");
    settings.put("heartbeat.interval.ms", "300");
    settings.putAll(more);
    settings.put("bootstrap.servers", servers);
    return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  static Admin admin() {
    return Admin.create(Map.of("bootstrap.servers", (Object) servers));
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static String text(byte[] bytes) {
    return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
  }

  static List<ConsumerRecord<byte[], byte[]>> read(TopicPartition partition, int count) {
    try (var consumer = consumer(Map.of())) {
      consumer.assign(List.of(partition));
      consumer.seekToBeginning(List.of(partition));
      var found = new ArrayList<ConsumerRecord<byte[], byte[]>>();
      long deadline = System.currentTimeMillis() + 30_000;
      while (found.size() < count && System.currentTimeMillis() < deadline) {
        for (var record : consumer.poll(Duration.ofMillis(200))) found.add(record);
      }
      check(found.size(), count, "records read from " + partition);
      return found;
    }
  }

  /** The error's class, or null if there is none. */
  static Class<?> failure(Future<?> future) throws InterruptedException {
    try {
      future.get();
      return null;
    } catch (ExecutionException error) {
      return error.getCause().getClass();
    }
  }

  static void codecs() throws Exception {
    int number = 0;
    for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
      for (boolean idempotent : List.of(false, true)) {
        String name = topic + "-" + codec + "-" + idempotent;
        var sent = new ArrayList<ProducerRecord<byte[], byte[]>>();
        for (int n = 0; n < 200; n++) {
          byte[] key = n % 7 == 0 ? null : bytes("key-" + n % 5);
          byte[] value = n % 31 == 30 ? null : bytes(("value " + n + " ").repeat(1 + n % 9));
          var record = new ProducerRecord<>(name, 1, 1_700_000_000_000L + n * 1000, key, value);
          if (n % 3 == 0) {
            record.headers().add("h", bytes("" + n)).add("h", new byte[0]).add("x", null);
          }
          sent.add(record);
        }
        var settings = new HashMap<String, Object>();
        settings.put("compression.type", codec);
        settings.put("enable.idempotence", idempotent);
        settings.put("linger.ms", 5);
        settings.put("batch.size", 2000);
        try (var producer = producer(settings)) {
          var results = new ArrayList<Future<RecordMetadata>>();
          for (var record : sent) results.add(producer.send(record));
          for (int n = 0; n < sent.size(); n++) {
            check(results.get(n).get().offset(), (long) n, codec + " offset");
          }
        }
        var found = read(new TopicPartition(name, 1), sent.size());
        for (int n = 0; n < sent.size(); n++) {
          var record = found.get(n);
          String what = codec + " record " + n;
          check(record.offset(), (long) n, what + " offset");
          check(text(record.key()), text(sent.get(n).key()), what + " key");
          check(text(record.value()), text(sent.get(n).value()), what + " value");
          check(record.timestamp(), sent.get(n).timestamp(), what + " timestamp");
          check(Arrays.asList(record.headers().toArray()),
              Arrays.asList(sent.get(n).headers().toArray()), what + " headers");
        }
        number++;
      }
    }
    System.out.println(number + " round trips");
  }

  /** Tells what it is assigned and what it reads, commits it, and goes on until it is stopped. */
  static void member(String group) throws Exception {
    var settings = new HashMap<String, Object>();
    settings.put("group.id", group);
    settings.put("group.protocol", "classic");
    settings.put("session.timeout.ms", "2000");
    settings.put("metadata.max.age.ms", "1000");
    var consumer = consumer(settings);
    Runtime.getRuntime().addShutdownHook(new Thread(consumer::wakeup));
    consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
      public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        tell();
      }

      public void onPartitionsRevoked(Collection<TopicPartition> partitions) {}

      void tell() {
        String numbers = consumer.assignment().stream().map(p -> "" + p.partition()).sorted()
            .collect(Collectors.joining(","));
        System.out.println("assigned " + numbers);
      }
    });
    while (true) {
      var records = consumer.poll(Duration.ofMillis(100));
      for (var record : records) System.out.println("record " + text(record.value()));
      if (!records.isEmpty()) consumer.commitSync();
    }
  }

  static void idempotent(int total) throws Exception {
    var failures = new ArrayList<Exception>();
    var settings = Map.<String, Object>of(
        "enable.idempotence", true, "acks", "all", "linger.ms", 1, "retry.backoff.ms", 20,
        "retry.backoff.max.ms", 100, "reconnect.backoff.ms", 20, "reconnect.backoff.max.ms", 100,
        "request.timeout.ms", 3000, "delivery.timeout.ms", 60000);
    try (var producer = producer(settings)) {
      System.out.println("producing");
      for (int n = 0; n < total; n++) {
        producer.send(new ProducerRecord<>(topic, 0, null, bytes("" + n)), (metadata, error) -> {
          if (error != null) failures.add(error);
        });
        if (n % 100 == 0) Thread.sleep(10);
      }
      producer.flush();
    }
    check(failures, List.of(), "failures");
    System.out.println("produced");
    var found = read(new TopicPartition(topic, 0), total);
    for (int n = 0; n < total; n++) {
      check(text(found.get(n).value()), "" + n, "value");
      check(found.get(n).offset(), (long) n, "offset");
    }
    System.out.println("read");
  }

  static void times() throws Exception {
    try (var producer = producer(Map.of())) {
      for (int n = 0; n < 100; n++) {
        producer.send(new ProducerRecord<>(topic, 0, 1_000_000L + n * 10, null, bytes("" + n)));
        if (n % 10 == 0) producer.flush();
      }
    }
    var partition = new TopicPartition(topic, 0);
    var cases = new TreeMap<Long, Long>(
        Map.of(0L, 0L, 1_000_000L, 0L, 1_000_001L, 1L, 1_000_495L, 50L, 1_000_990L, 99L));
    try (var consumer = consumer(Map.of())) {
      for (var entry : cases.entrySet()) {
        var found = consumer.offsetsForTimes(Map.of(partition, entry.getKey())).get(partition);
        check(found.offset(), entry.getValue(), "offset at " + entry.getKey());
        check(found.timestamp(), 1_000_000L + found.offset() * 10, "its time");
      }
      check(consumer.offsetsForTimes(Map.of(partition, 1_000_991L)).get(partition), null, "late");
      check(consumer.beginningOffsets(List.of(partition)).get(partition), 0L, "beginning");
      check(consumer.endOffsets(List.of(partition)).get(partition), 100L, "end");
    }
    try (var admin = admin()) {
      var specs = new HashMap<OffsetSpec, Long>();
      specs.put(OffsetSpec.earliest(), 0L);
      specs.put(OffsetSpec.latest(), 100L);
      specs.put(OffsetSpec.maxTimestamp(), 99L);
      specs.put(OffsetSpec.forTimestamp(1_000_500), 50L);
      specs.put(OffsetSpec.earliestLocal(), 0L);
      for (var spec : specs.entrySet()) {
        var result = admin.listOffsets(Map.of(partition, spec.getKey())).partitionResult(partition);
        check(result.get().offset(), spec.getValue(), "listed " + spec.getKey().getClass());
      }
    }
  }

  static void topics() throws Exception {
    try (var admin = admin()) {
      var cluster = admin.describeCluster();
      check(cluster.nodes().get().size(), 1, "nodes");
      check(cluster.clusterId().get().length(), 22, "length of the cluster's id");
      var configs = Map.of("retention.ms", "1234567", "cleanup.policy", "compact");
      var created = admin.createTopics(
          List.of(new NewTopic(topic, 2, (short) 1).configs(configs)));
      created.all().get();
      check(created.numPartitions(topic).get(), 2, "partitions of the answer");
      check(created.config(topic).get().get("retention.ms").value(), "1234567", "config in answer");
      check(failure(admin.createTopics(List.of(new NewTopic(topic, 2, (short) 1))).all()),
          TopicExistsException.class, "created twice");
      check(failure(admin.createTopics(List.of(new NewTopic(topic + "!", 2, (short) 1))).all()),
          InvalidTopicException.class, "bad name");
      check(failure(admin.createTopics(List.of(new NewTopic(topic + "2", 2, (short) 5))).all()),
          InvalidReplicationFactorException.class, "five replicas");
      var described = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
      check(described.partitions().size(), 2, "partitions");
      check(described.topicId(), created.topicId(topic).get(), "topic id");
      check(described.partitions().get(1).isr().size(), 1, "replicas in sync");
      var id = described.topicId();
      check(admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds().get()
          .get(id).name(), topic, "topic described by its id");
      check(admin.listTopics().names().get().contains(topic), true, "listed");

      var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
      var config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
      check(config.get("retention.ms").value(), "1234567", "retention.ms");
      check(config.get("retention.ms").source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG,
          "source");
      check(config.get("cleanup.policy").value(), "compact", "cleanup.policy");
      check(config.get("max.message.bytes").isDefault(), true, "max.message.bytes is a default");
      admin.incrementalAlterConfigs(Map.of(resource, List.of(
          new AlterConfigOp(new ConfigEntry("max.message.bytes", "5000"), AlterConfigOp.OpType.SET),
          new AlterConfigOp(new ConfigEntry("cleanup.policy", "delete"),
              AlterConfigOp.OpType.APPEND),
          new AlterConfigOp(new ConfigEntry("retention.ms", null), AlterConfigOp.OpType.DELETE))))
          .all().get();
      config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
      check(config.get("max.message.bytes").value(), "5000", "altered");
      check(config.get("cleanup.policy").value(), "compact,delete", "appended");
      check(config.get("retention.ms").value(), "604800000", "deleted");
      check(failure(admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(
          new ConfigEntry("no.such.thing", "1"), AlterConfigOp.OpType.SET)))).all()),
          InvalidConfigurationException.class, "unknown config");
      var broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
      var settings = admin.describeConfigs(List.of(broker)).all().get().get(broker);
      check(settings.get("num.partitions").value(), "3", "the node's num.partitions");

      admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get();
      check(failure(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all()),
          InvalidPartitionsException.class, "fewer partitions");
      described = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
      check(described.partitions().size(), 4, "partitions added");
      admin.deleteTopics(List.of(topic)).all().get();
      check(failure(admin.deleteTopics(List.of(topic)).all()),
          UnknownTopicOrPartitionException.class, "deleted twice");
      check(failure(admin.describeTopics(List.of(topic)).allTopicNames()),
          UnknownTopicOrPartitionException.class, "described after it was deleted");
    }
  }

  static void groups() throws Exception {
    String group = "g-" + topic;
    var partition = new TopicPartition(topic, 0);
    try (var admin = admin(); var producer = producer(Map.of())) {
      admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
      for (int n = 0; n < 20; n++) {
        producer.send(new ProducerRecord<>(topic, 0, null, bytes("" + n))).get();
      }
      var settings = Map.<String, Object>of(
          "group.id", group, "client.id", "reader", "max.poll.records", 20);
      try (var consumer = consumer(settings)) {
        consumer.subscribe(List.of(topic));
        int found = 0;
        while (found < 20) found += consumer.poll(Duration.ofMillis(200)).count();
        consumer.commitSync(Map.of(partition, new OffsetAndMetadata(20, "a note")));
        var described = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        check(described.groupState(), GroupState.STABLE, "state");
        check(described.partitionAssignor(), "range", "assignor");
        check(described.members().size(), 1, "members");
        var member = described.members().iterator().next();
        check(member.clientId(), "reader", "client id");
        check(member.assignment().topicPartitions(), Set.of(partition), "assignment");
        var listed = admin.listGroups().all().get().stream()
            .filter(g -> g.groupId().equals(group)).toList();
        check(listed.size(), 1, "listed groups");
        check(failure(admin.deleteConsumerGroups(List.of(group)).all()),
            GroupNotEmptyException.class, "deleted while it has a member");
      }
      var offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
      check(offsets.get(partition).offset(), 20L, "committed");
      check(offsets.get(partition).metadata(), "a note", "the commit's metadata");
      admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(5))).all()
          .get();
      offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
      check(offsets.get(partition).offset(), 5L, "altered");
      var described = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
      check(described.groupState(), GroupState.EMPTY, "state without members");
      admin.deleteConsumerGroupOffsets(group, Set.of(partition)).all().get();
      offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
      check(offsets.get(partition), null, "deleted offset");
      admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(5))).all()
          .get();
      admin.deleteConsumerGroups(List.of(group)).all().get();
      check(failure(admin.deleteConsumerGroups(List.of(group)).all()),
          GroupIdNotFoundException.class, "deleted twice");
    }
  }

  static void deletedRecords() throws Exception {
    var partition = new TopicPartition(topic, 0);
    try (var admin = admin(); var producer = producer(Map.of())) {
      for (int n = 0; n < 50; n++) {
        producer.send(new ProducerRecord<>(topic, 0, null, bytes("" + n)));
      }
      producer.flush();
      var low = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(20)))
          .lowWatermarks().get(partition).get();
      check(low.lowWatermark(), 20L, "low watermark");
      check(failure(admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(51))).all()),
          org.apache.kafka.common.errors.OffsetOutOfRangeException.class, "beyond the end");
      var found = read(partition, 30);
      check(found.get(0).offset(), 20L, "first offset that is left");
      admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(-1))).all().get();
      var listed = admin.listOffsets(Map.of(partition, OffsetSpec.earliest()))
          .partitionResult(partition).get();
      check(listed.offset(), 50L, "all are deleted");
    }
  }
}
