import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Who held a lock, in which order they first did, and whether two did at once. */
final class Grants {
    private final List<Object> order = new ArrayList<>();
    private int turns;
    private int inside;
    private int overlaps;

    synchronized void enter(int who) {
        if (!order.contains(who)) {
            order.add(who);
        }
        turns++;
        if (inside > 0) {
            overlaps++;
        }
        inside++;
    }

    synchronized void leave() {
        inside--;
    }

    synchronized Map<String, Object> saw() {
        Map<String, Object> saw = new LinkedHashMap<>();
        saw.put("order", order);
        saw.put("turns", turns);
        saw.put("overlaps", overlaps);
        return saw;
    }
}
