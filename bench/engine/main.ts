/**
 * `npm run bench:engine [-- --only training] [--threads 2] [--json]`: the engine's speed, and that of its peers where
 * they are installed, on this machine. A part is one file here that gives rows.
 *
 * `--device webgpu` measures this machine's GPU beside its processor instead, which makes a row of docs/engine.md.
 */
import os from 'node:os';
import { parseArgs } from 'node:util';
import { adviceOf } from '../../src/base/errors.ts';
import { type AdapterAnswer, askAdapter } from '../../src/onnx/adapter.ts';
import { DEVICES } from '../../src/onnx/device.ts';
import { measureDecoding, measureLargeDecoding } from './decoding.ts';
import { measureDevices } from './device.ts';
import { measureGrpo } from './grpo.ts';
import { measureLargeTraining } from './large-training.ts';
import { type Row, table } from './measure.ts';
import { measureSmolGrpo, measureSmolSampling, measureSmolTraining } from './smollm2.ts';
import { measureTraining } from './training.ts';

const parts: Readonly<Record<string, (threads: number) => Promise<Row[]>>> = {
  training: measureTraining,
  decoding: measureDecoding,
  'large-decoding': measureLargeDecoding,
  grpo: measureGrpo,
  'large-training': measureLargeTraining,
  'smollm2-training': measureSmolTraining,
  'smollm2-sampling': measureSmolSampling,
  'smollm2-grpo': measureSmolGrpo,
};

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    threads: { type: 'string', default: String(os.availableParallelism()) },
    device: { type: 'string', default: 'cpu' },
    json: { type: 'boolean', default: false },
  },
});
const device = DEVICES.find((known) => known === values.device);
if (device === undefined) refuse(`--device ${values.device}: there are ${DEVICES.join(' and ')}`);
if (device === 'webgpu' && values.only) refuse('--only chooses among what is measured on the processor: leave it out');
const rows: Row[] = [];
let gpu: AdapterAnswer | undefined;
if (device === 'webgpu') {
  gpu = await askAdapter([2 ** 27]).catch((error: unknown) => refuse(adviceOf(error)));
  process.stderr.write(`measuring ${gpu.name} and the processor …\n`);
  rows.push(...(await measureDevices(Number(values.threads), gpu)));
} else
  for (const [name, measure] of Object.entries(parts)) {
    if (values.only && !values.only.includes(name)) continue;
    process.stderr.write(`measuring ${name} …\n`);
    rows.push(...(await measure(Number(values.threads))));
  }
const machine = { cpu: os.cpus()[0]?.model, cores: os.availableParallelism(), node: process.version, gpu };
process.stdout.write(
  values.json ? `${JSON.stringify({ machine, threads: Number(values.threads), rows }, null, 2)}\n` : `${table(rows)}\n`,
);

function refuse(why: string): never {
  process.stderr.write(`${why}\n`);
  process.exit(2);
}
