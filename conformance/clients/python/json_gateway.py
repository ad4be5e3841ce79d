"""The JSON gateway with nothing but Python's standard library: the Lock and Election
services, leases and watches as any language can have them that speaks HTTP.
../README.md describes what it is asked and what it prints."""

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from protocol import Grants, Stopwatch, play, say, shown, together, until

# Of leases that nobody keeps alive, in seconds: longer than a slow machine takes.
LONG = 600


class Client:
    """A base URL; each call is a request of its own."""

    def __init__(self, endpoint):
        self.base = endpoint + "/v3"

    def open(self, path, body, timeout=170):
        data = json.dumps(body).encode()
        return urlopen(Request(self.base + path, data), timeout=timeout)

    def call(self, path, **body):
        with self.open(path, body) as response:
            return json.load(response)

    def refusal(self, path, **body):
        """The status and the message of a call that must fail."""
        try:
            return f"no error: {self.call(path, **body)}"
        except HTTPError as error:
            return f"{error.code}: {json.load(error)['message']}"

    def stream(self, path, **body):
        """The results of a stream as they come, one line each."""
        for line in self.open(path, body):
            yield json.loads(line)["result"]

    def lease(self, ttl=LONG):
        return self.call("/lease/grant", TTL=ttl)["ID"]

    def keepalive(self, lease):
        return self.call("/lease/keepalive", ID=lease)["result"]

    def lock(self, name, lease):
        return self.call("/lock/lock", name=encoded(name), lease=lease)["key"]

    def unlock(self, key):
        self.call("/lock/unlock", key=key)

    def range(self, key, end=""):
        return self.call("/kv/range", key=encoded(key), range_end=encoded(end))

    def read(self, key):
        found = self.range(key).get("kvs")
        return decoded(found[0]["value"]) if found else None

    def count(self, prefix):
        return int(self.range(prefix, after(prefix)).get("count", 0))

    def put(self, key, value):
        return self.call("/kv/put", key=encoded(key), value=encoded(value))


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def decoded(text):
    return base64.b64decode(text).decode()


def after(prefix):
    """The end of the range of all keys with this prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def queued(client, name, n):
    until(lambda: client.count(name + "/") == n, f"{n} keys under {name}/")


def lock(o):
    """A holder, and a waiter who gets it when the holder unlocks."""
    client = Client(o.endpoint)
    key = client.lock(o.name, client.lease())
    [held] = client.call("/kv/range", key=key)["kvs"]
    saw = {"key": decoded(key), "lease": f"{int(held['lease']):x}"}
    with ThreadPoolExecutor() as pool:
        waiter = pool.submit(client.lock, o.name, client.lease())
        queued(client, o.name, 2)
        saw["waited"] = not waiter.done()
        client.unlock(key)
        other = waiter.result()
    client.unlock(other)
    saw["after"] = other != key
    return saw | {"keys_left": client.count(o.name + "/")}


def contend(o):
    """All queue behind a holder, one after the other, and take their turns."""
    client, grants = Client(o.endpoint), Grants()
    holder = client.lock(o.name, client.lease())

    def take_turns(number):
        lease = client.lease()
        for _ in range(o.turns):
            key = client.lock(o.name, lease)
            grants.during(number, lambda: client.read("anything"))
            client.unlock(key)

    with ThreadPoolExecutor(o.clients) as pool:
        waiting = []
        for number in range(o.clients):
            waiting.append(pool.submit(take_turns, number))
            queued(client, o.name, number + 2)
        client.unlock(holder)
        for done in waiting:
            done.result()
    return grants.saw() | {"keys_left": client.count(o.name + "/")}


def expire(o):
    """A holder goes silent, and a waiter gets its lock; another is kept alive."""
    client, done = Client(o.endpoint), threading.Event()
    kept_lease = client.lease(o.ttl)
    kept = client.lock(f"{o.name}-kept", kept_lease)
    keeping = threading.Thread(target=keep_alive, args=(client, kept_lease, o.ttl, done))
    keeping.start()
    try:
        clock = Stopwatch()
        silent = client.call("/lease/grant", TTL=o.ttl)
        client.lock(o.name, silent["ID"])
        key = client.lock(o.name, client.lease())
        saw = {"ttl": int(silent["TTL"]), "after_ms": clock.ms()}
    finally:
        done.set()
        keeping.join()
    saw["late_keepalive"] = client.keepalive(silent["ID"]).get("TTL", "no TTL")
    saw["kept_alive"] = "kvs" in client.call("/kv/range", key=kept)
    client.unlock(key)
    client.unlock(kept)
    return saw | {"keys_left": client.count(o.name)}


def keep_alive(client, lease, ttl, done):
    while not done.wait(ttl / 3):
        client.keepalive(lease)


def elect(o):
    """A leader who proclaims and resigns, a candidate who follows, an observer."""
    client, name = Client(o.endpoint), encoded(o.name)

    def campaign(value):
        body = {"name": name, "lease": client.lease(), "value": encoded(value)}
        return client.call("/election/campaign", **body)["leader"]

    saw = {"leaderless": client.refusal("/election/leader", name=name)}
    one = campaign("one")
    seen = (decoded(r["kv"]["value"]) for r in client.stream("/election/observe", name=name))
    observed = [next(seen)]
    with ThreadPoolExecutor() as pool:
        two = pool.submit(campaign, "two")
        queued(client, o.name, 2)
        client.call("/election/proclaim", leader=one, value=encoded("one again"))
        observed.append(next(seen))
        leader = client.call("/election/leader", name=name)["kv"]["value"]
        saw |= {"leader": decoded(leader), "waited": not two.done()}
        client.call("/election/resign", leader=one)
        follower = two.result()
    observed.append(next(seen))
    late = client.refusal("/election/proclaim", leader=one, value=encoded("late"))
    client.call("/election/resign", leader=follower)
    saw |= {"observed": observed, "late_proclaim": late}
    return saw | {"keys_left": client.count(o.name + "/")}


def watch(o):
    """A key's past and present, a prefix, and a past that is forgotten."""
    client, key = Client(o.endpoint), encoded(o.name)
    since = int(client.put(o.name, "1")["header"]["revision"])
    past = {"key": key, "start_revision": since}
    replay = client.stream("/watch", create_request=past | {"prev_kv": True})
    next(replay)  # Created.
    client.put(o.name, "2")
    client.call("/kv/deleterange", key=key)
    saw = {"events": [text(e) for e in islice(events(replay), 3)]}
    saw["prefix"] = two_keys(client, f"{o.name}/")
    client.call("/kv/compaction", revision=since + 1)
    late = client.stream("/watch", create_request=past)
    created, canceled = next(late)["created"], next(late)
    ends = f"canceled {canceled['canceled']} +{int(canceled['compact_revision']) - since}"
    return saw | {"compacted": f"created {created}, {ends}"}


def two_keys(client, prefix):
    """They are written in one transaction, and deleted in another."""
    both = {"key": encoded(prefix), "range_end": encoded(after(prefix))}
    stream = client.stream("/watch", create_request=both)
    next(stream)
    client.call("/kv/txn", success=[put(prefix + "a", "x"), put(prefix + "b", "y")])
    client.call("/kv/deleterange", **both)
    seen = list(islice(events(stream), 4))
    first = int(seen[0]["kv"]["mod_revision"])
    return [f"+{int(e['kv']['mod_revision']) - first} {text(e, prefix)}" for e in seen]


def put(key, value):
    return {"request_put": {"key": encoded(key), "value": encoded(value)}}


def events(stream):
    for result in stream:
        yield from result["events"]


def text(event, prefix=None):
    kv, before = event["kv"], event.get("prev_kv", {}).get("value", "")
    key = decoded(kv["key"]).removeprefix(prefix) if prefix else None
    return shown(event.get("type", "PUT"), decoded(kv.get("value", "")), decoded(before), key)


def counter(o):
    """All increment one key by a range and a put, with only the lock between them."""

    def take_turns(_, client):
        lease = client.lease()
        for _ in range(o.turns):
            key = client.lock(o.name, lease)
            client.put(o.counter, str(int(client.read(o.counter) or 0) + 1))
            client.unlock(key)

    clients = [Client(o.endpoint) for _ in range(o.clients)]
    say({"ready": "counter"})
    together(take_turns, clients)
    return {"counter": int(clients[0].read(o.counter))}


if __name__ == "__main__":
    play(
        {
            "lock": lock,
            "contend": contend,
            "expire": expire,
            "elect": elect,
            "watch": watch,
            "counter": counter,
        }
    )
