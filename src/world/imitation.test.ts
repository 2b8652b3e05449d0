import { describe, expect, test } from 'vitest';
import { Random, streamKey } from '../base/random.ts';
import { parseTurn, wellFormed } from '../protocol/parser.ts';
import { generateWorld } from './generate.ts';
import { imitate } from './imitation.ts';
import { warmupQuestion } from './suites.ts';
import { answerOf, mean, searchesOf, searchOver } from './testing/encyclopedia.ts';
import { MAX_SEARCHES } from './turns.ts';

const world = generateWorld(31);
const search = searchOver(world);
const examples = Array.from({ length: 1500 }, (_, i) => {
  const random = new Random(streamKey('test', 'imitation', i));
  const question = warmupQuestion(world, random);
  return { question, ...imitate(world, question, search, random) };
});
/** The expert's words, one entry a turn. */
const expertTurns = (expert: string) => expert.split(/(?<=<\/search>|<\/answer>) /);

test('the expert is a whole trajectory with at least one search, without passages', () => {
  for (const { expert } of examples) {
    const turns = expertTurns(expert);
    expect(turns.length).toBeGreaterThan(1);
    expect(wellFormed(turns.map((text) => ({ author: 'policy', text })))).toBe(true);
    expect(expert).not.toContain('information');
  }
});

test('the agent keeps to the protocol and the budget, and ends with the answer of its expert', () => {
  for (const { expert, turns } of examples) {
    expect(wellFormed(turns.map(({ policy }) => ({ author: 'policy', text: policy })))).toBe(true);
    expect(searchesOf(turns)).toBeLessThanOrEqual(MAX_SEARCHES);
    expect(expertTurns(expert).at(-1)).toContain(`<answer> ${answerOf(turns)} </answer>`);
    for (const { policy, query, passages } of turns) {
      if (query === null) continue;
      expect(parseTurn(policy)).toEqual({ kind: 'search', query });
      expect(passages).toEqual(search(query, 2));
    }
  }
});

test('what is learned is the expert word for word, or "not found" and its full query after a search that failed', () => {
  for (const { expert, turns } of examples) {
    const spoken = new Set(expertTurns(expert));
    for (const [i, { policy, supervised }] of turns.entries()) {
      if (!supervised || spoken.has(policy)) continue;
      const [, relation, name, query] =
        /^<think> not found \. find (\S+) of (\S+ \S+) <\/think> <search> (.*) <\/search>$/.exec(policy)!;
      expect(query).toBe(`${name} ${relation}`);
      expect(turns[i - 1]!.passages.map(({ title }) => title)).not.toContain(name);
    }
  }
});

test('no value and no answer is learned that the passages so far do not show', () => {
  let learned = 0;
  for (const { question, turns } of examples) {
    let shown = '';
    for (const { policy, passages, supervised } of turns) {
      const values = [/ is (\S+ \S+) \./, /<answer> (\S+ \S+) </].flatMap((pattern) => pattern.exec(policy)?.[1] ?? []);
      if (supervised) for (const value of values) expect(shown).toContain(` ${value} `);
      if (supervised && /<answer> (yes|no) </.test(policy))
        for (const { entity } of question.steps) expect(shown).toContain(`[ ${entity} ]`);
      learned += supervised ? values.length : 0;
      shown += passages.map(({ title, text }) => ` [ ${title} ] ${text} `).join('');
    }
  }
  expect(learned).toBeGreaterThan(1500);
});

describe('straying', () => {
  test('makes about a sixth of the turns, never to be learned', () => {
    const turns = examples.flatMap((example) => example.turns);
    const share = mean(turns.map(({ supervised }) => Number(supervised)));
    expect(share).toBeGreaterThan(0.7);
    expect(share).toBeLessThan(0.9);
  });

  test('is of every sort: vague, needless check, misread', () => {
    const strayed = examples.flatMap(({ expert, turns }) => {
      const spoken = new Set(expertTurns(expert));
      return turns.filter(({ policy, supervised }) => !supervised && !spoken.has(policy)).map(({ policy }) => policy);
    });
    const vague = strayed.filter((policy) => /<search> \S+ \S+ </.test(policy));
    const checks = strayed.filter((policy) => /check .* <search> \S+ \S+ \S+ </.test(policy));
    const misread = strayed.filter((policy) => / is (\S+ \S+) \. find \S+ of \1 .* <search> \1 /.test(policy));
    for (const sort of [vague, checks, misread]) expect(sort.length).toBeGreaterThan(50);
  });

  test('leaves nearly every example with something to learn', () => {
    const empty = examples.filter(({ turns }) => turns.every(({ supervised }) => !supervised));
    expect(empty.length / examples.length).toBeLessThan(0.01);
  });
});

test('the same stream gives the same example', () => {
  const once = () => {
    const random = new Random(streamKey('test', 'same'));
    return imitate(world, warmupQuestion(world, random), search, random);
  };
  expect(once()).toEqual(once());
});
