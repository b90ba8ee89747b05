// Many producers at once, each with a connection of its own to every broker, and every record with a key.
//
//   java -cp 'LIBS/*' Keyed.java BOOTSTRAP TOPIC RECORDS BYTES PRODUCERS
//
// Prints records per second, from the first call to the last acknowledgement.
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Keyed {
  static final int KEYS = 10_000;

  public static void main(String[] arguments) throws InterruptedException {
    String topic = arguments[1];
    int size = Integer.parseInt(arguments[3]);
    int count = Integer.parseInt(arguments[4]);
    long each = Long.parseLong(arguments[2]) / count;
    Properties settings = new Properties();
    settings.put("bootstrap.servers", arguments[0]);
    settings.put("acks", "all");
    settings.put("linger.ms", "5");
    settings.put("buffer.memory", "8388608");
    var encoder = new ByteArraySerializer();
    List<KafkaProducer<byte[], byte[]>> producers = new ArrayList<>();
    for (int index = 0; index < count; index++) {
      var producer = new KafkaProducer<>(settings, encoder, encoder);
      producer.partitionsFor(topic);
      producers.add(producer);
    }
    var acknowledged = new AtomicLong();
    var failure = new AtomicReference<Exception>();
    List<Thread> threads = new ArrayList<>();
    for (int index = 0; index < count; index++) {
      var producer = producers.get(index);
      var random = new Random(index);
      byte[] value = new byte[size];
      random.nextBytes(value);
      threads.add(new Thread(() -> {
        for (long number = 0; number < each; number++) {
          byte[] key = ("user-" + random.nextInt(KEYS)).getBytes(StandardCharsets.UTF_8);
          producer.send(new ProducerRecord<>(topic, key, value), (metadata, problem) -> {
            if (problem == null) acknowledged.incrementAndGet();
            else failure.set(problem);
          });
        }
        producer.flush();
      }));
    }
    long start = System.nanoTime();
    for (Thread thread : threads) thread.start();
    for (Thread thread : threads) thread.join();
    double seconds = (System.nanoTime() - start) / 1e9;
    if (acknowledged.get() != each * count) {
      throw new IllegalStateException(acknowledged.get() + " acknowledged", failure.get());
    }
    System.out.printf("%.0f records/s%n", acknowledged.get() / seconds);
    for (var producer : producers) producer.close();
  }
}
