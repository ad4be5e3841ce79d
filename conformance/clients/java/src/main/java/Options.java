import java.util.Map;

/** The flags, as one scenario takes them. */
final class Options {
    final String endpoint;
    final String name;
    final String counter;
    final int clients;
    final int turns;
    final int ttl;

    Options(Map<String, String> flags, String scenario) {
        endpoint = flags.getOrDefault("endpoint", "http://127.0.0.1:2379");
        name = flags.getOrDefault("name", "java") + "-" + scenario;
        counter = flags.getOrDefault("counter", name + ".count");
        clients = Integer.parseInt(flags.getOrDefault("clients", "4"));
        turns = Integer.parseInt(flags.getOrDefault("turns", "5"));
        ttl = Integer.parseInt(flags.getOrDefault("ttl", "3"));
    }
}
