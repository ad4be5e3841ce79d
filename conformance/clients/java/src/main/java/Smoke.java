import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.Election;
import io.etcd.jetcd.election.CampaignResponse;
import io.etcd.jetcd.election.LeaderKey;
import io.etcd.jetcd.election.LeaderResponse;
import io.etcd.jetcd.lock.LockResponse;
import io.etcd.jetcd.options.GetOption;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * The Lock and Election services through jetcd, against the server at the URL
 * given; prints what it saw as one line of JSON. Run by tests/other_clients.rs.
 */
public final class Smoke {
    private final Client first;
    private final Client second;

    private Smoke(String url) {
        first = Client.builder().endpoints(url).build();
        second = Client.builder().endpoints(url).build();
    }

    public static void main(String[] arguments) throws Exception {
        Smoke smoke = new Smoke(arguments[0]);
        System.out.printf("{\"lock\":{%s},\"election\":{%s}}%n", smoke.lock(), smoke.election());
        smoke.first.close();
        smoke.second.close();
    }

    /** A holder and a waiter, who gets it when the holder unlocks. */
    private String lock() throws Exception {
        ByteSequence name = bytes("job");
        long lease = lease(first);
        long waiting = lease(second);
        LockResponse held = soon(first.getLockClient().lock(name, lease));
        LockResponse again = soon(first.getLockClient().lock(name, lease));
        CompletableFuture<LockResponse> waiter = second.getLockClient().lock(name, waiting);
        awaitKeys("job/", 2);
        boolean waited = !waiter.isDone();
        soon(first.getLockClient().unlock(held.getKey()));
        ByteSequence key = soon(waiter).getKey();
        soon(second.getLockClient().unlock(key));
        String unknown = failure(first.getLockClient().lock(name, 123));
        return "\"key_names_the_lease\":" + text(held.getKey()).equals("job/" + Long.toHexString(lease))
                + ",\"same_key_again\":" + held.getKey().equals(again.getKey())
                + ",\"waited\":" + waited
                + ",\"waiters_key\":" + text(key).equals("job/" + Long.toHexString(waiting))
                + ",\"unknown_lease\":\"" + unknown + "\""
                + ",\"keys_left\":" + keys("job/");
    }

    /** A leader who proclaims and resigns, a candidate who follows, an observer. */
    private String election() throws Exception {
        ByteSequence post = bytes("post");
        Election one = first.getElectionClient();
        Election two = second.getElectionClient();
        String none = failure(one.leader(post));
        LeaderKey leader = soon(one.campaign(post, lease(first), bytes("one"))).getLeader();
        BlockingQueue<String> seen = new LinkedBlockingQueue<>();
        two.observe(post, listener(seen));
        String observed = next(seen);
        CompletableFuture<CampaignResponse> candidate = two.campaign(post, lease(second), bytes("two"));
        awaitKeys("post/", 2);
        boolean waited = !candidate.isDone();
        soon(one.proclaim(leader, bytes("one again")));
        observed += "," + next(seen);
        String value = text(soon(one.leader(post)).getKv().getValue());
        soon(one.resign(leader));
        LeaderKey follower = soon(candidate).getLeader();
        observed += "," + next(seen);
        String late = failure(one.proclaim(leader, bytes("late")));
        soon(two.resign(follower));
        return "\"without_a_leader\":\"" + none + "\""
                + ",\"leader\":\"" + value + "\""
                + ",\"waited\":" + waited
                + ",\"observed\":\"" + observed + "\""
                + ",\"late_proclaim\":\"" + late + "\""
                + ",\"keys_left\":" + keys("post/");
    }

    private static Election.Listener listener(BlockingQueue<String> seen) {
        return new Election.Listener() {
            @Override
            public void onNext(LeaderResponse response) {
                seen.add(text(response.getKv().getValue()));
            }

            @Override
            public void onError(Throwable error) {
                seen.add("error: " + error);
            }

            @Override
            public void onCompleted() {
                seen.add("end");
            }
        };
    }

    private static long lease(Client client) throws Exception {
        return soon(client.getLeaseClient().grant(30)).getID();
    }

    private long keys(String prefix) throws Exception {
        GetOption counted = GetOption.builder().isPrefix(true).withCountOnly(true).build();
        return soon(first.getKVClient().get(bytes(prefix), counted)).getCount();
    }

    /** Returns once there are so many keys; tests/other_clients.rs bounds the time. */
    private void awaitKeys(String prefix, long count) throws Exception {
        while (keys(prefix) != count) {
            Thread.sleep(10);
        }
    }

    private static <T> T soon(CompletableFuture<T> future) throws Exception {
        return future.get(20, TimeUnit.SECONDS);
    }

    private static String next(BlockingQueue<String> seen) throws InterruptedException {
        return seen.poll(20, TimeUnit.SECONDS);
    }

    /** What the error that it ends with says at its root, or its type if it is silent. */
    private static String failure(CompletableFuture<?> future) throws Exception {
        try {
            soon(future);
            return "no error";
        } catch (ExecutionException error) {
            Throwable cause = error;
            while (cause.getCause() != null) {
                cause = cause.getCause();
            }
            String message = cause.getMessage();
            return message == null ? cause.getClass().getSimpleName() : message;
        }
    }

    private static ByteSequence bytes(String text) {
        return ByteSequence.from(text, StandardCharsets.UTF_8);
    }

    private static String text(ByteSequence bytes) {
        return bytes.toString(StandardCharsets.UTF_8);
    }
}
