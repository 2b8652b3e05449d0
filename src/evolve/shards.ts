/** Names of the files that stages write to trajectories/ and pairs/, and of what they measure beside their steps. */
import type { EvaluationMode } from './results.ts';

const numbered = (n: number) => String(n).padStart(4, '0');

/** The rollouts of a training step, from 1. */
export const stepShard = (stage: string, step: number): string => `${stage}-step-${numbered(step)}`;
/** A part of a pool, from 0. */
export const poolShard = (stage: string, part: number): string => `${stage}-${numbered(part)}`;
/** The pairs of a distillation step, from 1. */
export const pairShard = (stage: string, step: number): string => `${stage}-${numbered(step)}`;
/** The gate's held-out questions: the rollouts among which it looks for experts, and those under each of its prompts. */
export const gateShard = (stage: string, part: 'experts' | 'plain' | 'privileged'): string => `${stage}-${part}`;
/** The held-out questions of a training stage after so many of its steps. */
export const heldOutShard = (stage: string, step: number): string => stepShard(heldOutName(stage), step);
/** All suites after the stage of that name. */
export const evaluationShard = (measured: string, { decoding, searches }: EvaluationMode): string =>
  `${measured}-${decoding}-${searches}`;

const HELD_OUT = '-held-out';
/** Names the held-out questions of a training stage, in metrics and in the stream of their draws. */
export const heldOutName = (stage: string): string => stage + HELD_OUT;
/** The checkpoint of a training stage's best weights so far. */
export const bestName = (stage: string): string => `${stage}-best`;

/** Where the trajectories of a shard come from, as its name tells it. */
export type ShardPlace =
  /** A training step, or the held-out questions after one (0: before the first); `stage` is the training stage. */
  | { readonly part: 'step' | 'held-out'; readonly stage: string; readonly step: number }
  | { readonly part: 'pool'; readonly stage: string; readonly step: number }
  | { readonly part: 'experts' | 'plain' | 'privileged'; readonly stage: string }
  | { readonly part: 'evaluation'; readonly stage: string; readonly mode: EvaluationMode };

/** The inverse of the names above; undefined for any other. */
export function placeOfShard(shard: string): ShardPlace | undefined {
  const evaluation = /^(.+)-(sampled|greedy)-(\d+)$/.exec(shard);
  if (evaluation) {
    const [, stage, decoding, searches] = evaluation;
    const mode = { decoding: decoding as EvaluationMode['decoding'], searches: Number(searches) };
    return { part: 'evaluation', stage: stage!, mode };
  }
  const step = /^(.+)-step-(\d{4,})$/.exec(shard);
  if (step) {
    const [, name, number] = step;
    const isHeldOut = name!.endsWith(HELD_OUT);
    const stage = isHeldOut ? name!.slice(0, -HELD_OUT.length) : name!;
    return { part: isHeldOut ? 'held-out' : 'step', stage, step: Number(number) };
  }
  const gate = /^(.+)-(experts|plain|privileged)$/.exec(shard);
  if (gate) return { part: gate[2] as 'experts' | 'plain' | 'privileged', stage: gate[1]! };
  const pool = /^(.+)-(\d{4,})$/.exec(shard);
  return pool ? { part: 'pool', stage: pool[1]!, step: Number(pool[2]) } : undefined;
}
