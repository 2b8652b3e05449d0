/**
 * What this client says to a server in a short run: everything that is ever asked for, once. Recorded against a real server
 * (live/record.ts) and repeated against the record (replay.ts).
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { LossResult, Sample, StepResult, TopLogprobs } from '../../../policy/policy.ts';
import { openTinkerPolicy } from '../open-policy.ts';
import { type Patience, usualPatience } from '../patience.ts';
import type { ProfileName } from '../profiles.ts';

export interface Heard {
  readonly before: Float32Array[];
  readonly top: TopLogprobs[];
  readonly samples: Sample[];
  readonly losses: readonly LossResult[];
  readonly update: StepResult;
  readonly after: Float32Array[];
  readonly frozen: Float32Array[];
  readonly restored: Float32Array[];
}

export const PROMPT = [10, 20, 30, 257];
export const SEQUENCES = [
  [10, 20, 30, 40, 50, 60],
  [7, 8, 9, 10],
];
export const ADVANTAGE = 0.75;

/** @param vocabulary at least 258 */
export async function converse(
  { url, key, profile, baseModel }: { url: string; key: string; profile: ProfileName; baseModel: string },
  patience: Patience = usualPatience,
): Promise<Heard> {
  const policy = await openTinkerPolicy({
    ...{ url, key, profile, baseModel, patience, loraRank: 4, seed: 1, contextLength: 64, concurrency: 4 },
    pieces: Array.from({ length: 288 }, (_, id) => (id < 256 ? String.fromCharCode(id) : '')),
  });
  const folder = await mkdtemp(path.join(tmpdir(), 'conversation-'));
  try {
    const before = await policy.logprobs(SEQUENCES, 'present');
    const top = await policy.topLogprobs([{ ids: SEQUENCES[0]!, start: 3 }], 3, 'present');
    const sampling = { prompt: PROMPT, maxTokens: 4, temperature: 0.8, topP: 0.95, stop: ['\n'], stopTokens: [] };
    const samples = await Promise.all([
      policy.sample({ ...sampling, key: [1, 1] }),
      policy.sample({ ...sampling, key: [1, 2] }),
      policy.sample({ ...sampling, prompt: [5], temperature: 0, key: [1, 3] }),
    ]);
    await policy.freeze();
    const { losses, update } = await policy.train(
      [
        {
          loss: 'policy-gradient',
          sequences: SEQUENCES.map((ids, i) => ({
            ids,
            mask: Uint8Array.from(ids, (_, t) => (t >= 2 ? 1 : 0)),
            advantages: new Float32Array(ids.length).fill(ADVANTAGE),
            oldLogprobs: before[i]!,
          })),
          ...{ clipLow: 0.2, clipHigh: 0.2, klCoefficient: 0, denominator: 6 },
        },
        {
          loss: 'soft-cross-entropy',
          sequences: [
            {
              ...{ ids: SEQUENCES[1]!, start: 2, k: 2, mask: Uint8Array.of(1, 1) },
              tokens: Int32Array.of(9, 11, 10, 12),
              weights: Float32Array.of(0.5, 0.25, -0.125, 1),
            },
          ],
          denominator: 4,
        },
      ],
      { learningRate: 0.01, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, clipNorm: 1, minGradientNorm: 0 },
    );
    const after = await policy.logprobs(SEQUENCES, 'present');
    const frozen = await policy.logprobs(SEQUENCES, 'frozen');
    const saved = path.join(folder, 'saved');
    await policy.save(saved);
    await policy.restore(saved, { optimizer: 'fresh' });
    const restored = await policy.logprobs(SEQUENCES, 'present');
    await policy.discard(saved);
    return { before, top, samples, losses, update, after, frozen, restored };
  } finally {
    await policy.close();
    await rm(folder, { recursive: true, force: true });
  }
}
