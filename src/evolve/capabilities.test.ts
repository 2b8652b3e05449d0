import { expect, it } from 'vitest';
import type { Capabilities } from '../policy/policy.ts';
import { refuseUnable } from './capabilities.ts';
import { presets, type Settings } from './settings.ts';

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
const check = (can: Partial<Capabilities>, settings: Settings = smoke) =>
  refuseUnable('abacus', { ...everything, ...can }, settings);

it('lets an engine that can do everything do it', () => {
  expect(() => check({})).not.toThrow();
});

it.each([
  [{ frozen: 'none' }, /^grpo\.klCoefficient: the engine "abacus" cannot keep/],
  [{ adapter: 'never' }, /^distill\.adapter: the engine "abacus" cannot attach/],
  [{ divergences: [] }, /^distill\.objective: the engine "abacus" does not compute forward-kl/],
  [{ pointwiseClip: false }, /^distill\.clip: /],
] as const)('refuses what it cannot do: %j', (can, message) => {
  expect(() => check(can)).toThrow(message);
});

it('refuses nothing that the settings do not ask for', () => {
  const grpo = { ...smoke, method: 'grpo' as const, grpo: { ...smoke.grpo, klCoefficient: 0 } };
  expect(() => check({ frozen: 'none', adapter: 'never', divergences: [], pointwiseClip: false }, grpo)).not.toThrow();
  const distill = { ...smoke.distill, objective: 'cross-entropy' as const, adapter: null };
  expect(() => check({ adapter: 'never', divergences: [], pointwiseClip: false }, { ...smoke, distill })).not.toThrow();
  expect(() => check({ frozen: 'none' }, { ...smoke, cycles: 0 })).not.toThrow();
});
