/** The GPU beside the processor, by what `doctor` measures (probe.ts): the small model, random weights and tokens. */
import { adapterName, openMadeUpPolicy, type Pace, probe } from '../../src/engines/open-engine.ts';
import type { AdapterAnswer } from '../../src/onnx/adapter.ts';
import type { Device } from '../../src/onnx/device.ts';
import { median, type Row } from './measure.ts';
import { small } from './shapes.ts';

const REPEATS = 3;
const WORK = [
  ['sampled', 'sampledPerSecond'],
  ['scored', 'scoredPerSecond'],
  ['trained on', 'trainedPerSecond'],
] as const satisfies readonly (readonly [string, keyof Pace])[];

export async function measureDevices(threads: number, adapter: AdapterAnswer): Promise<Row[]> {
  const rows = [...(await measure('webgpu', threads)), ...(await measure('cpu', threads))];
  const note = adapter.software ? 'software: it computes on the processor' : undefined;
  return rows.map(({ device, ...row }) =>
    device === 'cpu'
      ? { ...row, who: 'the processor' }
      : { ...row, who: adapterName(adapter), ...(note !== undefined && { note }) },
  );
}

async function measure(device: Device, threads: number): Promise<(Omit<Row, 'who'> & { device: Device })[]> {
  const policy = await openMadeUpPolicy(small, { pieces: new Array(small.vocabulary).fill(''), threads, device });
  const paces: Pace[] = [];
  for (let i = 0; i < REPEATS; i++) paces.push(await probe(policy, { concurrency: 64, contextTokens: 256 }));
  await policy.close();
  return WORK.map(([what, key]) => ({
    device,
    what: `1,000 tokens ${what}`,
    tokensPerSecond: median(paces.map((pace) => pace[key])),
    seconds: paces.map((pace) => 1000 / pace[key]),
  }));
}
