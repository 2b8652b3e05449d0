/** Sampling: many sequences of small models, ours and PyTorch's, and eight of Qwen2.5-0.5B's shape. Sampling is included. */
import { streamKey } from '../../src/base/random.ts';
import type { ModelConfig } from '../../src/checkpoint/config.ts';
import { Decoder } from '../../src/engines/onnx/decoding/decoder.ts';
import { openPolicy } from '../../src/engines/onnx/engine.ts';
import { layoutOf } from '../../src/engines/onnx/model/parameters.ts';
import { randomWeights } from '../../src/engines/onnx/model/random-weights.ts';
import { named } from '../../src/engines/onnx/training/snapshot.ts';
import { median, type Row, seconds } from './measure.ts';
import { halfBillion, randomSequences, small } from './shapes.ts';
import { type PeerTimes, peerNote, runPeer } from './torch.ts';

const REPEATS = 3;
/** Tokens of each prompt, all different, and new tokens of each sequence. */
const [PROMPT, TOKENS] = [64, 192];

/** The shape of the embedded world's base policy. */
const world: ModelConfig = { ...small, vocabulary: 236, hidden: 128, headSize: 32, intermediate: 344 };
const cases = [
  { name: 'sample 64 x 192', config: small, sequences: 64 },
  { name: 'sample 80 x 192, world model', config: world, sequences: 80 },
] as const;

export async function measureDecoding(threads: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { name, config, sequences } of cases) {
    const tokensPerSecond = (times: readonly number[]) => (sequences * TOKENS) / median(times);
    const times = await sampleAll(config, sequences, threads);
    rows.push({ what: name, who: 'search-e1', tokensPerSecond: tokensPerSecond(times), seconds: times });
    const spec = { config, threads, repeats: REPEATS, cases: [{ name, sequences, prompt: PROMPT, tokens: TOKENS }] };
    const peer = runPeer<PeerTimes>('torch_decoding.py', spec);
    for (const { name, seconds: times } of peer?.cases.slice(0, 1) ?? [])
      rows.push({
        what: name,
        who: `PyTorch ${peer!.version}`,
        tokensPerSecond: tokensPerSecond(times),
        seconds: times,
        note: peerNote(peer!),
      });
  }
  return rows;
}

/** Seconds of whole calls through the engine: prompts, threads and messages included. */
async function sampleAll(config: ModelConfig, sequences: number, threads: number): Promise<number[]> {
  const weights = named(layoutOf(config), randomWeights(config));
  const policy = await openPolicy({ config, weights, pieces: [], threads });
  const prompts = randomSequences(config, new Array(sequences).fill(PROMPT), streamKey('bench', 'prompts'));
  let call = 0;
  const times = await seconds(REPEATS, () => {
    call += 1;
    return Promise.all(
      prompts.map((prompt, i) =>
        policy.sample({ prompt, maxTokens: TOKENS, temperature: 1, stop: [], stopTokens: [], key: [call, i] }),
      ),
    );
  });
  await policy.close();
  return times;
}

/** Steps of eight sequences, a median step a figure; loading is noted. Takes 8 GB. */
export async function measureLargeDecoding(threads: number): Promise<Row[]> {
  const [sequences, steps] = [8, 15];
  const weights = randomWeights(halfBillion);
  const prompts = randomSequences(halfBillion, new Array(sequences).fill(32), streamKey('bench', 'prompts'));
  const rows: Row[] = [];
  for (const bits of [4, 8, 32] as const) {
    const decoder = new Decoder(halfBillion, { threads, bits });
    const start = performance.now();
    await decoder.load(weights);
    const loading = (performance.now() - start) / 1000;
    const cached = prompts.map(() => ({ pages: [], length: 0 }));
    await decoder.read(prompts.map((ids, n) => ({ row: cached[n]!, ids })));
    let ids = prompts.map(() => 0);
    const times = await seconds(steps, async () => {
      const rules = ids.map((_, n) => ({ temperature: 1, uniform: n / sequences }));
      const draws = await decoder.read(ids.map((id, n) => ({ row: cached[n]!, ids: [id], rule: rules[n]! })));
      ids = draws.map((draw) => draw!.id);
    });
    await decoder.close();
    rows.push({
      what: `sample 8 sequences, Qwen2.5-0.5B shape, ${bits} bits`,
      who: 'search-e1',
      tokensPerSecond: sequences / median(times),
      seconds: times,
      note: `loaded in ${loading.toFixed(1)} s`,
    });
  }
  return rows;
}
