/** Trees of rollouts: what goes on from where, on which streams, what is kept and what is counted. */
import { describe, expect, it } from 'vitest';
import { streamKey, uniformAt } from '../base/random.ts';
import { stretches, turnsOf } from '../protocol/authors.ts';
import { type Prefix, type RolloutTask, rollOutOne } from './rollout.ts';
import { rollOut } from './rollouts.ts';
import { around, limits, question, type Surrounded } from './testing/environment.ts';
import { ownWork, policyTokenCount, type Trajectory } from './trajectory.ts';
import { fromLine, toLine } from './trajectory-file.ts';
import { chainsOf, growTrees, type TreeGrowth } from './tree.ts';

const stream = { seed: 3, stage: 'grpo-1', step: 2 };
const paper: TreeGrowth = { trees: 2, expansions: 2, rounds: 1, leaves: 3, stream };
const questions = ['a', 'b', 'c'].map((id) => question(id));

/** Searches, idles or answers as the turn's own random number says. */
const world = () =>
  around((_, { key, offset = 0 }) => {
    const luck = uniformAt(key, 1000 + offset);
    if (luck < 0.5) return `<think> look </think> <search> egg ${Math.floor(luck * 100)} </search>`;
    return luck < 0.6 ? 'well , well' : `<think> seen </think> <answer> ${luck < 0.8 ? 'gold' : 'tin'} </answer>`;
  });

async function grown(growth: TreeGrowth, environment: Surrounded = world(), concurrency = 5) {
  const rounds: RolloutTask[][] = [];
  const groups = await growTrees(questions, growth, (tasks) => {
    rounds.push([...tasks]);
    return rollOut(tasks, environment, { concurrency });
  });
  return { groups, rounds, environment };
}

describe('a tree', () => {
  it('has 1 + N·L chains, of which as many are kept as asked for', async () => {
    expect(chainsOf({ expansions: 2, rounds: 3 })).toBe(7);
    const { groups, rounds } = await grown({ ...paper, rounds: 3, leaves: 4 });
    expect(rounds.map((tasks) => tasks.length)).toEqual([6, 12, 12, 12]);
    for (const [q, group] of groups.entries()) {
      expect(group.map(({ questionId }) => questionId)).toEqual(group.map(() => questions[q]!.id));
      expect(group.map(({ branch }) => branch!.tree)).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
      expect(new Set(group.map(({ rollout }) => rollout)).size).toBe(8);
      for (const { rollout, branch } of group) expect(Math.floor(rollout / 7)).toBe(branch!.tree);
    }
  });

  it('has for trunks the rollouts that there would be without trees', async () => {
    const { groups } = await grown(paper);
    for (const trunk of groups.flat().filter(({ rollout }) => rollout % 3 === 0)) {
      const key = streamKey(stream.seed, stream.stage, stream.step, trunk.questionId, trunk.rollout);
      const chain = await rollOutOne({ question: question(trunk.questionId), rollout: trunk.rollout, key }, world());
      expect(trunk).toEqual({ ...chain, branch: { tree: trunk.rollout / 3, from: 0 } });
    }
  });

  it('goes on from the start of any later turn of its own chains, word for word, and from its root', async () => {
    const { groups, rounds } = await grown({ ...paper, rounds: 4, expansions: 6, leaves: 25 });
    const places = new Map<string, number>();
    for (const group of groups)
      for (const leaf of group) {
        const { tree, from } = leaf.branch!;
        if (leaf.rollout % 25 === 0) {
          expect(from).toBe(0);
          continue;
        }
        const kind = from === 0 ? 'root' : 'later';
        places.set(kind, (places.get(kind) ?? 0) + 1);
        if (from === 0) continue;
        // Some chain of the tree before it has the same ids, and a turn of its own that begins there.
        const parents = group.filter(
          (other) =>
            other.branch!.tree === tree &&
            other.rollout < leaf.rollout &&
            String(other.ids.slice(0, from)) === String(leaf.ids.slice(0, from)),
        );
        expect(parents.some((parent) => turnsOf(parent.mask).some(({ start }) => start === from))).toBe(true);
        for (const name of ['mask', 'logprobs'] as const)
          expect(parents.map((parent) => String(parent[name].slice(0, from)))).toContain(
            String(leaf[name].slice(0, from)),
          );
      }
    expect(places.get('root')).toBeGreaterThan(5);
    expect(places.get('later')).toBeGreaterThan(5);
    expect(rounds).toHaveLength(5);
  });

  it('draws places alike, with replacement', async () => {
    // One search, then the answer: every first chain has the root and one place.
    const environment = around((context) =>
      context.includes('</search>') ? '<answer> gold </answer>' : '<search> egg </search>',
    );
    const many = Array.from({ length: 300 }, (_, i) => question(`q${i}`));
    const counts = [0, 0, 0];
    await growTrees(many, { ...paper, trees: 1 }, async (tasks) => {
      for (const [i, { from }] of tasks.entries())
        if (tasks.length === 600 && i % 2 === 0)
          counts[Number(from !== undefined) + Number(tasks[i + 1]!.from !== undefined)]! += 1;
      return rollOut(tasks, environment);
    });
    // Binomial: 75, 150, 75, give or take four deviations.
    for (const [i, expected] of [75, 150, 75].entries()) expect(Math.abs(counts[i]! - expected)).toBeLessThan(35);
  });

  it('is the same whatever is open at a time', async () => {
    const { groups } = await grown(paper, world(), 1);
    expect((await grown(paper, world(), 64)).groups).toEqual(groups);
  });

  it('has the root alone where its trunk failed, and then fails no more for it', async () => {
    const broken = { search: () => Promise.reject(new Error('down')) };
    const environment = around(() => '<search> egg </search>', { retriever: broken });
    const { rounds } = await grown(paper, environment);
    expect(rounds[1]!.every(({ from }) => from === undefined)).toBe(true);
  });
});

describe('a rollout that goes on from another', () => {
  const search = '<think> look </think> <search> egg </search>';
  const prefixesOf = async (environment: Surrounded, task: Partial<RolloutTask> = {}) => {
    let prefixes: readonly Prefix[] = [];
    const parent = await rollOutOne(
      {
        ...{ question: question('a'), rollout: 0, key: streamKey('parent') },
        onPrefixes: (found) => {
          prefixes = found;
        },
        ...task,
      },
      environment,
    );
    return { parent, prefixes };
  };
  const script = (context: string) => {
    const seen = context.split('egg </search>').length - 1;
    return seen === 0 && !context.includes('well') ? 'well' : seen < 2 ? search : '<answer> gold </answer>';
  };
  const goOn = (prefix: Prefix, environment: Surrounded) =>
    rollOutOne({ question: question('a'), rollout: 1, key: streamKey('child'), tree: 0, from: prefix }, environment);

  it('is what the other would have been, but for its stream: turns, searches, what was shown, limits', async () => {
    const { parent, prefixes } = await prefixesOf(around(script));
    expect(parent.searches.map(({ turn }) => turn)).toEqual([1, 2]);
    expect(prefixes.map(({ ids }) => ids.length)).toEqual(
      turnsOf(parent.mask)
        .map(({ start }) => start)
        .slice(1),
    );
    for (const prefix of prefixes) {
      const environment = around(script);
      const child = await goOn(prefix, environment);
      expect({ ...child, logprobs: 0 }).toEqual({
        ...parent,
        ...{ rollout: 1, branch: { tree: 0, from: prefix.ids.length }, logprobs: 0 },
      });
      const said = policyTokenCount(prefix);
      const [first] = environment.policy.calls;
      expect(first!.request).toMatchObject({ key: streamKey('child'), offset: said });
      expect(first!.request.prompt).toEqual([...parent.prompt, ...prefix.ids]);
      expect(child.logprobs.slice(0, prefix.ids.length)).toEqual(parent.logprobs.slice(0, prefix.ids.length));
      const own = child.logprobs.slice(prefix.ids.length).filter((_, n) => child.mask[prefix.ids.length + n] === 1);
      expect(own).toEqual(own.map((_, n) => Math.fround(-uniformAt(streamKey('child'), said + n))));
    }
  });

  it('keeps to limits that count from the root', async () => {
    for (const [change, stop] of [
      [{ searches: 2 }, 'no-answer'],
      [{ invalidTurns: 0 }, 'no-answer'],
      [{ responseTokens: 30 }, 'response-full'],
    ] as const) {
      const always = (context: string) => (context.includes('well') || !('invalidTurns' in change) ? search : 'well');
      const { prefixes } = await prefixesOf(around(always));
      const bound = around('invalidTurns' in change ? () => 'well' : () => search, {
        limits: limits({ searches: 9, ...change }),
      });
      expect(await goOn(prefixes[0]!, bound)).toMatchObject({ stop });
    }
  });

  it('counts what came into being with it, and is read back as it was', async () => {
    const { parent, prefixes } = await prefixesOf(around(script));
    const child = await goOn(prefixes[1]!, around(script));
    const [before, whole] = [ownWork({ ...parent, ...prefixes[1]! }), ownWork(parent)];
    expect(ownWork(child)).toEqual({
      policyTokens: whole.policyTokens - before.policyTokens,
      searches: whole.searches - before.searches,
    });
    expect(ownWork(child).searches).toBe(1);
    expect(fromLine(JSON.parse(toLine(child)), 'here')).toEqual(child);
    expect(stretches(child.mask)).toEqual(stretches(parent.mask));
  });

  it('adds up over a tree to what was sampled', async () => {
    const { groups, environment } = await grown({ ...paper, rounds: 3, expansions: 3, leaves: 10 });
    const sampled = environment.policy.calls.reduce((sum, { sample }) => sum + sample.ids.length, 0);
    const counted = groups.flat().reduce((sum: number, t: Trajectory) => sum + ownWork(t).policyTokens, 0);
    expect(counted).toBe(sampled);
    expect(groups.flat().reduce((sum, t) => sum + policyTokenCount(t), 0)).toBeGreaterThan(sampled);
  });
});
