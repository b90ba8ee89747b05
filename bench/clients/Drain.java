// Reads a topic's first records with Kafka's own consumer, from all partitions, assigned by hand.
//
//   java -cp 'LIBS/*' Drain.java BOOTSTRAP TOPIC RECORDS
//
// Prints records per second and MB of values per second, from the first poll to the last record.
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class Drain {
  public static void main(String[] arguments) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", arguments[0]);
    settings.put("enable.auto.commit", "false");
    settings.put("auto.offset.reset", "earliest");
    settings.put("max.poll.records", "5000");
    settings.put("receive.buffer.bytes", "1048576");
    long wanted = Long.parseLong(arguments[2]);
    var decoder = new ByteArrayDeserializer();
    try (var consumer = new KafkaConsumer<>(settings, decoder, decoder)) {
      List<TopicPartition> partitions = consumer.partitionsFor(arguments[1]).stream()
          .map(info -> new TopicPartition(info.topic(), info.partition())).toList();
      consumer.assign(partitions);
      long records = 0;
      long bytes = 0;
      long start = System.nanoTime();
      while (records < wanted) {
        for (var record : consumer.poll(Duration.ofSeconds(1))) {
          records += 1;
          bytes += record.value().length;
        }
        if (System.nanoTime() - start > 120e9) throw new IllegalStateException("no more came");
      }
      double seconds = (System.nanoTime() - start) / 1e9;
      System.out.printf("%.0f records/s, %.1f MB/s%n", records / seconds, bytes / seconds / 1e6);
    }
  }
}
