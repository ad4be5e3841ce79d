import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Lock and Election services, leases and watches through jetcd; ../README.md of the
 * clients describes what it is asked and what it prints.
 */
public final class Main {
    /** A scenario returns what it saw. */
    private interface Scenario {
        Map<String, Object> play(Options options) throws Exception;
    }

    private static final Map<String, Scenario> SCENARIOS = Map.of(
            "lock", Locks::lock,
            "contend", Locks::contend,
            "expire", Locks::expire,
            "elect", Elections::elect,
            "watch", Watches::watch,
            "counter", Locks::counter);

    private Main() {}

    public static void main(String[] arguments) {
        Map<String, String> flags = new LinkedHashMap<>();
        List<String> scenarios = new ArrayList<>();
        for (int at = 0; at < arguments.length; at++) {
            if (arguments[at].startsWith("--")) {
                flags.put(arguments[at].substring(2), arguments[++at]);
            } else {
                scenarios.add(arguments[at]);
            }
        }
        boolean succeeded = !scenarios.isEmpty();
        for (String scenario : scenarios) {
            succeeded &= play(scenario, new Options(flags, scenario));
        }
        // Its threads would linger for a while.
        System.exit(succeeded ? 0 : 1);
    }

    private static boolean play(String name, Options options) {
        Map<String, Object> outcome = new LinkedHashMap<>(Map.of("scenario", name));
        try {
            outcome.put("saw", SCENARIOS.get(name).play(options));
        } catch (Exception error) {
            error.printStackTrace();
            outcome.put("error", error.toString());
        }
        say(outcome);
        return outcome.containsKey("saw");
    }

    static void say(Map<String, Object> line) {
        System.out.println(Json.text(line));
        System.out.flush();
    }
}
