"""Lock, lease and watch of etcd3gw, which speaks to the JSON gateway; ../README.md
describes what it is asked and what it prints."""

import base64
import time
from itertools import islice
from urllib.parse import urlsplit

import etcd3gw

import bare_name
from protocol import play, shown


def connect(endpoint):
    url = urlsplit(endpoint)
    return etcd3gw.client(host=url.hostname, port=url.port, timeout=20)


def take(lock, seconds):
    """Its acquire never waits. A failed attempt leaves its lease behind."""
    end = time.monotonic() + seconds
    while not lock.acquire():
        lock.lease.revoke()
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def lease_of(client, key):
    [(_, found)] = client.get(key, metadata=True)
    return int(found["lease"])


def refreshed(lock_or_lease):
    return lock_or_lease.refresh()


def granted(lease):
    url = lease.client.get_url("/lease/timetolive")
    return int(lease.client.post(url, json={"ID": lease.id})["grantedTTL"])


def remaining(lease):
    return lease.ttl()


def keys(lease):
    return lease.keys()


def count(client, prefix):
    return len(client.get_prefix(prefix))


def read(client, key):
    found = client.get(key)
    return found[0] if found else None


def watch(o):
    """A key's past and present, and a prefix."""
    client = connect(o.endpoint)
    client.put(o.name, "1")
    [(_, found)] = client.get(o.name, metadata=True)
    since = int(found["mod_revision"])
    events, cancel = client.watch(o.name, start_revision=since, prev_kv=True)
    client.put(o.name, "2")
    client.delete(o.name)
    saw = {"events": [text(e) for e in islice(events, 3)]}
    cancel()
    return saw | {"prefix": two_keys(client, f"{o.name}/")}


def two_keys(client, prefix):
    """They are written in one transaction, and deleted in another."""
    # The library does not tell when a watch is there, so the revision is named.
    url = client.get_url("/kv/range")
    now = int(client.post(url, json={"key": encoded(prefix)})["header"]["revision"])
    events, cancel = client.watch_prefix(prefix, start_revision=now + 1)
    puts = [put(prefix + "a", "x"), put(prefix + "b", "y")]
    client.transaction({"success": puts})
    client.delete_prefix(prefix)
    seen = list(islice(events, 4))
    cancel()
    first = int(seen[0]["kv"]["mod_revision"])
    return [f"+{int(e['kv']['mod_revision']) - first} {text(e, prefix)}" for e in seen]


def put(key, value):
    return {"request_put": {"key": encoded(key), "value": encoded(value)}}


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def text(event, prefix=None):
    kv, before = event["kv"], event.get("prev_kv", {}).get("value", "")
    key = kv["key"].decode().removeprefix(prefix) if prefix else None
    value = kv.get("value", b"").decode()
    # The library decodes all but the previous value.
    return shown(event.get("type", "PUT"), value, base64.b64decode(before).decode(), key)


if __name__ == "__main__":
    import sys

    play(bare_name.scenarios(sys.modules[__name__]) | {"watch": watch})
