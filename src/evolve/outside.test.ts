/** What a run takes from outside is told by its settings, and refused where the questions do not have it. */
import { describe, expect, it } from 'vitest';
import { goldOfFile } from '../rollout/gold.ts';
import { question } from '../rollout/testing/environment.ts';
import { generateWorld } from '../world/generate.ts';
import { worldGold } from '../world/gold.ts';
import { trainingQuestions } from '../world/suites.ts';
import { externalsOf, refuseUnknown } from './outside.ts';
import { presets } from './presets.ts';
import type { Settings } from './settings.ts';

const { smoke } = presets;
const withGrpo = (change: Partial<Settings['grpo']>, more: Partial<Settings> = {}): Settings => ({
  ...smoke,
  ...more,
  grpo: { ...smoke.grpo, ...change },
});
const gain = withGrpo({
  advantage: { form: 'turn', of: 'gain', discount: 1, mix: { by: 'add', add: 1, norm: 'returns' } },
});
const keys = withGrpo({ reward: [[{ part: 'keys', worth: 1 }]] });
const externals = (settings: Settings) => [...externalsOf(settings).keys()];

describe('what a run takes from outside', () => {
  it('is nothing by default', () => {
    for (const settings of Object.values(presets)) expect(externals(settings)).toEqual([]);
  });

  it('follows from reward, advantage and credit', () => {
    expect(externals(gain)).toEqual(['gold passages']);
    expect(externals(keys)).toEqual(['keys']);
    const likelihood = { ...gain.grpo.advantage, of: 'answer-likelihood' } as Settings['grpo']['advantage'];
    expect(externals(withGrpo({ advantage: likelihood }))).toEqual(['gold answer']);
    const apply = { by: 'add', add: 1 } as const;
    const credit = { sees: 'gold-answer', against: 'plain', apply, over: 'token', fallsOver: 0 } as const;
    expect(externals(withGrpo({ credit }))).toEqual(['gold answer']);
    expect(externals(withGrpo({ credit: { ...credit, sees: 'right-sibling' } }))).toEqual([]);
    expect(externals(withGrpo({ hint: { sees: 'gold-answer', share: 0.4 } }))).toEqual(['gold answer']);
  });

  it('is nothing where no round of reinforcement learning is run, or that round is not reached', () => {
    expect(externals({ ...keys, method: 'sft' })).toEqual([]);
    expect(externals({ ...keys, cycles: 0 })).toEqual([]);
    const second = withGrpo({ reward: [smoke.grpo.reward[0]!, [{ part: 'keys', worth: 1 }]] });
    expect(externals({ ...second, cycles: 1 })).toEqual([]);
    expect(externals({ ...second, cycles: 2 })).toEqual(['keys']);
  });
});

describe('questions that lack it', () => {
  const world = generateWorld(3);
  const known = { ...question('q1'), goldIds: ['p1', 'p2', 'p1'] };

  it('are refused in a sentence that names setting, question and way out', () => {
    expect(() => refuseUnknown([known, question('q2')], {}, gain)).toThrow(
      'grpo.advantage.of=gain needs the gold passages of every training question; 1 of 2 have none, the first one is q2',
    );
    expect(() => refuseUnknown([known], {}, keys)).toThrow('grpo.reward.0 (part keys)');
  });

  it('are none where all have it, and nobody looks where nothing is asked', () => {
    refuseUnknown([known], {}, gain);
    refuseUnknown([question('q2')], {}, smoke);
    for (const settings of [gain, keys])
      refuseUnknown(trainingQuestions(world, 20), { gold: worldGold(world) }, settings);
  });

  it('demonstrations are of the embedded world alone', () => {
    const shown = { ...smoke, distill: { ...smoke.distill, teacherSees: 'demonstration' as const } };
    const learned: Settings = { ...smoke, method: 'sft', sft: { ...smoke.sft, on: 'demonstrations' } };
    for (const settings of [shown, learned]) {
      expect(externals(settings)).toEqual(['demonstrations']);
      expect(() => refuseUnknown([known], {}, settings)).toThrow('only the embedded world can give');
    }
    expect(externals({ ...shown, method: 'grpo' })).toEqual([]);
  });

  it('gold passages of a file are one step each, in no order', () => {
    expect(goldOfFile(known)).toEqual({
      steps: ['p1', 'p2'].map((passage) => ({ passage, key: null })),
      ordered: false,
    });
    expect(goldOfFile(question('q2'))).toBeUndefined();
  });
});
