import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.KV;
import io.etcd.jetcd.Watch;
import io.etcd.jetcd.op.Op;
import io.etcd.jetcd.options.DeleteOption;
import io.etcd.jetcd.options.PutOption;
import io.etcd.jetcd.options.WatchOption;
import io.etcd.jetcd.watch.WatchEvent;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Watches. */
final class Watches {
    private Watches() {}

    /** A key's past and present, a prefix, and a past that is forgotten. */
    static Map<String, Object> watch(Options o) throws Exception {
        Map<String, Object> saw = new LinkedHashMap<>();
        try (Server one = new Server(o)) {
            KV kv = one.client.getKVClient();
            ByteSequence key = Server.bytes(o.name);
            long since = Server.soon(kv.put(key, Server.bytes("1"))).getHeader().getRevision();
            WatchOption past = WatchOption.builder().withRevision(since).withPrevKV(true).build();
            BlockingQueue<WatchEvent> events = new LinkedBlockingQueue<>();
            try (Watch.Watcher watcher = one.client.getWatchClient()
                    .watch(key, past, response -> events.addAll(response.getEvents()))) {
                one.put(o.name, "2");
                Server.soon(kv.delete(key));
                saw.put("events", first(3, events).stream().map(e -> shown(e, "")).toList());
            }
            saw.put("prefix", twoKeys(one, o.name + "/"));
            Server.soon(kv.compact(since + 1));
            CompletableFuture<Void> late = new CompletableFuture<>();
            one.client.getWatchClient().watch(key, past, response -> { }, late::completeExceptionally);
            saw.put("compacted", Server.failure(late));
        }
        return saw;
    }

    /** They are written in one transaction, and deleted in another. */
    private static List<Object> twoKeys(Server one, String prefix) throws Exception {
        KV kv = one.client.getKVClient();
        ByteSequence all = Server.bytes(prefix);
        BlockingQueue<WatchEvent> events = new LinkedBlockingQueue<>();
        CompletableFuture<Void> created = new CompletableFuture<>();
        WatchOption below = WatchOption.builder().isPrefix(true).withCreateNotify(true).build();
        try (Watch.Watcher watcher = one.client.getWatchClient().watch(all, below, response -> {
            created.complete(null);
            events.addAll(response.getEvents());
        })) {
            Server.soon(created);
            Server.soon(kv.txn().Then(put(prefix + "a", "x"), put(prefix + "b", "y")).commit());
            Server.soon(kv.delete(all, DeleteOption.builder().isPrefix(true).build()));
            List<WatchEvent> seen = first(4, events);
            long start = seen.get(0).getKeyValue().getModRevision();
            return seen.stream()
                    .map(e -> "+" + (e.getKeyValue().getModRevision() - start) + " " + shown(e, prefix))
                    .collect(Collectors.toList());
        }
    }

    private static Op put(String key, String value) {
        return Op.put(Server.bytes(key), Server.bytes(value), PutOption.DEFAULT);
    }

    private static List<WatchEvent> first(int n, BlockingQueue<WatchEvent> events) throws Exception {
        List<WatchEvent> seen = new ArrayList<>();
        while (seen.size() < n) {
            WatchEvent event = events.poll(170, TimeUnit.SECONDS);
            if (event == null) {
                throw new IllegalStateException("no more than " + seen.size() + " events");
            }
            seen.add(event);
        }
        return seen;
    }

    /** An event as a text; its key is only named below a prefix. */
    private static String shown(WatchEvent event, String prefix) {
        String key = prefix.isEmpty() ? "" : Server.text(event.getKeyValue().getKey()).substring(prefix.length());
        String before = Server.text(event.getPrevKV().getValue());
        String value = Server.text(event.getKeyValue().getValue());
        return Stream.of(event.getEventType().name(), key, value, before.isEmpty() ? "" : "after " + before)
                .filter(word -> !word.isEmpty())
                .collect(Collectors.joining(" "));
    }
}
