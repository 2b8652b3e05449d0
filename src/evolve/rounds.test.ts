/** The rounds of a cycle over a policy without an engine: what they decide, keep and refuse. */
import { describe, expect, it, vi } from 'vitest';
import { findExpert, minePair } from '../algorithms/pairs.ts';
import { UserError } from '../base/errors.ts';
import { tokenizer } from '../rollout/testing/environment.ts';
import type { Trajectory } from '../rollout/trajectory.ts';
import { distillRound, spreadOf } from './distill-round.ts';
import { measureGate } from './gate.ts';
import { grpoRound } from './grpo-round.ts';
import { readPool, rollOutPool } from './pool.ts';
import { presets } from './presets.ts';
import type { Settings } from './settings.ts';
import { start, toyRun, UNTRAINED } from './testing/toy.ts';

const right = '<think> done </think> <answer> gold </answer>';
const wrong = '<think> done </think> <answer> tin </answer>';
const search = '<think> find </think> <search> x </search>';
const { smoke } = presets;
const grpo = { name: 'grpo-1', cycle: 1, from: 'base' };
const distill = { name: 'e1-1', cycle: 1, from: 'grpo-1' };
const steps = (n: number): Partial<Settings> => ({
  grpo: { ...smoke.grpo, steps: [n], questionsPerStep: 4, groupSize: 2 },
  guards: { ...smoke.guards, heldOutQuestions: 4, every: 1, window: 2, maxZeroVariance: 1 },
});

describe('a GRPO round', () => {
  it('keeps the weights that did best on held-out questions, the later ones of equals', async () => {
    const toy = toyRun({ says: (weight) => (weight === 2 || weight === 3 ? right : wrong), settings: steps(5) });
    const { results } = await grpoRound(toy.run, grpo, start);
    expect(results.outcomes).toEqual([{ stage: 'grpo-1', steps: 5, stoppedBy: 'steps', keptStep: 3 }]);
    expect(toy.weight()).toBe(3);
  });

  it('trains on the reward of its cycle, and chooses weights by exact match', async () => {
    // Worth less the better it answers: the round must not believe it when it chooses.
    const worth = (right: number, wrong: number) => [
      { part: 'answer' as const, by: 'exact-match' as const, right, wrong },
    ];
    const base = steps(4);
    const settings = { ...base, grpo: { ...base.grpo!, reward: [worth(1, 0), worth(-1, 0.5)] } };
    const says = (weight: number) => (weight === 2 ? right : wrong);
    const toy = toyRun({ says, settings });
    toy.journal.kept.set('e1-1', UNTRAINED);
    const { results } = await grpoRound(toy.run, { name: 'grpo-2', cycle: 2, from: 'e1-1' }, start);
    expect(results.outcomes[0]).toMatchObject({ keptStep: 2 });
    const trained = toy.journal.metrics.filter(({ stage }) => stage === 'grpo-2');
    expect(trained.map(({ reward, exactMatch }) => [reward, exactMatch])).toEqual([
      ...[
        [0.5, 0],
        [0.5, 0],
        [-1, 1],
        [0.5, 0],
      ],
    ]);
    const shard = await toy.journal.readTrajectories('grpo-2-step-0003');
    expect(shard!.every(({ correct, reward }) => correct === 1 && reward === -1)).toBe(true);
  });

  it('takes several updates a step on the same rollouts, and preserves what was good from the second on', async () => {
    const base = steps(2);
    const says = (_: number, __: string, draw: number) => (draw % 2 === 0 ? right : wrong);
    const plain = toyRun({ says, settings: { ...base, grpo: { ...base.grpo!, updates: 3 } } });
    await grpoRound(plain.run, grpo, start);
    expect(plain.losses).toHaveLength(2 * 3);
    for (const step of [0, 3]) for (const again of [1, 2]) expect(plain.losses[step + again]).toBe(plain.losses[step]);

    const preserve = { weight: 0.2 };
    const toy = toyRun({ says, settings: { ...base, grpo: { ...base.grpo!, updates: 2, preserve } } });
    // Every token is less likely now, by one nat, than when it was sampled.
    const { policy } = toy.run.setup;
    Object.assign(policy, {
      logprobs: async (all: readonly number[][]) => all.map((s) => new Float32Array(s.length).fill(-9)),
    });
    await grpoRound(toy.run, grpo, start);
    expect(toy.losses.map(({ loss }) => loss)).toEqual(
      Array(2).fill(['policy-gradient', 'policy-gradient', 'cross-entropy']).flat(),
    );
    const [first, , kept] = toy.losses;
    if (first?.loss !== 'policy-gradient' || kept?.loss !== 'cross-entropy') throw new Error('other losses');
    for (const [i, { weights }] of kept.sequences.entries()) {
      const { advantages, mask } = first.sequences[i]!;
      for (const [n, weight] of weights.entries())
        expect(weight).toBe(mask[n] === 1 && advantages[n]! >= 0 ? Math.fround(0.2) : 0);
    }
    const [record] = toy.journal.metrics.filter(({ stage, step }) => stage === 'grpo-1' && step === 1);
    expect(record!.preserved).toBeGreaterThan(0);
  });

  it('answers searches with noise by the share of its step, and never where it measures', async () => {
    const base = steps(2);
    const noise = { by: 'corrupted-query' as const, from: 1, to: 1, base: 4 };
    const says = (_: number, context: string) => (context.includes('</search>') ? right : '<search> x x </search>');
    const toy = toyRun({ says, settings: { ...base, grpo: { ...base.grpo!, noise } } });
    const asked: string[] = [];
    const { retriever } = toy.run.setup;
    const search = retriever.search.bind(retriever);
    vi.spyOn(retriever, 'search').mockImplementation((queries, ...rest) => {
      asked.push(...queries);
      return search(queries, ...rest);
    });
    await grpoRound(toy.run, grpo, start);
    const words = asked.map((query) => query.split(' ').length);
    // Two steps of 4 × 2 rollouts under noise; 4 held-out questions, twice each, three times without.
    expect(words.filter((n) => n === 1)).toHaveLength(16);
    expect(words.filter((n) => n === 2)).toHaveLength(24);
    expect(toy.journal.metrics.find(({ stage }) => stage === 'grpo-1')).toMatchObject({ noise: 1 });
  });

  it('stops at a loss that is no number, and goes back', async () => {
    const toy = toyRun({ says: (weight) => (weight === 1 ? right : wrong), breaksAt: 3, settings: steps(5) });
    const { results } = await grpoRound(toy.run, grpo, start);
    expect(results.outcomes[0]).toMatchObject({
      steps: 3,
      stoppedBy: 'guard',
      keptStep: 1,
      reason: expect.stringContaining('NaN'),
    });
    expect(toy.weight()).toBe(1);
  });

  it('stops when the entropy is gone', async () => {
    const toy = toyRun({ says: () => right, entropy: 0, settings: steps(5) });
    const { results } = await grpoRound(toy.run, grpo, start);
    expect(results.outcomes[0]).toMatchObject({ steps: 2, stoppedBy: 'guard' });
    expect(toy.notes()[0]).toContain('entropy');
  });

  it('does not watch an entropy that the engine does not report, and says so once', async () => {
    const toy = toyRun({ says: (weight) => (weight % 2 ? right : wrong), isBare: true, settings: steps(5) });
    const { results } = await grpoRound(toy.run, grpo, start);
    expect(results.outcomes[0]).toMatchObject({ steps: 5, stoppedBy: 'steps' });
    expect(toy.notes()).toEqual([expect.stringContaining('no entropy')]);
    const records = toy.journal.metrics.filter(({ stage }) => stage === 'grpo-1');
    for (const record of records)
      expect(record).toMatchObject({ entropy: null, ratioDeviation: null, gradientNorm: null, kl: null });
    expect(toy.journal.states.at(-1)!.recent[0]!.entropy).toBeNull();
    const again = await grpoRound(toy.run, grpo, toy.journal.states.at(-1)!);
    expect(again.results.outcomes.at(-1)).toMatchObject({ steps: 5, stoppedBy: 'steps' });
  });

  it('comes to the same verdict when it is continued after the step that the guard judged', async () => {
    const toy = toyRun({ says: () => right, entropy: 0, settings: steps(5) });
    await grpoRound(toy.run, grpo, start);
    const again = await grpoRound(toy.run, grpo, toy.journal.states.at(-1)!);
    expect(again.results.outcomes.at(-1)).toMatchObject({ steps: 2, stoppedBy: 'guard' });
  });

  it('ends the run with the first failure’s message when most rollouts fail', async () => {
    const says = (): string => {
      throw new Error('the engine is on fire');
    };
    await expect(grpoRound(toyRun({ says, settings: steps(2) }).run, grpo, start)).rejects.toThrow(
      'the engine is on fire',
    );
  });
});

describe('the gate', () => {
  const shown = (context: string) => context.includes('<ref>');
  const gate = { name: 'gate-1', cycle: 1 };

  it('opens when the expert’s trajectory makes answers right', async () => {
    // Without it every second answer is wrong.
    const toy = toyRun({ says: (_, context, draw) => (shown(context) || draw % 2 === 0 ? right : wrong) });
    const { results } = await measureGate(toy.run, gate, start);
    expect(results.gates[0]).toMatchObject({ open: true, privileged: { exactMatch: { mean: 1 } } });
    expect(results.gates[0]!.exactMatchGap!.mean).toBeGreaterThan(0.2);
  });

  it('opens when it saves searches at no cost', async () => {
    const says = (_: number, context: string) => (shown(context) || context.includes('</search>') ? right : search);
    const { results } = await measureGate(toyRun({ says }).run, gate, start);
    expect(results.gates[0]).toMatchObject({ open: true, exactMatchGap: { mean: 0 }, searchesSaved: { mean: 1 } });
  });

  it.each([
    ['warn', 'it goes on'],
    ['skip', 'is left out'],
  ] as const)('is closed when it changes nothing, and says so and what follows: %s', async (whenClosed, then) => {
    const toy = toyRun({ says: () => right, settings: { gate: { ...smoke.gate, whenClosed } } });
    const { results } = await measureGate(toy.run, gate, start);
    expect(results.gates[0]!.open).toBe(false);
    expect(toy.notes()[0]).toContain('is there anything to distil?');
    expect(toy.notes()[0]).toContain(then);
  });

  it('is closed when no question was ever answered', async () => {
    const toy = toyRun({ says: () => wrong });
    await measureGate(toy.run, gate, start);
    expect(toy.notes()[0]).toContain('only 0 held-out questions');
  });
});

describe('a distillation round', () => {
  // Right with one search or right with none: every group has an expert and a different sibling.
  const says = (_: number, context: string, draw: number) =>
    context.includes('</search>') || draw % 3 === 0 ? right : search;
  const pooled = async (options: Parameters<typeof toyRun>[0]) => {
    const toy = toyRun(options);
    return { toy, state: { ...(await rollOutPool(toy.run, { name: 'pool-1', cycle: 1 }, start)), step: 0 } };
  };

  it('says which file of the pool is gone', async () => {
    const { toy, state } = await pooled({ says });
    vi.spyOn(toy.run.journal, 'readTrajectories').mockResolvedValue(undefined);
    const ended = distillRound(toy.run, distill, state);
    await expect(ended).rejects.toThrow('trajectories/pool-1-0000.jsonl.gz is missing');
    await expect(ended).rejects.toBeInstanceOf(UserError);
  });

  it('trains an adapter on the pool’s pairs and merges it', async () => {
    const { toy, state } = await pooled({ says });
    expect(state.results.pools[0]!.pairs).toBeGreaterThan(8);
    const ended = await distillRound(toy.run, distill, state);
    expect(ended.results.outcomes).toEqual([{ stage: 'e1-1', steps: 3, stoppedBy: 'steps', keptStep: 3 }]);
    expect(toy.losses.every((batch) => batch.loss === 'forward-kl')).toBe(true);
    expect(toy.hasAdapter()).toBe(false);
  });

  it('records null, not 0, for what the engine does not report', async () => {
    const { toy, state } = await pooled({ says, isBare: true });
    await distillRound(toy.run, distill, state);
    const records = toy.journal.metrics.filter(({ stage }) => stage === 'e1-1');
    expect(records).toHaveLength(3);
    for (const record of records)
      for (const name of ['kl', 'kl.think', 'kl.answer', 'entropy', 'teacherEntropy', 'clipFraction', 'gradientNorm'])
        expect(record[name], name).toBeNull();
    const pairs = [...toy.journal.pairs.values()].flat();
    expect(pairs.length).toBeGreaterThan(8);
    for (const { kl } of pairs) expect(kl).toBeNull();
  });

  describe('of a control', () => {
    const trained = async (part: Partial<Settings['distill']>) => {
      const { toy, state } = await pooled({ says, settings: { distill: { ...smoke.distill, ...part } } });
      const { results } = await distillRound(toy.run, distill, state);
      expect(results.outcomes[0]).toMatchObject({ steps: 3, stoppedBy: 'steps' });
      const records = [...toy.journal.pairs.values()].flat();
      const groups = new Map<string, Trajectory[]>();
      for (const group of await readPool(toy.run, 1)) groups.set(group[0]!.questionId, group);
      return { toy, records, groups };
    };

    it('shows nothing: the prompts are the same', async () => {
      const { records } = await trained({ teacherSees: 'nothing' });
      expect(records.length).toBeGreaterThan(8);
      for (const { teacherPrompt, studentPrompt, expert } of records) {
        expect(expert).toBeNull();
        expect(teacherPrompt).toEqual(studentPrompt);
      }
    });

    it('shows another question’s expert', async () => {
      const { records } = await trained({ teacherSees: 'other-question' });
      for (const { questionId, expert } of records) expect(expert).not.toEqual(expect.objectContaining({ questionId }));
    });

    it('shows any correct sibling, or any at all', async () => {
      for (const teacherSees of ['random-correct', 'any-sibling'] as const) {
        const { records, groups } = await trained({ teacherSees });
        for (const { questionId, expert, student } of records) {
          const shown = groups
            .get(questionId)!
            .find(({ rollout }) => (expert as { rollout: number }).rollout === rollout)!;
          expect(shown.rollout).not.toBe(student.rollout);
          if (teacherSees === 'random-correct') expect(shown.correct).toBe(1);
        }
      }
    });

    it('learns the expert trajectories by cross-entropy', async () => {
      const { toy, groups } = await trained({ objective: 'cross-entropy' });
      const experts = new Set([...groups.values()].map((group) => findExpert(group)?.ids.join()));
      for (const batch of toy.losses) {
        if (batch.loss !== 'cross-entropy') throw new Error(`found ${batch.loss}`);
        for (const { ids, weights } of batch.sequences) {
          const start = weights.indexOf(1);
          expect([...experts].some((expert) => ids.slice(start).join() === expert)).toBe(true);
        }
      }
      expect(toy.hasAdapter()).toBe(false);
    });

    it('shows a demonstration: the ids of a perfect agent, searches and all', async () => {
      const demonstrate = () => [
        { policy: '<search> x </search>', passages: [{ id: 'p', title: 't', text: 'gold' }] },
        { policy: '<answer> gold </answer>', passages: [] },
      ];
      const settings = {
        distill: { ...smoke.distill, teacherSees: 'demonstration' as const, expertView: 'policy' as const },
      };
      const { toy, state } = await pooled({ says, settings });
      Object.assign(toy.run.setup, { demonstrate });
      await distillRound(toy.run, distill, state);
      const records = [...toy.journal.pairs.values()].flat();
      expect(records.length).toBeGreaterThan(8);
      for (const { expert, teacherPrompt } of records) {
        expect(expert).toBe('demonstration');
        const text = tokenizer.decode(teacherPrompt).replaceAll(' ', '');
        expect(text).toContain('<ref><search>x</search><answer>gold</answer></ref>');
      }
    });

    it('mixes the divergence with the expert’s words, each over its own tokens', async () => {
      const { toy } = await trained({ mix: 0.25 });
      const plain = await trained({});
      expect(toy.losses.map(({ loss }) => loss)).toEqual(Array(3).fill(['forward-kl', 'cross-entropy']).flat());
      for (let step = 0; step < 3; step++) {
        const [divergence, words] = toy.losses.slice(2 * step, 2 * step + 2);
        if (divergence?.loss !== 'forward-kl' || words?.loss !== 'cross-entropy') throw new Error('other losses');
        const own = divergence.pairs.reduce((sum, { mask }) => sum + mask.filter((m) => m === 1).length, 0);
        expect(divergence.denominator).toBeCloseTo(own / 0.25, 9);
        const learned = words.sequences.reduce((sum, { weights }) => sum + weights.filter((w) => w === 1).length, 0);
        expect(words.denominator).toBeCloseTo(learned / 0.75, 9);
        // The same pairs as without, in their order.
        expect(divergence.pairs).toEqual((plain.toy.losses[step] as typeof divergence).pairs);
      }
    });

    it('is the divergence alone at 1, and the expert’s words alone at 0', async () => {
      const [one, plain] = [await trained({ mix: 1 }), await trained({})];
      expect(one.toy.losses).toEqual(plain.toy.losses);
      const [none, words] = [await trained({ mix: 0 }), await trained({ objective: 'cross-entropy' })];
      expect(none.toy.losses).toEqual(words.toy.losses);
    });

    it('weighs questions by the spread of their rollouts, and leaves out those that are all right', async () => {
      const mixed = (_: number, context: string, draw: number) =>
        context.includes('</search>') ? (draw % 5 < 3 ? right : wrong) : draw % 3 === 0 ? right : search;
      const settings = { distill: { ...smoke.distill, questionWeight: 'spread' as const } };
      const { toy, state } = await pooled({ says: mixed, settings });
      const train = vi.spyOn(toy.run.setup.policy, 'train');
      await distillRound(toy.run, distill, state);
      const calls = train.mock.calls.map(([batches]) => batches);
      const shares = new Map((await readPool(toy.run, 1)).map((g) => [g[0]!.questionId, spreadOf(g)]));
      const records = [...toy.journal.pairs.values()].flat();
      expect(records.length).toBeGreaterThan(8);
      for (const { questionId } of records) expect(shares.get(questionId)).toBeGreaterThan(0);
      const spreads = [...new Set(records.map(({ questionId }) => shares.get(questionId)!))];
      expect(spreads.length).toBeGreaterThan(1);
      // By hand: two of five right is √(.4 · .6).
      expect(spreads).toEqual(expect.arrayContaining([expect.closeTo(Math.sqrt(0.24), 12)]));
      // Each loss stands over the tokens of all parts of its step, divided by its weight.
      let seen = 0;
      for (const batches of calls) {
        const tokens = batches.map((batch) =>
          'pairs' in batch ? batch.pairs.reduce((sum, { mask }) => sum + mask.filter((m) => m === 1).length, 0) : 0,
        );
        const all = tokens.reduce((sum, count) => sum + count, 0);
        for (const batch of batches) expect(spreads).toContainEqual(expect.closeTo(all / batch.denominator, 9));
        seen = Math.max(seen, batches.length);
      }
      expect(seen).toBeGreaterThan(1);
    });

    it('reads the tokens from the first wrong turn on', async () => {
      const lost = (_: number, context: string, draw: number) =>
        context.includes('</search>') ? wrong : draw % 3 === 0 ? right : search;
      const settings = { distill: { ...smoke.distill, tokens: 'from-first-wrong-turn' as const } };
      const { toy, state } = await pooled({ says: lost, settings });
      const gold = { steps: [{ passage: 'nowhere', key: null }], ordered: true };
      Object.assign(toy.run.setup, { gold: () => gold });
      await distillRound(toy.run, distill, state);
      const records = [...toy.journal.pairs.values()].flat();
      expect(records.length).toBeGreaterThan(8);
      // Every search is bad here: the first turn is wrong, and all that the policy wrote is read.
      const groups = new Map((await readPool(toy.run, 1)).map((group) => [group[0]!.questionId, group]));
      let searched = 0;
      for (const { questionId, student, mask } of records) {
        const whole = groups.get(questionId)!.find(({ rollout }) => rollout === student.rollout)!;
        searched += whole.searches.length;
        expect(mask).toEqual(whole.mask);
      }
      expect(searched).toBeGreaterThan(0);
    });

    it('bounds a position as a whole: those above have no gradient', async () => {
      const settings = { distill: { ...smoke.distill, clip: 0.5, clipForm: 'position' as const } };
      const { toy, state } = await pooled({ says, settings });
      await distillRound(toy.run, distill, state);
      // The toy’s divergence is 1 at every token: all are above, and count the bound.
      const trainedBatches = toy.losses.filter((_, i) => i % 2 === 1);
      for (const batch of trainedBatches) {
        if (!('pairs' in batch)) throw new Error('no divergence');
        expect(batch.pairs.every(({ mask }) => mask.every((m) => m === 0))).toBe(true);
      }
      const records = toy.journal.metrics.filter(({ stage }) => stage === 'e1-1');
      for (const record of records) expect(record).toMatchObject({ clipFraction: 1, loss: expect.closeTo(1.5, 9) });
    });

    it('reads the queries alone', async () => {
      const { toy, records } = await trained({ tokens: 'queries' });
      // The one query that is ever made is "x".
      for (const { ids, mask } of records)
        expect(tokenizer.decode(ids.filter((_, i) => mask[i] === 1)).replaceAll(' ', '')).toMatch(/^x*$/);
      expect(toy.losses.length).toBe(3);
    });
  });

  it('is skipped behind a closed gate, and without pairs', async () => {
    const { toy, state } = await pooled({ says, settings: { gate: { ...smoke.gate, whenClosed: 'skip' } } });
    const none = { mean: 0, standardError: 0 };
    const side = { exactMatch: none, searches: none, wellFormed: none };
    const closed = {
      stage: 'gate-1',
      questions: 9,
      plain: side,
      privileged: side,
      exactMatchGap: none,
      searchesSaved: none,
      open: false,
    };
    const results = { ...state.results, gates: [closed] };
    expect((await distillRound(toy.run, distill, { ...state, results })).results.outcomes[0]).toMatchObject({
      steps: 0,
      stoppedBy: 'gate',
    });

    const alike = await pooled({ says: () => right });
    expect((await distillRound(alike.toy.run, distill, alike.state)).results.outcomes[0]).toMatchObject({
      stoppedBy: 'no-pairs',
    });
    expect(alike.toy.weight()).toBe(0);
  });

  it('leaves out pairs whose teacher side does not fit the context, and says how many', async () => {
    const { toy, state } = await pooled({ says, contextLength: 46 });
    await distillRound(toy.run, distill, state);
    expect(toy.notes()[0]).toMatch(/pairs left out/);
  });

  it('by cross-entropy leaves out no pair for a teacher that it does not ask, and needs no frozen copy', async () => {
    // Teacher sides are too long for this context, expert trajectories under the ordinary prompt are not.
    const narrow = { says, contextLength: 46 };
    const { toy, state } = await pooled({
      ...narrow,
      settings: { distill: { ...smoke.distill, objective: 'cross-entropy', maxSteps: 0 } },
    });
    const groups = await readPool(toy.run, 1);
    const experts = groups.flatMap((group) => minePair(group)?.expert ?? []);
    const lengths = experts.map(({ prompt, ids }) => prompt.length + ids.length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(46);
    toy.run.setup.policy.freeze = () => Promise.reject(new Error('was asked to freeze'));
    await distillRound(toy.run, distill, state);
    expect(toy.notes().filter((note) => note.includes('left out'))).toEqual([]);
    const learned = toy.losses.flatMap((batch) => (batch.loss === 'cross-entropy' ? batch.sequences : []));
    expect(learned.map(({ ids }) => ids.join()).sort()).toEqual(
      experts.map(({ prompt, ids }) => [...prompt, ...ids].join()).sort(),
    );

    const method = await pooled(narrow);
    await distillRound(method.toy.run, distill, method.state);
    expect(method.toy.notes()[0]).toMatch(/pairs left out/);
  });

  it('that keeps its best weights chooses by held-out questions, the round’s start among them', async () => {
    // Right at weight 0 alone: every step makes it worse.
    const settings = {
      distill: { ...smoke.distill, keep: 'best' as const },
      guards: { ...smoke.guards, heldOutQuestions: 4, every: 1 },
    };
    const spoiled = (weight: number, context: string, draw: number) =>
      weight === 0 ? says(weight, context, draw) : wrong;
    const { toy, state } = await pooled({ says: spoiled, settings });
    const { results } = await distillRound(toy.run, distill, state);
    expect(results.outcomes).toEqual([{ stage: 'e1-1', steps: 3, stoppedBy: 'steps', keptStep: 0 }]);
    expect(toy.weight()).toBe(0);
    expect(toy.hasAdapter()).toBe(false);
    const asked = toy.journal.metrics.filter(({ stage }) => stage === 'e1-1-held-out');
    expect(asked.map(({ step, exactMatch }) => [step, exactMatch])).toEqual([[0, 1], ...[1, 2, 3].map((n) => [n, 0])]);
  });

  it('goes back to where it started when the loss is no number', async () => {
    const { toy, state } = await pooled({ says, breaksAt: 1 });
    const { results } = await distillRound(toy.run, distill, state);
    expect(results.outcomes[0]).toMatchObject({ steps: 1, stoppedBy: 'guard', keptStep: 0 });
    expect(toy.weight()).toBe(0);
    expect(toy.hasAdapter()).toBe(false);
  });
});
