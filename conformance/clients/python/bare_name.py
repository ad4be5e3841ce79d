"""The scenarios of python-etcd3 and etcd3gw, whose locks are one key, /locks/NAME,
and which try again and again rather than queue. An adapter has

    connect(endpoint)         a client
    take(lock, seconds)       whether it was acquired within so many seconds
    lease_of(client, key)     the lease that the server has for a key
    refreshed(lock_or_lease)  the TTL that a keepalive answers, <= 0 when it is gone
    granted(lease), remaining(lease), keys(lease)
    count(client, prefix), read(client, key)
"""

import threading

from protocol import Grants, Stopwatch, say, together

# Of leases that nobody keeps alive, in seconds: longer than a slow machine takes.
LONG = 600
# How long a free lock may take, in seconds, on a busy machine.
SOON = 60


def scenarios(adapter):
    def with_adapter(scenario):
        return lambda o: scenario(adapter, o)

    return {
        "lock": with_adapter(lock),
        "contend": with_adapter(contend),
        "expire": with_adapter(expire),
        "counter": with_adapter(counter),
        "lease": with_adapter(lease),
    }


def wait_for(adapter, lock):
    """The libraries give up after a while, or at once: so again, until it is free."""
    while not adapter.take(lock, 1):
        pass


def left(adapter, client, name):
    return adapter.count(client, f"/locks/{name}")


def lock(adapter, o):
    """A holder, one who tries in vain, and gets it afterwards."""
    one, two = adapter.connect(o.endpoint), adapter.connect(o.endpoint)
    holder, other = one.lock(o.name, ttl=LONG), two.lock(o.name, ttl=LONG)
    if not adapter.take(holder, SOON):
        raise RuntimeError("a free lock is refused")
    saw = {"key": holder.key, "lease": f"{adapter.lease_of(one, holder.key):x}"}
    saw["while_held"] = adapter.take(other, 0.1)
    saw["is_acquired"] = [holder.is_acquired(), other.is_acquired()]
    saw["refreshed_ttl"] = adapter.refreshed(holder)
    saw["released"] = [holder.release(), holder.release()]
    saw["after"] = adapter.take(other, SOON)
    other.release()
    return saw | {"keys_left": left(adapter, one, o.name)}


def contend(adapter, o):
    """All take their turns, and none meets another inside."""
    grants = Grants()

    def take_turns(number, client):
        lock = client.lock(o.name, ttl=LONG)
        for _ in range(o.turns):
            wait_for(adapter, lock)
            grants.during(number, lambda: adapter.read(client, "anything"))
            lock.release()

    clients = [adapter.connect(o.endpoint) for _ in range(o.clients)]
    together(take_turns, clients)
    return grants.saw() | {"keys_left": left(adapter, clients[0], o.name)}


def expire(adapter, o):
    """A holder goes silent, and another gets its lock; a third keeps its own alive."""
    client = adapter.connect(o.endpoint)
    kept = client.lock(f"{o.name}-kept", ttl=o.ttl)
    clock = Stopwatch()
    silent = client.lock(o.name, ttl=o.ttl)
    if not (adapter.take(kept, SOON) and adapter.take(silent, SOON)):
        raise RuntimeError("a free lock is refused")
    done = threading.Event()
    keeping = threading.Thread(target=keep_alive, args=(adapter, kept, o.ttl, done))
    keeping.start()
    try:
        waiter = adapter.connect(o.endpoint).lock(o.name, ttl=LONG)
        ttl = adapter.granted(silent.lease)
        wait_for(adapter, waiter)
        saw = {"ttl": ttl, "after_ms": clock.ms()}
    finally:
        done.set()
        keeping.join()
    saw["late_keepalive"] = adapter.refreshed(silent)
    saw["kept_alive"] = kept.is_acquired()
    waiter.release()
    kept.release()
    return saw | {"keys_left": left(adapter, client, o.name)}


def keep_alive(adapter, lock, ttl, done):
    while not done.wait(ttl / 3):
        adapter.refreshed(lock)


def counter(adapter, o):
    """All increment one key by a get and a put, with only the lock between them."""

    def take_turns(_, client):
        lock = client.lock(o.name, ttl=LONG)
        for _ in range(o.turns):
            wait_for(adapter, lock)
            seen = int(adapter.read(client, o.counter) or 0)
            client.put(o.counter, str(seen + 1))
            lock.release()

    clients = [adapter.connect(o.endpoint) for _ in range(o.clients)]
    say({"ready": "counter"})
    together(take_turns, clients)
    return {"counter": int(adapter.read(clients[0], o.counter))}


def lease(adapter, o):
    """A lease with a key, renewed and then revoked."""
    client = adapter.connect(o.endpoint)
    lease = client.lease(100)
    client.put(o.name, "x", lease=lease)
    saw = {
        "granted_ttl": adapter.granted(lease),
        "remains": 90 < adapter.remaining(lease) <= 100,
        "holds_its_key": adapter.keys(lease) == [o.name.encode()],
        "refreshed_ttl": adapter.refreshed(lease),
    }
    lease.revoke()
    saw["key_is_gone"] = adapter.read(client, o.name) is None
    saw["ttl_when_gone"] = adapter.remaining(lease)
    return saw
