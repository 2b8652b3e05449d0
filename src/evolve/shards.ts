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

/** Names the held-out questions of a training stage, in metrics and in the stream of their draws. */
export const heldOutName = (stage: string): string => `${stage}-held-out`;
/** The checkpoint of a training stage's best weights so far. */
export const bestName = (stage: string): string => `${stage}-best`;
