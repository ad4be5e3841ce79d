// A lock of this library is one key, the bare name. It never waits.
'use strict';

const { Etcd3, EtcdLockFailedError } = require('etcd3');
const { say, failure, until } = require('./protocol');

const connect = o => new Etcd3({ hosts: o.endpoint });
const close = clients => clients.forEach(client => client.close());
const many = o => Array.from({ length: o.clients }, () => connect(o));
const left = (client, prefix) => client.getAll().prefix(prefix).count();

/** Acquires a lock, asking again until it is free. */
async function acquire(client, name) {
  let held = null;
  const ask = async () => {
    try {
      held = await client.lock(name).acquire();
    } catch (error) {
      if (!(error instanceof EtcdLockFailedError)) throw error;
    }
    return held !== null;
  };
  await until(ask);
  return held;
}

/** A held lock refuses another, who gets it afterwards. */
async function lock(o) {
  const [one, other] = [connect(o), connect(o)];
  const held = await one.lock(o.name).acquire();
  const kv = (await one.get(o.name).exec()).kvs[0];
  const lease = BigInt(await held.leaseId());
  if (BigInt(kv.lease) !== lease) throw new Error(`the key's lease is ${kv.lease}`);
  const whileHeld = await failure(other.lock(o.name).acquire());
  await held.release();
  const after = (await failure(other.lock(o.name).do(() => undefined))) === null;
  const saw = {
    key: kv.key.toString(),
    lease: lease.toString(16),
    while_held: whileHeld,
    after,
    keys_left: await left(one, o.name),
  };
  close([one, other]);
  return saw;
}

/** All take their turns, and none meets another inside. */
async function contend(o) {
  const clients = many(o);
  const [order, seen] = [[], { turns: 0, inside: 0, overlaps: 0 }];
  const takeTurns = async (client, number) => {
    for (let turn = 0; turn < o.turns; turn += 1) {
      const held = await acquire(client, o.name);
      if (!order.includes(number)) order.push(number);
      seen.turns += 1;
      if (++seen.inside > 1) seen.overlaps += 1;
      await client.get('anything');
      seen.inside -= 1;
      await held.release();
    }
  };
  await Promise.all(clients.map(takeTurns));
  const keysLeft = await left(clients[0], o.name);
  close(clients);
  return { order, turns: seen.turns, overlaps: seen.overlaps, keys_left: keysLeft };
}

/** A holder goes silent, and another gets its lock; a third is kept alive. */
async function expire(o) {
  const client = connect(o);
  const kept = await client.lock(`${o.name}-kept`).ttl(o.ttl).acquire();
  const start = Date.now();
  // Lock keeps its lease alive itself, so the silent one puts the key on its own.
  const silent = client.lease(o.ttl, { autoKeepAlive: false });
  await silent.put(o.name).value('');
  const ttl = (await client.leaseClient.leaseTimeToLive({ ID: await silent.grant() })).grantedTTL;
  const next = await acquire(client, o.name);
  const saw = { ttl: Number(ttl), after_ms: Date.now() - start };
  saw.late_keepalive = await failure(silent.keepaliveOnce());
  saw.kept_alive = (await client.get(`${o.name}-kept`)) !== null;
  await next.release();
  await kept.release();
  saw.keys_left = await left(client, o.name);
  client.close();
  return saw;
}

/** All increment one key by a get and a put, with only the lock between them. */
async function counter(o) {
  const clients = many(o);
  await Promise.all(clients.map(client => client.get(o.counter)));
  say({ ready: 'counter' });
  const takeTurns = async client => {
    for (let turn = 0; turn < o.turns; turn += 1) {
      const held = await acquire(client, o.name);
      await client.put(o.counter).value(Number(await client.get(o.counter)) + 1);
      await held.release();
    }
  };
  await Promise.all(clients.map(takeTurns));
  const counted = Number(await clients[0].get(o.counter));
  close(clients);
  return { counter: counted };
}

module.exports = { lock, contend, expire, counter };
