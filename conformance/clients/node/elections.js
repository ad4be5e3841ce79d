'use strict';

const { Etcd3 } = require('etcd3');
const { failure, until } = require('./protocol');

/** Resolves once the observer has seen this leader. */
function leads(observer, value) {
  return new Promise((resolve, reject) => {
    const look = () => observer.leader() === value && resolve(value);
    observer.on('change', look);
    observer.on('error', reject);
    look();
  });
}

const candidates = (client, name) => client.getAll().prefix(`election/${name}/`).count();

/** Two candidates and an observer: a win, a new value, and the hand-over. */
async function elect(o) {
  const etcds = Array.from({ length: 3 }, () => new Etcd3({ hosts: o.endpoint }));
  const [first, second, third] = etcds.map(etcd => etcd.election(o.name, 30));
  const leaderless = (await first.leader()) ?? 'nobody';
  const one = await first.campaign('one').wait();
  const observer = await third.observe();
  const observed = [await leads(observer, 'one')];

  const two = second.campaign('two');
  let waited = true;
  const elected = two.wait().then(() => (waited = false));
  await until(async () => (await candidates(etcds[0], o.name)) === 2);
  await one.proclaim('one again');
  observed.push(await leads(observer, 'one again'));
  const saw = { leaderless, observed, leader: await third.leader(), waited };

  await one.resign();
  await elected;
  observed.push(await leads(observer, 'two'));
  saw.late_proclaim = await failure(one.proclaim('late'));
  await observer.cancel();
  await two.resign();
  saw.keys_left = await candidates(etcds[0], o.name);
  etcds.forEach(etcd => etcd.close());
  return saw;
}

module.exports = { elect };
