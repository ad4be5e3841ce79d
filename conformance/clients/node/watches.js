'use strict';

const { Etcd3 } = require('etcd3');

/** The first `n` events of a watcher, as texts. */
function events(watcher, n, show) {
  const seen = [];
  return new Promise((resolve, reject) => {
    const add = text => seen.push(text) === n && resolve(seen);
    watcher.on('put', (kv, before) => add(show('PUT', kv, before)));
    watcher.on('delete', (kv, before) => add(show('DELETE', kv, before)));
    watcher.on('error', reject);
  });
}

function shown(kind, key, kv, before) {
  const words = [kind, key, kv.value.toString()];
  if (before) words.push('after', before.value.toString());
  return words.filter(word => word).join(' ');
}

/** A key's past and present, a prefix, and a past that is forgotten. */
async function watch(o) {
  const client = new Etcd3({ hosts: o.endpoint });
  const since = Number((await client.put(o.name).value('1')).header.revision);
  const watcher = client.watch().key(o.name).startRevision(`${since}`).withPreviousKV().watcher();
  const seen = events(watcher, 3, (kind, kv, before) => shown(kind, '', kv, before));
  await client.put(o.name).value('2');
  await client.delete().key(o.name);
  const saw = { events: await seen };
  await watcher.cancel();
  saw.prefix = await twoKeys(client, `${o.name}/`);
  await client.kv.compact({ revision: since + 1 });
  const late = client.watch().key(o.name).startRevision(`${since}`).watcher();
  saw.compacted = await new Promise(resolve => late.on('error', resolve)).then(e => e.message);
  client.close();
  return saw;
}

/** They are written in one transaction, and deleted in another. */
async function twoKeys(client, prefix) {
  const watcher = await client.watch().prefix(prefix).create();
  let first;
  const seen = events(watcher, 4, (kind, kv) => {
    first ??= Number(kv.mod_revision);
    const key = kv.key.toString().slice(prefix.length);
    return `+${kv.mod_revision - first} ${shown(kind, key, kv)}`;
  });
  await client
    .if(`${prefix}a`, 'Create', '==', 0)
    .then(client.put(`${prefix}a`).value('x'), client.put(`${prefix}b`).value('y'))
    .commit();
  await client.delete().prefix(prefix);
  await seen;
  await watcher.cancel();
  return seen;
}

module.exports = { watch };
