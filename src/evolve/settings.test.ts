/** Combinations of settings that mean nothing are refused in a sentence; those of before are read as they were meant. */
import { describe, expect, it } from 'vitest';
import { presets } from './presets.ts';
import { type Settings, settingsSchema } from './settings.ts';

const { smoke } = presets;
const credit = {
  sees: 'right-sibling',
  against: 'plain',
  apply: { by: 'add', add: 0.1 },
  over: 'token',
  fallsOver: 0,
} as const;

/** The path and message of what is refused; undefined where nothing is. */
function refusal(change: {
  grpo?: Partial<Settings['grpo']>;
  distill?: Partial<Settings['distill']>;
}): string | undefined {
  const { grpo, distill } = change;
  const parsed = settingsSchema.safeParse({
    ...smoke,
    grpo: { ...smoke.grpo, ...grpo },
    distill: { ...smoke.distill, ...distill },
  });
  return parsed.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n');
}

describe('settings that go together', () => {
  it('are those of every preset', () => {
    for (const preset of Object.values(presets)) expect(settingsSchema.parse(preset)).toEqual(preset);
  });

  it('are not credit that compares a thing with itself', () => {
    expect(refusal({ grpo: { credit } })).toBeUndefined();
    expect(refusal({ grpo: { credit: { ...credit, sees: 'wrong-sibling', against: 'wrong-sibling' } } })).toMatch(
      /^grpo\.credit\.sees: .*Δ would be 0/,
    );
  });

  it('are not preserving where nothing has moved', () => {
    expect(refusal({ grpo: { updates: 2, preserve: { weight: 0.2 } } })).toBeUndefined();
    expect(refusal({ grpo: { updates: 1, preserve: { weight: 0.2 } } })).toMatch(/^grpo\.preserve: .*grpo\.updates=2/);
  });

  it('are not trees that a group cannot be shared by, and leaves of no trees', () => {
    const tree = { trees: 2, expansions: 2, rounds: 1 };
    expect(refusal({ grpo: { tree, groupSize: 6, advantage: { form: 'tree' } } })).toBeUndefined();
    expect(refusal({ grpo: { tree, groupSize: 6 } })).toBeUndefined();
    expect(refusal({ grpo: { tree, groupSize: 5 } })).toMatch(/^grpo\.groupSize: .* a multiple of 2, found 5$/);
    expect(refusal({ grpo: { tree, groupSize: 8 } })).toMatch(
      /^grpo\.groupSize: asks for 4 leaves of each tree, which has 3 .*: set 6 or less$/,
    );
    expect(refusal({ grpo: { advantage: { form: 'tree' } } })).toMatch(/^grpo\.advantage: .*set grpo\.tree$/);
  });

  it('are not hints beside what asks for log-probabilities under one prompt', () => {
    const hint = { sees: 'gold-answer', share: 0.4 } as const;
    expect(refusal({ grpo: { hint } })).toBeUndefined();
    for (const [other, name] of [
      [{ credit }, 'credit'],
      [{ routed: { weight: 1, topK: 20 } }, 'routed'],
      [{ tree: { trees: 2, expansions: 2, rounds: 1 }, groupSize: 6 }, 'tree'],
      [{ updates: 2, preserve: { weight: 0.2 } }, 'preserve'],
      [{ advantage: { form: 'state', weight: 1, discount: 1 } as const }, 'advantage (form state)'],
    ] as const)
      expect(refusal({ grpo: { hint, ...other } })).toMatch(
        `grpo.hint: goes with plain advantages of chains alone: expected no grpo.${name}`,
      );
  });

  it('are not wrong rollouts that two things want', () => {
    const routed = { weight: 1, topK: 20 };
    expect(refusal({ grpo: { routed } })).toBeUndefined();
    expect(refusal({ grpo: { routed, credit } })).toMatch(/^grpo\.routed: .*grpo\.credit/);
    expect(refusal({ grpo: { routed, updates: 2 } })).toMatch(/^grpo\.routed: .*grpo\.updates/);
  });

  it('are not mixtures and weights of a divergence that is not there', () => {
    for (const part of [{ mix: 0.5 }, { questionWeight: 'spread' }, { tokens: 'from-first-wrong-turn' }] as const) {
      expect(refusal({ distill: part })).toBeUndefined();
      const [name] = Object.keys(part);
      expect(refusal({ distill: { ...part, objective: 'cross-entropy' } })).toContain(`distill.${name}: `);
    }
    expect(refusal({ distill: { mix: 0.5, tokens: 'from-first-wrong-turn' } })).toContain('distill.tokens: ');
    expect(refusal({ distill: { clip: null, clipForm: 'position' } })).toContain('distill.clipForm: ');
  });

  it('of runs before systems existed are GRPO as it was', () => {
    const {
      scale: _,
      credit: __,
      updates: ___,
      preserve: ____,
      noise: _____,
      tree: ___________,
      hint: ____________,
      routed: _____________,
      tokens: __________,
      ...grpo
    } = smoke.grpo;
    const { students: ______, mix: _______, questionWeight: ________, clipForm: _________, ...distill } = smoke.distill;
    const { retry: ______________, ...pool } = smoke.pool;
    expect(settingsSchema.parse({ ...smoke, grpo, distill, pool })).toEqual(smoke);
  });
});
