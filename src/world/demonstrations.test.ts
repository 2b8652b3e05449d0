import { describe, expect, test } from 'vitest';
import { Random, streamKey } from '../base/random.ts';
import { parseTurn, wellFormed } from '../protocol/parser.ts';
import { demonstrate, oracle, usualHabits } from './demonstrations.ts';
import { generateWorld } from './generate.ts';
import { evaluationQuestions, SUITES, trainingQuestions, type WorldQuestion } from './suites.ts';
import { answerOf, mean, searchesOf, searchOver } from './testing/encyclopedia.ts';
import { fullQuery, MAX_SEARCHES, PASSAGES_PER_SEARCH, type Turn, vagueQuery } from './turns.ts';

const worlds = [21, 22, 23].map((seed) => {
  const world = generateWorld(seed);
  return { world, search: searchOver(world) };
});
const { world, search } = worlds[0]!;
const stream = (...parts: (string | number)[]) => new Random(streamKey('test', ...parts));
const correct = (question: WorldQuestion, turns: readonly Turn[]) => Number(answerOf(turns) === question.answers[0]);

describe('retrieval, two passages a search', () => {
  const found = (query: typeof fullQuery) =>
    mean(
      worlds.flatMap((one) =>
        one.world.entities.flatMap(({ name, statements }) =>
          statements.map(({ relation }) => {
            const passages = one.search(query(name, relation), PASSAGES_PER_SEARCH);
            return Number(passages.some(({ title }) => title === name));
          }),
        ),
      ),
    );

  test('the full query finds the own article in at least 99 of 100 cases', () => {
    expect(found(fullQuery)).toBeGreaterThanOrEqual(0.99);
  });

  test('a query with one name token finds it in about 13 of 100', () => {
    expect(found(vagueQuery)).toBeGreaterThan(0.11);
    expect(found(vagueQuery)).toBeLessThan(0.17);
  });

  test('twins come together, so the order of the tokens decides', () => {
    const twins = world.entities.filter(({ twin }) => twin);
    const both = twins.filter(({ name }) => {
      const titles = search(fullQuery(name, 'spouse'), PASSAGES_PER_SEARCH).map(({ title }) => title);
      return titles.includes(name) && titles.includes(name.split(' ').reverse().join(' '));
    });
    expect(both.length / twins.length).toBeGreaterThan(0.95);
  });
});

describe('the oracle', () => {
  test.each(SUITES)('answers at least 97 of 100 questions of %s in as many searches as there are hops', (suite) => {
    const results = worlds.flatMap((one) =>
      evaluationQuestions(one.world, suite, 100).map((question) => {
        const turns = oracle(one.world, question, one.search);
        return { right: correct(question, turns), waste: searchesOf(turns) - question.hops };
      }),
    );
    expect(mean(results.map(({ right }) => right))).toBeGreaterThanOrEqual(0.97);
    expect(results.filter(({ right, waste }) => right && waste === 0).length).toBeGreaterThanOrEqual(285);
    expect(Math.min(...results.filter(({ right }) => right).map(({ waste }) => waste))).toBe(0);
  });

  test('does the same every time', () => {
    const [question] = evaluationQuestions(world, 'musique', 1);
    expect(oracle(world, question!, search)).toEqual(oracle(world, question!, search));
  });
});

describe('demonstrations', () => {
  // 7 suites x 3 worlds x 100 questions.
  const all = SUITES.flatMap((suite) =>
    worlds.flatMap((one, index) =>
      evaluationQuestions(one.world, suite, 100).map((question, i) => ({
        suite,
        question,
        search: one.search,
        turns: demonstrate(one.world, question, one.search, stream(suite, index, i)),
      })),
    ),
  );

  test('keep to the protocol: searches with the passages they bring, then one answer', () => {
    for (const { turns, search: find } of all) {
      expect(wellFormed(turns.map(({ policy }) => ({ author: 'policy', text: policy })))).toBe(true);
      expect(searchesOf(turns)).toBe(turns.length - 1);
      expect(turns.length - 1).toBeLessThanOrEqual(MAX_SEARCHES);
      for (const { policy, query, passages, supervised } of turns) {
        expect(supervised).toBe(true);
        expect(policy).toMatch(/^<think> (\S+ )+<\/think> <(search|answer)> (\S+ )+<\/\2>$/);
        if (query === null) continue;
        expect(parseTurn(policy)).toEqual({ kind: 'search', query });
        expect(passages).toEqual(find(query, PASSAGES_PER_SEARCH));
      }
    }
  });

  test('search about 2.5 times where 1.9 would do', () => {
    const searches = mean(all.map(({ turns }) => searchesOf(turns)));
    expect(searches).toBeGreaterThan(2.35);
    expect(searches).toBeLessThan(2.65);
    expect(mean(all.map(({ question }) => question.hops))).toBeCloseTo(1.92, 1);
  });

  test('are right about half the time: often on one hop, seldom on four', () => {
    const share = (...suites: string[]) =>
      mean(all.filter(({ suite }) => suites.includes(suite)).map(({ question, turns }) => correct(question, turns)));
    expect(share(...SUITES)).toBeGreaterThan(0.45);
    expect(share(...SUITES)).toBeLessThan(0.57);
    expect(share('nq', 'triviaqa', 'popqa')).toBeGreaterThan(0.7);
    expect(share('hotpotqa', '2wiki')).toBeGreaterThan(0.4);
    expect(share('hotpotqa', '2wiki')).toBeLessThan(0.57);
    expect(share('bamboogle')).toBeLessThan(0.18);
  });

  test('are short: at most 300 words with prompt and passages', () => {
    const lengths = all.map(({ question, turns }) => {
      const passages = turns.flatMap((turn) => turn.passages.map(({ title, text }) => `[ ${title} ] ${text}`));
      const blocks = turns.filter(({ query }) => query !== null).map(() => '<information> </information>');
      return ['<q>', question.question, '</q>', ...turns.map(({ policy }) => policy), ...blocks, ...passages]
        .join(' ')
        .split(' ').length;
    });
    expect(Math.max(...lengths)).toBeLessThanOrEqual(310);
    expect(mean(lengths)).toBeLessThan(180);
  });

  test('show every habit', () => {
    const policies = all.map(({ turns }) => turns.map(({ policy }) => policy).join(' '));
    const share = (pattern: RegExp) => mean(policies.map((text) => Number(pattern.test(text))));
    expect(share(/<search> \S+ \S+ <\/search>/)).toBeGreaterThan(0.3);
    expect(share(/check/)).toBeGreaterThan(0.3);
    expect(share(/not found/)).toBeGreaterThan(0.15);
    const early = all.filter(({ question, turns }) => question.hops > 1 && searchesOf(turns) < question.hops);
    expect(early.length / all.length).toBeGreaterThan(0.05);
    expect(early.length / all.length).toBeLessThan(0.25);
    const guesses = mean(all.map(({ turns }) => Number(turns.length === 1)));
    expect(guesses).toBeGreaterThan(0.005);
    expect(guesses).toBeLessThan(0.04);
  });

  test('habits cling to relations: some are queried vaguely more often than not, others seldom', () => {
    const shareFor = (relation: string) => {
      const first = all.filter(({ question, turns }) => question.steps[0]!.relation === relation && turns.length > 1);
      return mean(first.map(({ turns }) => Number(turns[0]!.query!.split(' ').length === 2)));
    };
    for (const relation of ['director', 'founder', 'spouse']) expect(shareFor(relation)).toBeGreaterThan(0.5);
    for (const relation of ['star', 'author', 'employer']) expect(shareFor(relation)).toBeLessThan(0.3);
  });

  test('vary within a group of five, right and wrong, for most training questions', () => {
    const questions = trainingQuestions(world, 150);
    const mixed = questions.filter((question, i) => {
      const group = [0, 1, 2, 3, 4].map((member) => demonstrate(world, question, search, stream('group', i, member)));
      const right = mean(group.map((turns) => correct(question, turns)));
      return right > 0 && right < 1;
    });
    expect(mixed.length / questions.length).toBeGreaterThan(0.55);
  });

  test('the same stream gives the same demonstration', () => {
    const [question] = evaluationQuestions(world, 'bamboogle', 1);
    const once = () => demonstrate(world, question!, search, stream('same'));
    expect(once()).toEqual(once());
  });

  test('get better with the share of expert decisions', () => {
    const questions = evaluationQuestions(world, 'hotpotqa', 300);
    const at = (expertShare: number) => {
      const runs = questions.map((question, i) =>
        demonstrate(world, question, search, stream('share', i), { expertShare }),
      );
      return {
        right: mean(runs.map((turns, i) => correct(questions[i]!, turns))),
        searches: mean(runs.map(searchesOf)),
      };
    };
    const [none, half, whole] = [at(0), at(0.5), at(1)];
    expect(half.right).toBeGreaterThan(none.right);
    expect(whole.right).toBeGreaterThan(half.right);
    expect(half.searches).toBeLessThan(none.searches);
    expect(whole.searches).toBeLessThan(half.searches);
  });
});

describe('other habits', () => {
  const played = (habits: typeof usualHabits) =>
    ['hotpotqa' as const, 'musique' as const].flatMap((suite) =>
      evaluationQuestions(world, suite, 150).map((question, i) => ({
        question,
        turns: demonstrate(world, question, search, stream('habits', suite, i), { habits }),
      })),
    );

  test('none at all make a perfect agent', () => {
    const never = { there: 0, elsewhere: 0 };
    const none = { vague: never, check: never, early: never, misread: 0, astray: 0, guess: 0 };
    for (const { question, turns } of played(none)) expect(turns).toEqual(oracle(world, question, search));
  });

  test('of answering early and guessing make one that searches too little, where the usual one searches too much', () => {
    const tooLittle = {
      ...usualHabits,
      early: { there: 0.6, elsewhere: 0.2 },
      check: { there: 0.1, elsewhere: 0.05 },
      guess: 0.15,
    };
    const [few, usual] = [tooLittle, usualHabits].map((habits) => {
      const all = played(habits);
      return {
        waste: mean(all.map(({ question, turns }) => searchesOf(turns) - question.hops)),
        guesses: mean(all.map(({ turns }) => Number(turns.length === 1))),
      };
    }) as [{ waste: number; guesses: number }, { waste: number; guesses: number }];
    expect(few.waste).toBeLessThan(-0.2);
    expect(usual.waste).toBeGreaterThan(few.waste + 0.4);
    expect(few.guesses).toBeGreaterThan(0.1);
    expect(few.guesses).toBeLessThan(0.2);
  });
});
