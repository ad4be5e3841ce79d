// The flags and the lines of output that ../README.md describes.
'use strict';

const { parseArgs } = require('node:util');

const text = { type: 'string' };
const flags = {
  endpoint: { ...text, default: 'http://127.0.0.1:2379' },
  name: { ...text, default: 'node' },
  counter: text,
  clients: { ...text, default: '4' },
  turns: { ...text, default: '5' },
  ttl: { ...text, default: '3' },
};

const say = line => process.stdout.write(JSON.stringify(line) + '\n');

/** Plays those that are asked for, each under a name of its own; resolves to
 * whether all succeeded. */
async function play(scenarios) {
  const { values, positionals } = parseArgs({ options: flags, allowPositionals: true });
  const numbers = { clients: +values.clients, turns: +values.turns, ttl: +values.ttl };
  let succeeded = positionals.length > 0;
  for (const scenario of positionals) {
    const name = `${values.name}-${scenario}`;
    const counter = values.counter ?? `${name}.count`;
    try {
      if (!scenarios[scenario]) throw new Error('unknown scenario');
      const saw = await scenarios[scenario]({ ...values, ...numbers, name, counter });
      say({ scenario, saw });
    } catch (error) {
      console.error(error);
      say({ scenario, error: `${error}` });
      succeeded = false;
    }
  }
  return succeeded;
}

/** The name of the error that a promise ends with, or null. */
const failure = promise => promise.then(() => null, error => error.constructor.name);

/** Resolves once `look` does to true. */
async function until(look) {
  while (!(await look())) await new Promise(resolve => setTimeout(resolve, 5));
}

module.exports = { play, say, failure, until };
