/** Names of shards are read back as what they were made of. */
import { expect, it } from 'vitest';
import { evaluationShard, gateShard, heldOutShard, placeOfShard, poolShard, stepShard } from './shards.ts';

it('a shard’s name tells where its trajectories come from', () => {
  expect(placeOfShard(stepShard('grpo-1', 12))).toEqual({ part: 'step', stage: 'grpo-1', step: 12 });
  expect(placeOfShard(stepShard('grpo-1', 12_345))).toEqual({ part: 'step', stage: 'grpo-1', step: 12_345 });
  expect(placeOfShard(heldOutShard('grpo-2', 0))).toEqual({ part: 'held-out', stage: 'grpo-2', step: 0 });
  expect(placeOfShard(poolShard('pool-1', 3))).toEqual({ part: 'pool', stage: 'pool-1', step: 3 });
  for (const part of ['experts', 'plain', 'privileged'] as const)
    expect(placeOfShard(gateShard('gate-2', part))).toEqual({ part, stage: 'gate-2' });
  for (const stage of ['base', 'grpo-1', 'e1-2'])
    for (const decoding of ['greedy', 'sampled'] as const) {
      const mode = { decoding, searches: 4 };
      expect(placeOfShard(evaluationShard(stage, mode))).toEqual({ part: 'evaluation', stage, mode });
    }
  expect(placeOfShard('notes')).toBeUndefined();
});
