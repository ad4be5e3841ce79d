import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Election;
import io.etcd.jetcd.election.CampaignResponse;
import io.etcd.jetcd.election.LeaderKey;
import io.etcd.jetcd.election.LeaderResponse;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** The Election service. */
final class Elections {
    private Elections() {}

    /** A leader who proclaims and resigns, a candidate who follows, an observer. */
    static Map<String, Object> elect(Options o) throws Exception {
        Map<String, Object> saw = new LinkedHashMap<>();
        try (Server first = new Server(o); Server second = new Server(o)) {
            ByteSequence post = Server.bytes(o.name);
            Election one = first.client.getElectionClient();
            Election two = second.client.getElectionClient();
            saw.put("leaderless", Server.failure(one.leader(post)));
            LeaderKey leader = leader(one.campaign(post, first.lease(Server.LONG), Server.bytes("one")));
            BlockingQueue<String> seen = new LinkedBlockingQueue<>();
            two.observe(post, listener(seen));
            List<Object> observed = new ArrayList<>(List.of(next(seen)));
            CompletableFuture<CampaignResponse> candidate =
                    two.campaign(post, second.lease(Server.LONG), Server.bytes("two"));
            first.awaitKeys(o.name, 2);
            Server.soon(one.proclaim(leader, Server.bytes("one again")));
            observed.add(next(seen));
            saw.put("leader", Server.text(Server.soon(one.leader(post)).getKv().getValue()));
            saw.put("waited", !candidate.isDone());
            Server.soon(one.resign(leader));
            LeaderKey follower = leader(candidate);
            observed.add(next(seen));
            saw.put("observed", observed);
            saw.put("late_proclaim", Server.failure(one.proclaim(leader, Server.bytes("late"))));
            Server.soon(two.resign(follower));
            saw.put("keys_left", first.count(o.name + "/"));
        }
        return saw;
    }

    private static LeaderKey leader(CompletableFuture<CampaignResponse> campaign) throws Exception {
        return Server.soon(campaign).getLeader();
    }

    private static Election.Listener listener(BlockingQueue<String> seen) {
        return new Election.Listener() {
            @Override
            public void onNext(LeaderResponse response) {
                seen.add(Server.text(response.getKv().getValue()));
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

    private static String next(BlockingQueue<String> seen) throws InterruptedException {
        return String.valueOf(seen.poll(170, TimeUnit.SECONDS));
    }
}
