/**
 * SmolLM2-135M's shape with random weights, beside PyTorch and TRL: training, reading and decoding in 32 and 8 bits, and a GRPO step.
 * Every piece of work is done by one after the other; the GRPO step takes 12 GB.
 */
import { streamKey } from '../../src/base/random.ts';
import { smolLM2 as config } from '../../src/checkpoint/smollm2.testing.ts';
import { Decoder, type Reading, RUN_TOKENS } from '../../src/engines/onnx/decoding/decoder.ts';
import { layoutOf } from '../../src/engines/onnx/model/parameters.ts';
import { randomWeights } from '../../src/engines/onnx/model/random-weights.ts';
import { named } from '../../src/engines/onnx/training/snapshot.ts';
import { Trainer } from '../../src/engines/onnx/training/training.ts';
import { WorkerThreads } from '../../src/engines/onnx/worker-threads.ts';
import { sharedGuard } from '../../src/onnx/native-guard.ts';
import { type StepWork, stepName, stepTokens, withoutTools } from './grpo.ts';
import { median, type Row, timed } from './measure.ts';
import { randomSequences } from './shapes.ts';
import { type PeerCase, type PeerTimes, peerNote, runPeer } from './torch.ts';
import { adamW, allTokens } from './training.ts';

const REPEATS = 3;
const RANK = 16;
/** Sequences, tokens of a prompt, new tokens. */
const [SEQUENCES, PROMPT, FRESH] = [40, 300, 40];
const step: StepWork = { questions: 8, group: 5, prompt: 300, fresh: 45, repeats: 2 };

export async function measureSmolTraining(threads: number): Promise<Row[]> {
  const sequences = randomSequences(config, new Array(8).fill(384), streamKey('bench', 'smollm2'));
  const rowOf = (who: string, { name, ...times }: PeerCase, note?: string): Row => ({
    what: name,
    who,
    tokensPerSecond: (8 * 384) / median(times.seconds),
    ...times,
    ...(note !== undefined && { note }),
  });
  const cases = [
    { name: `SmolLM2-135M, 8 x 384, LoRA rank ${RANK}`, sequences, rank: RANK },
    { name: 'SmolLM2-135M, 8 x 384, all weights', sequences },
  ];
  const rows: Row[] = [];
  for (const work of cases) {
    rows.push(rowOf('search-e1', { name: work.name, ...(await trainOurs(work, threads)) }));
    const peer = runPeer<PeerTimes>('torch_training.py', { config, threads, repeats: REPEATS, cases: [work] });
    for (const times of peer?.cases ?? []) rows.push(rowOf(`PyTorch ${peer!.version}`, times, peerNote(peer!)));
  }
  return rows;
}

async function trainOurs({ sequences, rank }: { sequences: number[][]; rank?: number }, threads: number) {
  const workerThreads = new WorkerThreads({ config, pieces: [], maxActive: 1, decodeBits: 32, guard: sharedGuard() });
  const trainer = new Trainer(config, randomWeights(config), { threads, workerThreads });
  if (rank !== undefined) trainer.attachAdapter({ rank, alpha: 2 * rank, key: streamKey('bench', 'adapter') });
  const batch = allTokens(sequences);
  const one = async () => {
    await trainer.accumulate(batch);
    await trainer.step(adamW);
  };
  await one();
  const times = await timed(REPEATS, one);
  await trainer.close();
  await workerThreads.close();
  return times;
}

/** Reading ends with the first drawn token of each sequence; decoding draws the others. */
export async function measureSmolSampling(threads: number): Promise<Row[]> {
  const names = { reading: `reading ${SEQUENCES} x ${PROMPT}`, decoding: `decoding ${SEQUENCES} x ${FRESH}` };
  const rowsOf = (who: string, reading: Times, decoding: Times, note?: string): Row[] =>
    [
      { name: names.reading, times: reading, tokens: SEQUENCES * PROMPT },
      { name: names.decoding, times: decoding, tokens: SEQUENCES * FRESH },
    ].map(({ name, times, tokens }) => ({
      what: `SmolLM2-135M, ${name}`,
      who,
      tokensPerSecond: tokens / median(times.seconds),
      ...times,
      ...(note !== undefined && { note }),
    }));
  const rows: Row[] = [];
  for (const bits of [32, 8] as const) {
    const { reading, decoding, loading } = await sampleOurs(bits, threads);
    rows.push(...rowsOf(`search-e1, ${bits} bits`, reading, decoding, `loaded in ${loading.toFixed(1)} s`));
  }
  const work = { name: 'sampling', sequences: SEQUENCES, prompt: PROMPT, tokens: FRESH + 1 };
  const peer = runPeer<PeerTimes>('torch_decoding.py', { config, threads, repeats: REPEATS, cases: [work] });
  if (peer) {
    const [whole, reading] = peer.cases as [PeerCase, PeerCase];
    const rest = (all: number[], part: number[]) => all.map((seconds, i) => seconds - part[i]!);
    const decoding = {
      seconds: rest(whole.seconds, reading.seconds),
      processor: rest(whole.processor, reading.processor),
    };
    const { seconds, processor } = reading;
    rows.push(...rowsOf(`PyTorch ${peer.version}`, { seconds, processor }, decoding, peerNote(peer)));
  }
  return rows;
}

type Times = Pick<PeerCase, 'seconds' | 'processor'>;

async function sampleOurs(bits: 32 | 8, threads: number) {
  const prompts = randomSequences(config, new Array(SEQUENCES).fill(PROMPT), streamKey('bench', 'prompts'));
  const decoder = new Decoder(config, { threads, bits });
  const start = performance.now();
  await decoder.load(randomWeights(config));
  const loading = (performance.now() - start) / 1000;
  const reading: Times = { seconds: [], processor: [] };
  const decoding: Times = { seconds: [], processor: [] };
  for (let round = 0; round <= REPEATS; round++) {
    const rows = prompts.map(() => ({ pages: [], length: 0 }));
    let ids: number[] = [];
    const draw = async (readings: Reading[]) => (await decoder.read(readings)).map((drawn) => drawn!.id);
    const rule = (n: number) => ({ temperature: 1, uniform: (n + 0.5) / SEQUENCES });
    const read = await timed(1, async () => {
      const perRun = Math.floor(RUN_TOKENS / PROMPT);
      for (let from = 0; from < SEQUENCES; from += perRun)
        ids.push(
          ...(await draw(
            prompts.slice(from, from + perRun).map((prompt, i) => ({
              row: rows[from + i]!,
              ids: prompt,
              rule: rule(from + i),
            })),
          )),
        );
    });
    const decoded = await timed(1, async () => {
      for (let token = 0; token < FRESH; token++)
        ids = await draw(ids.map((id, n) => ({ row: rows[n]!, ids: [id], rule: rule(n) })));
    });
    for (const row of rows) decoder.cache.release(row);
    if (round === 0) continue;
    for (const [times, [more]] of [
      [reading, [read]],
      [decoding, [decoded]],
    ] as const) {
      times.seconds.push(...more.seconds);
      times.processor.push(...more.processor);
    }
  }
  await decoder.close();
  return { reading, decoding, loading };
}

export async function measureSmolGrpo(threads: number): Promise<Row[]> {
  const weights = named(layoutOf(config), randomWeights(config));
  const rows: Row[] = [];
  for (const decodeBits of [32, 8] as const)
    rows.push(await withoutTools({ config, weights }, step, { threads, decodeBits }));
  const peer = runPeer<{ readonly version: string } & Times>('trl_grpo.py', { config, threads, ...step });
  if (peer)
    rows.push({
      what: stepName(step),
      who: `TRL ${peer.version}`,
      tokensPerSecond: stepTokens(step) / median(peer.seconds),
      seconds: peer.seconds,
      processor: peer.processor,
    });
  return rows;
}
