import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.KeyValue;
import io.etcd.jetcd.options.GetOption;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;

/** One client with a connection of its own, and what the scenarios ask it often. */
final class Server implements AutoCloseable {
    /** Of leases that nobody keeps alive, in seconds: longer than a slow machine takes. */
    static final long LONG = 600;

    final Client client;

    Server(Options options) {
        client = Client.builder().endpoints(options.endpoint).build();
    }

    long lease(long ttl) throws Exception {
        return soon(client.getLeaseClient().grant(ttl)).getID();
    }

    ByteSequence lock(String name, long lease) throws Exception {
        return soon(client.getLockClient().lock(bytes(name), lease)).getKey();
    }

    void unlock(ByteSequence key) throws Exception {
        soon(client.getLockClient().unlock(key));
    }

    List<KeyValue> get(ByteSequence key) throws Exception {
        return soon(client.getKVClient().get(key)).getKvs();
    }

    String read(String key) throws Exception {
        List<KeyValue> found = get(bytes(key));
        return found.isEmpty() ? null : text(found.get(0).getValue());
    }

    void put(String key, String value) throws Exception {
        soon(client.getKVClient().put(bytes(key), bytes(value)));
    }

    long count(String prefix) throws Exception {
        GetOption counted = GetOption.builder().isPrefix(true).withCountOnly(true).build();
        return soon(client.getKVClient().get(bytes(prefix), counted)).getCount();
    }

    /** Returns once a name has so many keys; whoever started this bounds the time. */
    void awaitKeys(String name, long count) throws Exception {
        while (count(name + "/") != count) {
            Thread.sleep(5);
        }
    }

    @Override
    public void close() {
        client.close();
    }

    static <T> T soon(CompletableFuture<T> future) throws Exception {
        return future.get(170, TimeUnit.SECONDS);
    }

    /** What the error that it ends with says at its root, or its type if it is silent. */
    static String failure(CompletableFuture<?> future) throws Exception {
        try {
            soon(future);
            return "no error";
        } catch (ExecutionException error) {
            return root(error);
        }
    }

    static String root(Throwable error) {
        Throwable cause = error;
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        String message = cause.getMessage();
        return message == null ? cause.getClass().getSimpleName() : message;
    }

    static ByteSequence bytes(String text) {
        return ByteSequence.from(text, StandardCharsets.UTF_8);
    }

    static String text(ByteSequence bytes) {
        return bytes.toString(StandardCharsets.UTF_8);
    }
}
