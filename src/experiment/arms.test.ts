/** Each arm changes one thing of the settings, and its run can be forked where it says. */
import { expect, it } from 'vitest';
import { presets } from '../evolve/presets.ts';
import { planStages } from '../evolve/stages.ts';
import { armNames, armOf, type MethodArm, referenceOf, sharedBy, systemArmNames } from './arms.ts';

const base = presets.default;

/** Dotted paths at which two values differ; what is no object on both sides is compared whole. */
function differences(a: unknown, b: unknown, at = ''): string[] {
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (isObject(a) && isObject(b))
    return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key) =>
      differences(a[key], b[key], at === '' ? key : `${at}.${key}`),
    );
  return JSON.stringify(a) === JSON.stringify(b) ? [] : [at];
}

const changed: Record<MethodArm, readonly string[]> = {
  e1: [],
  // Two cycles is the default already: only the method differs, and the steps, which follow from e1's timing.
  'grpo-tokens': ['method'],
  'grpo-seconds': ['method'],
  // The same prompt at another temperature would be another teacher.
  'same-prompt': ['distill.teacherSees', 'distill.teacherTemperature'],
  sharpen: ['distill.teacherSees'],
  'other-question': ['distill.teacherSees'],
  'random-correct': ['distill.teacherSees'],
  unprivileged: ['distill.teacherSees'],
  'sft-expert': ['distill.objective'],
  'reverse-kl': ['distill.objective'],
  jsd: ['distill.objective'],
  skeleton: ['distill.expertView'],
  'queries-only': ['distill.tokens'],
  'top-20': ['distill.targets'],
  'top-20-tail': ['distill.targets'],
  'no-clip': ['distill.clip'],
  'paper-loss': ['distill.clip', 'distill.teacherTemperature'],
  'full-weights': ['distill.adapter'],
  'one-cycle': ['cycles'],
  'three-cycles': ['cycles'],
};

it.each(armNames)('%s changes what it names and nothing else', (name) => {
  expect(differences(base, armOf(name).change(base)).sort()).toEqual(changed[name]);
});

it('no two arms but those of different budgets are the same', () => {
  const settings = armNames
    .filter((name) => name !== 'grpo-seconds')
    .map((name) => JSON.stringify(armOf(name).change(base)));
  expect(new Set(settings).size).toBe(settings.length);
});

it.each(armNames)('%s shares its plan with e1 up to the point where it forks', (name) => {
  const { change, forksAt } = armOf(name);
  const plan = planStages(base);
  const shared = plan.findIndex((stage) => stage.kind === forksAt && stage.cycle === 1);
  expect(shared).toBeGreaterThan(0);
  expect(planStages(change(base)).slice(0, shared)).toEqual(plan.slice(0, shared));
});

it.each(systemArmNames)(
  '%s leaves before the first round, trains by GRPO, and differs from e1 in what its system says',
  (name) => {
    const { change, forksAt, budget } = armOf(name);
    expect([forksAt, budget]).toEqual(['grpo', 'whole']);
    const plan = planStages(change(base));
    expect(plan[0]).toEqual(planStages(base)[0]);
    expect(new Set(plan.map(({ kind }) => kind))).toEqual(new Set(['evaluate', 'grpo']));
    for (const path of differences(base, change(base))) expect(path).toMatch(/^(method|cycles|grpo\.)/);
  },
);

it('what arms share, and what they are compared with, follow from who is there', () => {
  expect(sharedBy(['e1', 'grpo-tokens'])).toEqual(['base', 'grpo-1']);
  expect(sharedBy(['e1', 'system-gigpo'])).toEqual(['base']);
  expect(referenceOf(['e1', 'skeleton'])).toBe('e1');
  expect(referenceOf(['e1', 'system-gigpo', 'system-search-r1'])).toBe('system-search-r1');
  expect(referenceOf(['skeleton', 'jsd'])).toBe('skeleton');
});

it('paper-loss distils as the preset `paper` does', () => {
  const { clip, teacherTemperature } = armOf('paper-loss').change(base).distill;
  expect([clip, teacherTemperature]).toEqual([presets.paper.distill.clip, presets.paper.distill.teacherTemperature]);
});

it('GRPO alone has a second round to spend the budget in, even where e1 has one cycle', () => {
  expect(armOf('grpo-tokens').change({ ...base, cycles: 1 }).cycles).toBe(2);
  expect(armOf('grpo-tokens').change({ ...base, cycles: 3 }).cycles).toBe(3);
});
