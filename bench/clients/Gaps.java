// Writes to all partitions with Kafka's own producer, each every 10 ms, and says how long each went
// without an acknowledgement:
//
//   java -cp 'LIBS/*' Gaps.java BOOTSTRAP TOPIC PARTITIONS [SETTING=VALUE ...]
//
// Prints `gap PARTITION FROM TO` for every one of more than 15 ms, `oldest TIME` ten times a second (until
// when every partition has acknowledgements), and `failed REASON` for a record that is given up; times are
// CLOCK_MONOTONIC's nanoseconds. Ends with its standard input.
import java.io.IOException;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Gaps {
  static final long PACE = 10_000_000;
  static final long NOTABLE = 15_000_000;
  static volatile boolean ended = false;

  public static void main(String[] arguments) {
    String topic = arguments[1];
    int partitions = Integer.parseInt(arguments[2]);
    Properties settings = new Properties();
    settings.put("bootstrap.servers", arguments[0]);
    for (int index = 3; index < arguments.length; index++) {
      String[] parts = arguments[index].split("=", 2);
      settings.put(parts[0], parts[1]);
    }
    var acknowledged = new AtomicLongArray(partitions);
    var reader = new Thread(() -> {
      try {
        while (System.in.read() >= 0) {}
      } catch (IOException failure) {
        // As its end.
      }
      ended = true;
    });
    reader.setDaemon(true);
    reader.start();
    var encoder = new ByteArraySerializer();
    byte[] value = new byte[100];
    try (var producer = new KafkaProducer<>(settings, encoder, encoder)) {
      long due = System.nanoTime();
      long told = due;
      while (!ended) {
        for (long now; (now = System.nanoTime()) < due; ) LockSupport.parkNanos(due - now);
        due += PACE;
        for (int index = 0; index < partitions; index++) {
          producer.send(new ProducerRecord<>(topic, index, null, value), (metadata, failure) -> {
            long now = System.nanoTime();
            if (failure != null) {
              say("failed " + failure.toString().replace('\n', ' '));
              return;
            }
            long last = acknowledged.getAndSet(metadata.partition(), now);
            if (last != 0 && now - last > NOTABLE) {
              say("gap " + metadata.partition() + " " + last + " " + now);
            }
          });
        }
        if (due - told >= 100_000_000) {
          told = due;
          long oldest = Long.MAX_VALUE;
          for (int index = 0; index < partitions; index++) {
            oldest = Math.min(oldest, acknowledged.get(index));
          }
          say("oldest " + oldest);
        }
      }
    }
  }

  static synchronized void say(String line) {
    System.out.println(line);
    System.out.flush();
  }
}
