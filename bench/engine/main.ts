/**
 * `npm run bench:engine [-- --only training] [--threads 2] [--json]`: the engine's speed, and that of its peers where
 * they are installed, on this machine. A part is one file here that gives rows.
 */
import os from 'node:os';
import { parseArgs } from 'node:util';
import { measureDecoding, measureLargeDecoding } from './decoding.ts';
import { measureGrpo } from './grpo.ts';
import { measureLargeTraining } from './large-training.ts';
import { type Row, table } from './measure.ts';
import { measureTraining } from './training.ts';

const parts: Readonly<Record<string, (threads: number) => Promise<Row[]>>> = {
  training: measureTraining,
  decoding: measureDecoding,
  'large-decoding': measureLargeDecoding,
  grpo: measureGrpo,
  'large-training': measureLargeTraining,
};

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    threads: { type: 'string', default: String(os.availableParallelism()) },
    json: { type: 'boolean', default: false },
  },
});
const rows: Row[] = [];
for (const [name, measure] of Object.entries(parts)) {
  if (values.only && !values.only.includes(name)) continue;
  process.stderr.write(`measuring ${name} …\n`);
  rows.push(...(await measure(Number(values.threads))));
}
const machine = { cpu: os.cpus()[0]?.model, cores: os.availableParallelism(), node: process.version };
process.stdout.write(
  values.json ? `${JSON.stringify({ machine, threads: Number(values.threads), rows }, null, 2)}\n` : `${table(rows)}\n`,
);
