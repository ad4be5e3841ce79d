import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.lease.LeaseGrantResponse;
import io.etcd.jetcd.lease.LeaseKeepAliveResponse;
import io.etcd.jetcd.support.CloseableClient;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** The Lock service. */
final class Locks {
    private Locks() {}

    /** A holder, and a waiter who gets it when the holder unlocks. */
    static Map<String, Object> lock(Options o) throws Exception {
        Map<String, Object> saw = new LinkedHashMap<>();
        try (Server one = new Server(o); Server other = new Server(o)) {
            long lease = one.lease(Server.LONG);
            ByteSequence held = one.lock(o.name, lease);
            saw.put("key", Server.text(held));
            saw.put("lease", Long.toHexString(one.get(held).get(0).getLease()));
            saw.put("same_key_again", one.lock(o.name, lease).equals(held));
            long waiting = other.lease(Server.LONG);
            CompletableFuture<ByteSequence> waiter = other.client.getLockClient()
                    .lock(Server.bytes(o.name), waiting)
                    .thenApply(granted -> granted.getKey());
            one.awaitKeys(o.name, 2);
            saw.put("waited", !waiter.isDone());
            one.unlock(held);
            ByteSequence key = Server.soon(waiter);
            other.unlock(key);
            saw.put("after", Server.text(key).equals(o.name + "/" + Long.toHexString(waiting)));
            saw.put("unknown_lease", Server.failure(one.client.getLockClient().lock(Server.bytes(o.name), 123)));
            saw.put("keys_left", one.count(o.name + "/"));
        }
        return saw;
    }

    /** All queue behind a holder, one after the other, and take their turns. */
    static Map<String, Object> contend(Options o) throws Exception {
        Grants grants = new Grants();
        try (Server one = new Server(o)) {
            ByteSequence held = one.lock(o.name, one.lease(Server.LONG));
            together(o, number -> server -> takeTurns(server, o, () -> {
                grants.enter(number);
                server.read("anything");
                grants.leave();
                return null;
            }), number -> {
                one.awaitKeys(o.name, number + 2);
                if (number + 1 == o.clients) {
                    one.unlock(held);
                }
            });
            Map<String, Object> saw = grants.saw();
            saw.put("keys_left", one.count(o.name + "/"));
            return saw;
        }
    }

    /** A holder goes silent, and a waiter gets its lock; another is kept alive. */
    static Map<String, Object> expire(Options o) throws Exception {
        Map<String, Object> saw = new LinkedHashMap<>();
        try (Server one = new Server(o)) {
            long keptLease = one.lease(o.ttl);
            ByteSequence kept = one.lock(o.name + "-kept", keptLease);
            long start = System.nanoTime();
            LeaseGrantResponse silent = Server.soon(one.client.getLeaseClient().grant(o.ttl));
            one.lock(o.name, silent.getID());
            try (CloseableClient keeping = one.client.getLeaseClient().keepAlive(keptLease, nobody())) {
                ByteSequence key = one.lock(o.name, one.lease(Server.LONG));
                saw.put("ttl", silent.getTTL());
                saw.put("after_ms", (System.nanoTime() - start) / 1_000_000);
                saw.put("late_keepalive",
                        Server.failure(one.client.getLeaseClient().keepAliveOnce(silent.getID())));
                saw.put("kept_alive", one.get(kept).size() == 1);
                one.unlock(key);
                one.unlock(kept);
            }
            saw.put("keys_left", one.count(o.name));
        }
        return saw;
    }

    /** All increment one key by a get and a put, with only the lock between them. */
    static Map<String, Object> counter(Options o) throws Exception {
        try (Server one = new Server(o)) {
            one.read(o.counter);
            Main.say(Map.of("ready", "counter"));
            together(o, number -> server -> takeTurns(server, o, () -> {
                String seen = server.read(o.counter);
                server.put(o.counter, String.valueOf(seen == null ? 1 : Integer.parseInt(seen) + 1));
                return null;
            }), number -> { });
            return Map.of("counter", Integer.parseInt(one.read(o.counter)));
        }
    }

    private static void takeTurns(Server server, Options o, Callable<Void> inside) throws Exception {
        long lease = server.lease(Server.LONG);
        for (int turn = 0; turn < o.turns; turn++) {
            ByteSequence key = server.lock(o.name, lease);
            inside.call();
            server.unlock(key);
        }
    }

    private interface Work {
        void with(Server server) throws Exception;
    }

    private interface ForClient<T> {
        T of(int number) throws Exception;
    }

    private interface Then {
        void started(int number) throws Exception;
    }

    /** Each client does its work on a thread of its own; returns once all are done. */
    private static void together(Options o, ForClient<Work> work, Then then) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(o.clients);
        List<Future<Void>> all = new ArrayList<>();
        for (int number = 0; number < o.clients; number++) {
            Work own = work.of(number);
            all.add(threads.submit(() -> {
                try (Server server = new Server(o)) {
                    own.with(server);
                }
                return null;
            }));
            then.started(number);
        }
        for (Future<Void> one : all) {
            one.get();
        }
        threads.shutdown();
    }

    private static StreamObserver<LeaseKeepAliveResponse> nobody() {
        return new StreamObserver<>() {
            @Override
            public void onNext(LeaseKeepAliveResponse response) {}

            @Override
            public void onError(Throwable error) {}

            @Override
            public void onCompleted() {}
        };
    }
}
