// A consumer that reads the tail while another reads a backlog: a producer writes RATE records a second
// to TOPIC for as long as a second consumer takes to read BACKLOG's first records.
//
//   java -cp 'LIBS/*' TailAndBacklog.java BOOTSTRAP BACKLOG RECORDS TOPIC BYTES RATE
//
// Prints the backlog's records per second, then p50, p99 and p99.9 in ms from when a record of the tail was
// due to be sent until it was polled, and how many there were.
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class TailAndBacklog {
  static volatile boolean isOver = false;
  static volatile Exception failure = null;
  static long[] latencies = new long[1 << 20];
  static int seen = 0;

  public static void main(String[] arguments) throws InterruptedException {
    long wanted = Long.parseLong(arguments[2]);
    int size = Integer.parseInt(arguments[4]);
    long pause = 1_000_000_000 / Long.parseLong(arguments[5]);
    var isReading = new CountDownLatch(1);
    var reader = new Thread(() -> tail(arguments[0], arguments[3], isReading));
    var writer = new Thread(() -> write(arguments[0], arguments[3], size, pause));
    reader.start();
    isReading.await();
    writer.start();
    long start = System.nanoTime();
    try (var consumer = consumer(arguments[0], "earliest")) {
      assignAll(consumer, arguments[1]);
      for (long records = 0; records < wanted; ) {
        records += consumer.poll(Duration.ofSeconds(1)).count();
        if (System.nanoTime() - start > 120e9) throw new IllegalStateException("no more came");
      }
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    isOver = true;
    writer.join();
    reader.join();
    if (failure != null) throw new IllegalStateException(failure);
    long[] sorted = Arrays.copyOf(latencies, seen);
    Arrays.sort(sorted);
    System.out.printf("%.0f", wanted / seconds);
    for (double share : new double[] {0.5, 0.99, 0.999}) {
      System.out.printf(" %.2f", sorted[(int) Math.min(seen - 1, share * seen)] / 1e6);
    }
    System.out.printf(" %d%n", seen);
  }

  static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, String reset) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", bootstrap);
    settings.put("enable.auto.commit", "false");
    settings.put("auto.offset.reset", reset);
    settings.put("max.poll.records", "5000");
    settings.put("receive.buffer.bytes", "1048576");
    var decoder = new ByteArrayDeserializer();
    return new KafkaConsumer<>(settings, decoder, decoder);
  }

  static void assignAll(KafkaConsumer<byte[], byte[]> consumer, String topic) {
    List<PartitionInfo> found = List.of();
    // It is made when it is first asked for.
    while (found.isEmpty()) found = consumer.partitionsFor(topic);
    consumer.assign(found.stream()
        .map(info -> new TopicPartition(info.topic(), info.partition())).toList());
  }

  static void tail(String bootstrap, String topic, CountDownLatch isReading) {
    try (var consumer = consumer(bootstrap, "latest")) {
      assignAll(consumer, topic);
      for (TopicPartition partition : consumer.assignment()) consumer.position(partition);
      isReading.countDown();
      while (!isOver && seen < latencies.length) {
        for (var record : consumer.poll(Duration.ofMillis(100))) {
          if (seen == latencies.length) break;
          latencies[seen++] = System.nanoTime() - ByteBuffer.wrap(record.value()).getLong();
        }
      }
    }
  }

  static void write(String bootstrap, String topic, int size, long pause) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", bootstrap);
    settings.put("acks", "all");
    settings.put("linger.ms", "0");
    var encoder = new ByteArraySerializer();
    try (var producer = new KafkaProducer<>(settings, encoder, encoder)) {
      int partitions = producer.partitionsFor(topic).size();
      long due = System.nanoTime();
      for (int number = 0; !isOver; number++) {
        for (long now; (now = System.nanoTime()) < due; ) LockSupport.parkNanos(due - now);
        byte[] value = new byte[size];
        ByteBuffer.wrap(value).putLong(due);
        // One after another: the client's own choice waits for batches to fill.
        var record = new ProducerRecord<byte[], byte[]>(topic, number % partitions, null, value);
        producer.send(record, (metadata, problem) -> {
          if (problem != null) failure = problem;
        });
        due += pause;
      }
    }
  }
}
