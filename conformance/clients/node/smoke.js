// Lock and Election of the npm package etcd3 against the server at the URL given;
// prints what it saw as one line of JSON. Run by tests/other_clients.rs.
'use strict';

const { Etcd3, EtcdLockFailedError } = require('etcd3');

const url = process.argv[2];
const client = () => new Etcd3({ hosts: url });

/** The error that a promise ends with, or null. */
const failure = promise => promise.then(() => null, error => error);

/** Runs `work` under the lock; it never waits, so it is asked until it is free. */
async function locked(etcd, name, work) {
  for (;;) {
    try {
      return await etcd.lock(name).do(work);
    } catch (error) {
      if (!(error instanceof EtcdLockFailedError)) throw error;
    }
  }
}

/** A held lock refuses another; five clients that count lose no count. */
async function lock() {
  const [one, other] = [client(), client()];
  const held = await one.lock('job').ttl(10).acquire();
  const refusal = await failure(other.lock('job').acquire());
  await held.release();
  const after = await failure(other.lock('job').do(() => undefined));

  let [counter, inside, overlaps] = [0, 0, 0];
  const count = async () => {
    if (++inside > 1) overlaps += 1;
    const seen = counter;
    await one.get('-');
    counter = seen + 1;
    inside -= 1;
  };
  const all = Array.from({ length: 5 }, client);
  await Promise.all(all.map(etcd => locked(etcd, 'count', count)));
  const left = await one.getAll().prefix('').count();
  [one, other, ...all].forEach(etcd => etcd.close());
  return {
    refused_with: refusal && refusal.constructor.name,
    free_after_release: after === null,
    counter,
    overlaps,
    keys_left: left,
  };
}

/** Resolves once the observer has seen this leader. */
function leads(observer, value) {
  return new Promise((resolve, reject) => {
    const look = () => observer.leader() === value && resolve(value);
    observer.on('change', look);
    observer.on('error', reject);
    look();
  });
}

/** Two candidates and an observer: a win, a new value, and the hand-over. */
async function election() {
  const etcds = [client(), client(), client()];
  const [first, second, third] = etcds.map(etcd => etcd.election('post', 10));
  const one = await first.campaign('one').wait();
  const observer = await third.observe();
  const seen = [await leads(observer, 'one')];
  const two = second.campaign('two');
  let early = false;
  const elected = two.wait();
  elected.then(() => (early = true));
  await two.getCampaignKey();
  await one.proclaim('one again');
  seen.push(await leads(observer, 'one again'));
  const waited = !early;
  await one.resign();
  await elected;
  seen.push(await leads(observer, 'two'));
  await observer.cancel();
  await two.resign();
  const left = await etcds[0].getAll().prefix('election/').count();
  etcds.forEach(etcd => etcd.close());
  return { seen, second_waited: waited, leader_left: left };
}

async function main() {
  const seen = { lock: await lock(), election: await election() };
  process.stdout.write(JSON.stringify(seen) + '\n', () => process.exit(0));
}

main().catch(error => {
  console.error(error);
  process.exit(1);
});
