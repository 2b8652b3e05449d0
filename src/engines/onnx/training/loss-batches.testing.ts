/** For tests: a random batch of every loss. */
import type { Random } from '../../../base/random.ts';
import { DIVERGENCES, type LossBatch } from '../../../policy/policy.ts';

export interface BatchShape {
  readonly vocabulary: number;
  /** Of each sequence; a prompt comes before it in pairs. */
  readonly lengths: readonly number[];
  /** Tokens of a pair's teacher prompt; the student's has 3. */
  readonly teacherPrompt: number;
  readonly denominator: number;
}

export function lossBatches(
  random: Random,
  { vocabulary, lengths, teacherPrompt, denominator }: BatchShape,
): LossBatch[] {
  const ids = (length: number) => Array.from({ length }, () => random.below(vocabulary));
  const floats = (length: number) => Float32Array.from({ length }, () => random.normal());
  const mask = (length: number) => Uint8Array.from({ length }, () => random.below(2));
  // Near those of a uniform policy.
  const logprobs = (length: number) => floats(length).map((value) => value / 4 - Math.log(vocabulary));
  return [
    {
      loss: 'policy-gradient',
      sequences: lengths.map((length) => ({
        ids: ids(length),
        mask: mask(length),
        advantages: floats(length),
        oldLogprobs: logprobs(length),
        referenceLogprobs: logprobs(length),
      })),
      clipLow: 0.2,
      clipHigh: 0.2,
      klCoefficient: 0.1,
      denominator,
    },
    {
      loss: 'cross-entropy',
      sequences: lengths.map((length) => ({ ids: ids(length), weights: floats(length) })),
      denominator,
    },
    {
      loss: 'soft-cross-entropy',
      sequences: lengths.map((length, i) => {
        const [start, k] = [1 + (i % 3), 1 + (i % 4)];
        const rows = Math.max(0, length - start);
        return {
          ids: ids(Math.max(length, start)),
          start,
          mask: mask(rows),
          k,
          tokens: Int32Array.from(ids(rows * k)),
          weights: floats(rows * k),
        };
      }),
      denominator,
    },
    ...DIVERGENCES.map(
      (loss): LossBatch => ({
        loss,
        pairs: lengths.map((length) => ({
          teacherPrompt: ids(teacherPrompt),
          studentPrompt: ids(3),
          ids: ids(length),
          mask: mask(length),
        })),
        clip: 0.05,
        teacherTemperature: 0.7,
        denominator,
      }),
    ),
  ];
}
