"""Lock, lease and watch of python-etcd3 against the server at HOST PORT; prints
what it saw as one line of JSON. Run by tests/other_clients.rs."""

import json
import sys
import threading

import etcd3

HOST, PORT = sys.argv[1], int(sys.argv[2])


def client():
    return etcd3.client(host=HOST, port=PORT, timeout=10)


def lock():
    """A holder, one who gives up, and one who waits until it is free."""
    holder = client().lock("job", ttl=30)
    hasty = client().lock("job", ttl=30)
    patient = client().lock("job", ttl=30)
    got = {"holder": holder.acquire(timeout=5), "hasty": hasty.acquire(timeout=1)}
    held = holder.is_acquired()
    waiting = threading.Thread(
        target=lambda: got.update(patient=patient.acquire(timeout=20))
    )
    waiting.start()
    released = holder.release()
    waiting.join(25)
    return {
        "got": got,
        "held": held,
        "released": released,
        "released_again": holder.release(),
        "refreshed_ttl": patient.refresh()[0].TTL,
        "patient_released": patient.release(),
        "keys_left": len(list(client().get_prefix("/locks/"))),
    }


def lease():
    """A lease with a key, renewed and then revoked."""
    etcd = client()
    lease = etcd.lease(100)
    etcd.put("leased", "x", lease=lease)
    seen = {
        "granted_ttl": lease.granted_ttl,
        "remains": 90 < lease.remaining_ttl <= 100,
        "keys": [key.decode() for key in lease.keys],
        "refreshed_ttl": lease.refresh()[0].TTL,
    }
    lease.revoke()
    seen["key_is_gone"] = etcd.get("leased")[0] is None
    seen["ttl_when_gone"] = lease.remaining_ttl
    return seen


def watch():
    """The events of a key from its first revision on, some past and some new."""
    etcd = client()
    etcd.put("watched", "1")
    first = etcd.get("watched")[1].mod_revision
    events, cancel = etcd.watch("watched", start_revision=first)
    etcd.put("watched", "2")
    etcd.delete("watched")
    seen = [next(events) for _ in range(3)]
    cancel()
    return [f"{type(e).__name__} {e.key.decode()} {e.value.decode()}" for e in seen]


print(json.dumps({"lock": lock(), "lease": lease(), "watch": watch()}))
