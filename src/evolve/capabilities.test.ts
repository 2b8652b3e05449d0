import { expect, it } from 'vitest';
import type { Capabilities } from '../policy/policy.ts';
import { refuseUnable, shortcomings } from './capabilities.ts';
import { presets } from './presets.ts';
import type { Settings } from './settings.ts';

const everything: Capabilities = {
  deterministic: true,
  sampler: 'exact',
  dryRun: true,
  divergences: ['forward-kl'],
  pointwiseClip: true,
  softTargets: 'signed',
  topLogprobs: 20,
  frozen: 'any',
  adapter: 'attachable',
  optimizer: { fresh: true, clip: true, betasPerStep: true, gradientNorm: true },
  checkpoints: 'files',
};
const { smoke } = presets;
const info = { engine: 'abacus', vocabulary: 236, contextLength: 512 };
const check = (can: Partial<Capabilities>, settings: Settings = smoke) =>
  refuseUnable('abacus', { capabilities: { ...everything, ...can }, info }, settings);

it('lets an engine that can do everything do it', () => {
  expect(() => check({})).not.toThrow();
});

it.each([
  [{ checkpoints: 'one handle' }, /^engine\.loraRank: the engine "abacus" keeps only the first state/],
  [{ frozen: 'none' }, /^grpo\.klCoefficient: the engine "abacus" cannot keep/],
  [{ adapter: 'never' }, /^distill\.adapter: the engine "abacus" cannot attach/],
  [{ frozen: 'initial' }, /^grpo\.klCoefficient: the engine "abacus" can keep the weights that it was opened with/, 2],
  [{ divergences: [] }, /^distill\.clip=1 needs the student's probabilities/],
  [{ pointwiseClip: false }, /^distill\.clip=1 cuts single entries/],
] as const)('refuses what it cannot do: %j', (can, message, cycles?: number) => {
  expect(() => check(can, { ...smoke, cycles: cycles ?? 1 })).toThrow(message);
});

it.each([
  [{ softTargets: 'single' }, /^grpo\.routed: the engine "abacus" cannot be taught/],
  [{ topLogprobs: 0 }, /^grpo\.routed: the engine "abacus" cannot be taught/],
  [{ frozen: 'none' }, /^grpo\.routed: the engine "abacus" cannot keep .* as a teacher/],
  [{ frozen: 'initial' }, /^grpo\.routed: the engine "abacus" cannot keep .* as a teacher/],
] as const)('refuses to distil wrong rollouts where it cannot: %j', (can, message) => {
  const grpo = { ...smoke.grpo, klCoefficient: 0, routed: { weight: 1, topK: 20 } };
  const settings: Settings = { ...smoke, method: 'grpo', cycles: 2, grpo };
  expect(() => check({}, settings)).not.toThrow();
  expect(() => check(can, settings)).toThrow(message);
});

it('asks for no teacher that is kept where the tables of all pairs come before the first step', () => {
  const distill = { ...smoke.distill, clip: null, adapter: null };
  const settings = { ...smoke, cycles: 1, distill, grpo: { ...smoke.grpo, klCoefficient: 0 } };
  expect(() => check({ frozen: 'none', adapter: 'never', divergences: [] }, settings)).not.toThrow();
});

it('says in what an engine departs from the settings without a reason to refuse them', () => {
  const server: Capabilities = {
    ...everything,
    adapter: 'always',
    sampler: 'approximate',
    optimizer: { fresh: false, clip: false, betasPerStep: false, gradientNorm: false },
  };
  expect(shortcomings('abacus', everything, smoke)).toEqual([]);
  expect(shortcomings('abacus', server, smoke)).toHaveLength(5);
});

it('refuses nothing that the settings do not ask for', () => {
  const grpo = { ...smoke, method: 'grpo' as const, grpo: { ...smoke.grpo, klCoefficient: 0 } };
  expect(() => check({ frozen: 'none', adapter: 'never', divergences: [], pointwiseClip: false }, grpo)).not.toThrow();
  const distill = { ...smoke.distill, objective: 'cross-entropy' as const, adapter: null };
  expect(() => check({ adapter: 'never', divergences: [], pointwiseClip: false }, { ...smoke, distill })).not.toThrow();
  expect(() => check({ frozen: 'none', checkpoints: 'one handle' }, { ...smoke, cycles: 0 })).not.toThrow();
});
