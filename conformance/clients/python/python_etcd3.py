"""Lock, lease and watch of python-etcd3; ../README.md describes what it is asked
and what it prints."""

from itertools import islice
from urllib.parse import urlsplit

import etcd3

import bare_name
from protocol import play, shown


def connect(endpoint):
    url = urlsplit(endpoint)
    # Retries of a lock are made within this timeout, so longer than they take.
    return etcd3.client(host=url.hostname, port=url.port, timeout=20)


def take(lock, seconds):
    # It watches the key from a revision that it does not name, so that it can
    # miss the release and sleep until its time is up: callers ask again.
    return lock.acquire(timeout=seconds)


def lease_of(client, key):
    return client.get(key)[1].lease_id


def refreshed(lock_or_lease):
    return lock_or_lease.refresh()[0].TTL


def granted(lease):
    return lease.granted_ttl


def remaining(lease):
    return lease.remaining_ttl


def keys(lease):
    return lease.keys


def count(client, prefix):
    return len(list(client.get_prefix(prefix)))


def read(client, key):
    return client.get(key)[0]


def watch(o):
    """A key's past and present, a prefix, and a past that is forgotten."""
    client = connect(o.endpoint)
    client.put(o.name, "1")
    since = client.get(o.name)[1].mod_revision
    events, cancel = client.watch(o.name, start_revision=since, prev_kv=True)
    client.put(o.name, "2")
    client.delete(o.name)
    saw = {"events": [text(e) for e in islice(events, 3)]}
    cancel()
    saw["prefix"] = two_keys(client, f"{o.name}/")
    client.compact(since + 1)
    events, _ = client.watch(o.name, start_revision=since)
    saw["compacted"] = refusal(events, since)
    return saw


def two_keys(client, prefix):
    """They are written in one transaction, and deleted in another."""
    events, cancel = client.watch_prefix(prefix)
    put = client.transactions.put
    puts = [put(prefix + "a", "x"), put(prefix + "b", "y")]
    client.transaction(compare=[], success=puts, failure=[])
    client.delete_prefix(prefix)
    seen = list(islice(events, 4))
    cancel()
    return [f"+{e.mod_revision - seen[0].mod_revision} {text(e, prefix)}" for e in seen]


def refusal(events, since):
    try:
        return text(next(events))
    except etcd3.exceptions.RevisionCompactedError as error:
        return f"{type(error).__name__} +{error.compacted_revision - since}"


def text(event, prefix=None):
    kind = {"PutEvent": "PUT", "DeleteEvent": "DELETE"}[type(event).__name__]
    key = event.key.decode().removeprefix(prefix) if prefix else None
    return shown(kind, event.value.decode(), event.prev_value.decode(), key)


if __name__ == "__main__":
    import sys

    play(bare_name.scenarios(sys.modules[__name__]) | {"watch": watch})
