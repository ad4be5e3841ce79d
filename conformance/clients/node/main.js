// Lock, Election, leases and watches of the npm package etcd3; ../README.md
// describes what it is asked and what it prints.
'use strict';

const { play } = require('./protocol');
const { lock, contend, expire, counter } = require('./locks');
const { elect } = require('./elections');
const { watch } = require('./watches');

play({ lock, contend, expire, elect, watch, counter }).then(succeeded =>
  // Once all is written; connections may still be open.
  process.stdout.write('', () => process.exit(succeeded ? 0 : 1)),
);
