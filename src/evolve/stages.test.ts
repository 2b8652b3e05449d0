/** What stages say of themselves, held against what they do. */
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Policy } from '../policy/policy.ts';
import { question } from '../rollout/testing/environment.ts';
import { evolve } from './evolve.ts';
import { presets } from './presets.ts';
import { methods, type Settings } from './settings.ts';
import { BASE } from './stage.ts';
import {
  compareStages,
  decisive,
  isStage,
  keptBy,
  planStages,
  type Stage,
  stageKinds,
  stageNamed,
  trainingLoads,
  workOf,
} from './stages.ts';
import { toyRun } from './testing/toy.ts';

const { smoke } = presets;
const allStages = methods.flatMap((method) => planStages({ method, cycles: 11 }));

describe('names', () => {
  it('tell kind and cycle of every stage of every plan', () => {
    for (const { name, kind, cycle } of allStages) expect(stageNamed(name)).toMatchObject({ kind, cycle });
    expect(new Set(allStages.map(({ kind }) => kind))).toEqual(new Set(stageKinds));
  });

  it('are one a stage within a plan', () => {
    for (const method of methods) {
      const names = planStages({ method, cycles: 11 }).map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
    }
  });

  it('are those of run directories since 0.1, as people call them', () => {
    const labels = {
      'grpo-1': 'GRPO 1',
      'e1-12': 'E1 12',
      'pool-2': 'pool 2',
      'gate-2': 'gate 2',
      'sft-1': 'SFT 1',
      'rejection-3': 'rejection sampling 3',
      'evaluate-base': 'evaluate base',
      'evaluate-e1-2': 'evaluate E1 2',
    };
    for (const [name, label] of Object.entries(labels)) expect(stageNamed(name)?.label).toBe(label);
  });

  it('of other things are no stages', () => {
    const others = [BASE, '', 'grpo', 'grpo-', 'grpo-0', 'grpo-1-best', 'grpo-1-held-out', 'grpo-x', 'e1-1-0001'];
    for (const name of [...others, 'toString-1', 'evaluate-', 'evaluate-tea', 'pool-1-0000', 'gate-1-plain'])
      expect([name, stageNamed(name)]).toEqual([name, undefined]);
  });

  it('are asked for a kind, and for a cycle of it', () => {
    expect(isStage('grpo-2', 'grpo')).toBe(true);
    expect(isStage('grpo-2', 'grpo', 2)).toBe(true);
    expect(isStage('grpo-2', 'grpo', 1)).toBe(false);
    expect(isStage('evaluate-grpo-2', 'grpo')).toBe(false);
    expect(isStage('evaluate-grpo-2', 'evaluate', 2)).toBe(true);
  });

  it('are sorted in the order of a run, the base first', () => {
    for (const method of methods) {
      const measured = planStages({ method, cycles: 11 }).flatMap((s) => (s.kind === 'evaluate' ? [s.of] : []));
      expect([...measured].sort().sort(compareStages)).toEqual(measured);
    }
  });
});

describe('checkpoints', () => {
  it('that a stage starts from are kept by one before it, or are the base', () => {
    for (const method of methods) {
      const kept = new Set<string>([BASE]);
      for (const stage of planStages({ method, cycles: 3 })) {
        if ('from' in stage) expect(kept).toContain(stage.from);
        for (const name of keptBy(stage, smoke)) kept.add(name);
        expect(keptBy(stage, smoke).at(-1)).toBe('from' in stage ? stage.name : undefined);
      }
    }
  });
});

describe('memory', () => {
  it('is that of the stages which the method trains, whatever the cycles', () => {
    const titles = (changed: Partial<Settings>) => trainingLoads({ ...smoke, ...changed }).map(({ title }) => title);
    for (const cycles of [0, 1, 3]) {
      expect(titles({ cycles })).toEqual(['GRPO', 'distillation']);
      expect(titles({ cycles, method: 'grpo' })).toEqual(['GRPO']);
      expect(titles({ cycles, method: 'rejection-sampling' })).toEqual(['fine-tuning']);
      expect(titles({ cycles, method: 'sft' })).toEqual(['fine-tuning']);
    }
  });

  it('has a frozen copy for all stages once one of them freezes', () => {
    const withoutKl = { ...smoke, grpo: { ...smoke.grpo, klCoefficient: 0 } };
    expect(trainingLoads(withoutKl).map(({ frozen }) => frozen)).toEqual([true, true]);
    expect(trainingLoads({ ...withoutKl, method: 'grpo' }).map(({ frozen }) => frozen)).toEqual([false]);
  });
});

describe('work', () => {
  const counts = { suites: [{ name: 'nq', questions: 3 }], trainingQuestions: 30 };

  it('is what a stage then does: rollouts of a run, steps of its events', async () => {
    for (const [method, part] of [...methods.map((one) => [one, small] as const), ['grpo', inTrees] as const]) {
      const toy = toyRun({ says, suites: [suite], settings: part });
      const settings = { ...toy.run.settings, method };
      const stages = planStages(settings);
      const [rollouts, steps] = [new Map<string, number>(), new Map<string, number>()];
      await evolve(toy.run.setup, settings, toy.journal, {
        onEvent: (event) => {
          if (event.kind === 'rollouts') rollouts.set(event.stage, (rollouts.get(event.stage) ?? 0) + 1);
          if (event.kind === 'step') steps.set(event.stage, event.steps);
        },
      });
      for (const stage of stages) {
        const work = workOf(stage, counts, settings);
        // What the gate finds, and how many pairs and right answers there are, is not known beforehand.
        if (stage.kind !== 'gate')
          expect([stage.name, rollouts.get(stage.name) ?? 0]).toEqual([stage.name, work.rollouts]);
        if (stage.kind === 'grpo' || stage.kind === 'pool') expect(steps.get(stage.name)).toBe(work.steps);
      }
    }
  });
});

// ------------------------------------------------------------------------------------------- what decides a stage

const search = '<think> find </think> <search> x </search>';
const right = '<think> done </think> <answer> gold </answer>';
const wrong = '<think> done </think> <answer> tin </answer>';
/** Every group has right and wrong answers, with and without a search. */
const says = (_: number, context: string, draw: number) =>
  context.includes('</search>') ? (draw % 2 === 0 ? right : wrong) : draw % 3 === 0 ? right : search;
const suite = { name: 'nq', questions: [0, 1, 2].map((i) => question(`nq${i}`)) };
const small: Partial<Settings> = {
  cycles: 2,
  grpo: { ...smoke.grpo, steps: [2, 1], questionsPerStep: 4, groupSize: 2 },
  pool: { ...smoke.pool, questions: 8 },
  gate: { ...smoke.gate, questions: 4 },
  distill: { ...smoke.distill, pairsPerStep: 4 },
  evaluation: { ...smoke.evaluation, questions: 2 },
  guards: { ...smoke.guards, heldOutQuestions: 3, every: 1, maxZeroVariance: 1 },
};

/** With all that the systems of the field add. */
const shaped: Partial<Settings> = {
  ...small,
  grpo: {
    ...small.grpo!,
    reward: [
      [
        { part: 'answer', by: 'f1', right: 1, wrong: 0 },
        { part: 'form', valid: 0.1, invalid: 0, when: 'always', decides: false },
        { part: 'price', perSearch: 0.1, when: 'right' },
      ],
    ],
    scale: 'none',
    advantage: { form: 'state', weight: 1, discount: 0.9 },
    credit: {
      sees: 'right-sibling',
      against: 'wrong-sibling',
      apply: { by: 'gate', gate: 0.1, slope: 5, less: 0.5 },
      over: 'turn',
      fallsOver: 3,
    },
    noise: { by: 'corrupted-query', from: 0.1, to: 0.5, base: 4 },
    updates: 2,
    preserve: { weight: 0.2 },
  },
  pool: { ...small.pool!, retry: { rollouts: 2 } },
  distill: { ...small.distill!, students: 'wrong', mix: 0.5, questionWeight: 'spread', clipForm: 'position' },
};

/** And trees in place of chains. */
const inTrees: Partial<Settings> = {
  ...small,
  grpo: {
    ...small.grpo!,
    tree: { trees: 2, expansions: 1, rounds: 1 },
    groupSize: 2,
    advantage: { form: 'tree' },
  },
};

/** And hints. */
const withHints: Partial<Settings> = {
  ...small,
  grpo: { ...small.grpo!, hint: { sees: 'gold-answer', share: 0.5 } },
};

/** And wrong rollouts distilled. */
const withRouting: Partial<Settings> = {
  ...small,
  grpo: { ...small.grpo!, klCoefficient: 0, routed: { weight: 1, topK: 2 } },
};

/** Settings that tell which of their leaves are read, as paths. */
function recorded(settings: Settings, onRead: (path: readonly string[]) => void): Settings {
  const watched = <T extends object>(value: T, path: readonly string[]): T =>
    new Proxy(value, {
      get(target, key, receiver) {
        const inner: unknown = Reflect.get(target, key, receiver);
        if (typeof key === 'symbol' || !Object.hasOwn(target, key)) return inner;
        const own = [...path, key];
        if (typeof inner === 'object' && inner !== null) return watched(inner, own);
        if (!Array.isArray(target) || key !== 'length') onRead(own);
        return inner;
      },
    });
  return watched(settings, []);
}

/** The settings with another value at a leaf. */
function otherAt(settings: Settings, path: readonly string[]): Settings {
  const changed = structuredClone(settings);
  const place = path
    .slice(0, -1)
    .reduce((inner, key) => inner[key] as Record<string, unknown>, changed as Record<string, unknown>);
  const last = path.at(-1)!;
  place[last] = typeof place[last] === 'number' ? (place[last] as number) + 1 : `not ${String(place[last])}`;
  return changed;
}

/** Of every row the tokens 0 to k, alike. */
const likelyTokens: Policy['topLogprobs'] = async (sequences, k) =>
  sequences.map(({ ids, start }) => ({
    tokens: Int32Array.from({ length: (ids.length - start) * k }, (_, i) => i % Math.max(1, k)),
    logprobs: new Float32Array((ids.length - start) * k).fill(-1),
  }));

/** Read by stages, and yet the same results follow from any value. */
const indifferent = new Set(['checkpointEvery']);

describe('what decides a stage', () => {
  it('is all of the settings that it reads', async () => {
    const seen = new Set<Stage['kind']>();
    const cases = [small, shaped, inTrees, withHints, withRouting].flatMap((part) =>
      methods.map((method) => [part, method] as const),
    );
    for (const [part, method] of cases) {
      const toy = toyRun({ says, suites: [suite], settings: part });
      const plain: Settings = { ...toy.run.settings, method };
      Object.assign(toy.run.setup.policy, { topLogprobs: likelyTokens });
      const plan = planStages(plain);
      let present: Stage | undefined;
      const forgotten = new Set<string>();
      const settings = recorded(plain, (path) => {
        if (present === undefined || indifferent.has(path.join('.'))) return;
        const past = plan.slice(0, plan.indexOf(present) + 1);
        const other = otherAt(plain, path);
        // Another plan is told apart by its stages.
        if (!isDeepStrictEqual(planStages(other), plan)) return;
        if (isDeepStrictEqual(decisive(plain, [present]), decisive(other, [present])))
          forgotten.add(`${present.name} reads ${path.join('.')}`);
        if (isDeepStrictEqual(decisive(plain, past), decisive(other, past)))
          forgotten.add(`the past up to ${present.name} reads ${path.join('.')}`);
      });
      await evolve(toy.run.setup, settings, toy.journal, {
        onEvent: (event) => {
          if (event.kind !== 'stage') return;
          present = plan[event.index];
          seen.add(present!.kind);
        },
      });
      expect([...forgotten]).toEqual([]);
    }
    // Every kind has had its turn: one that is in no method's plan could forget what it likes.
    expect(seen).toEqual(new Set(stageKinds));
  });

  it('leaves out what only later stages and other cycles read', () => {
    const plan = planStages({ method: 'search-e1', cycles: 2 });
    const upTo = (name: string) => plan.slice(0, plan.findIndex((stage) => stage.name === name) + 1);
    const differs = (name: string, change: Partial<Settings>) =>
      !isDeepStrictEqual(decisive(smoke, upTo(name)), decisive({ ...smoke, ...change }, upTo(name)));
    const longer = { grpo: { ...smoke.grpo, steps: [3, 9] } };
    expect(differs('grpo-1', longer)).toBe(false);
    expect(differs('grpo-2', longer)).toBe(true);
    const other = { distill: { ...smoke.distill, clip: 7 } };
    expect(differs('gate-1', other)).toBe(false);
    expect(differs('e1-1', other)).toBe(true);
    const seen = { distill: { ...smoke.distill, expertView: 'searches' as const } };
    expect(differs('pool-1', seen)).toBe(false);
    expect(differs('gate-1', seen)).toBe(true);
  });
});
