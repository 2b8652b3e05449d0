import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UserError } from '../base/errors.ts';
import { stretches } from '../protocol/authors.ts';
import { rollOutOne } from './rollout.ts';
import { segments } from './segments.ts';
import { around, inTurns, task, tokenizer } from './testing/environment.ts';
import type { Trajectory } from './trajectory.ts';
import { fromLine, readTrajectories, toLine } from './trajectory-file.ts';

const ordinary = () => rollOutOne(task('a'), around(inTurns('<search> x </search>', '<answer> gold </answer>')));
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const item of items) out.push(item);
  return out;
}

const float32 = fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
const finite = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);

const anyTrajectory: fc.Arbitrary<Trajectory> = fc
  .array(fc.record({ id: fc.nat({ max: 200_000 }), author: fc.constantFrom<0 | 1>(0, 1), logprob: float32 }))
  .chain((tokens) =>
    fc.record(
      {
        questionId: fc.string(),
        dataset: fc.string(),
        question: fc.string(),
        gold: fc.array(fc.string()),
        rollout: fc.nat(),
        prompt: fc.array(fc.nat({ max: 200_000 })),
        ids: fc.constant(tokens.map(({ id }) => id)),
        mask: fc.constant(tokens.map(({ author }) => author)),
        logprobs: fc.constant(tokens.map(({ author, logprob }) => (author === 1 ? logprob : 0))),
        searches: fc.array(
          fc.record(
            {
              query: fc.string(),
              turn: fc.nat(),
              passages: fc.array(
                fc.record({ id: fc.string(), title: fc.string(), score: finite }, { noNullPrototype: true }),
              ),
            },
            { requiredKeys: ['query', 'passages'] },
          ),
        ),
        stop: fc.constantFrom<Trajectory['stop']>('answered', 'no-answer', 'deadline'),
        failure: fc.string(),
        answer: fc.option(fc.string()),
        correct: fc.constantFrom<0 | 1>(0, 1),
        reward: finite,
        wellFormed: fc.boolean(),
        grounded: fc.option(fc.boolean()),
        text: fc.record(
          {
            prompt: fc.string(),
            response: fc.constant(stretches(tokens.map(({ author }) => author)).map(({ start }) => `<b>${start}\n`)),
          },
          { noNullPrototype: true },
        ),
        training: fc.record(
          {
            advantage: fc.oneof(
              finite,
              fc.constant(tokens.flatMap(({ author, logprob }) => (author === 1 ? [logprob] : []))),
            ),
            kl: fc.constant(tokens.flatMap(({ author, id }) => (author === 1 ? [id / 1000] : []))),
          },
          { noNullPrototype: true, requiredKeys: ['advantage'] },
        ),
      },
      {
        noNullPrototype: true,
        requiredKeys: [
          'questionId',
          'dataset',
          'rollout',
          'prompt',
          'ids',
          'mask',
          'logprobs',
          'searches',
          'stop',
          'answer',
          'correct',
          'reward',
          'wellFormed',
          'grounded',
        ],
      },
    ),
  );

describe('a trajectory’s line', () => {
  it('brings back exactly what was written, without a line break', () => {
    fc.assert(
      fc.property(anyTrajectory, (trajectory) => {
        const line = toLine(trajectory);
        expect(line).not.toContain('\n');
        const read = fromLine(JSON.parse(line), 'here');
        expect(read).toEqual(trajectory);
        expect(Object.keys(read).toSorted()).toEqual(Object.keys(trajectory).toSorted());
      }),
    );
  });

  it('holds what a rollout makes', async () => {
    const trajectory = await ordinary();
    expect(fromLine(JSON.parse(toLine(trajectory)), 'here')).toStrictEqual(trajectory);
  });

  it('is refused when it is damaged, with the place and the field', async () => {
    const good = JSON.parse(toLine(await ordinary()));
    for (const [change, message] of [
      [{ schema: 4 }, /schema/],
      [{ text: { prompt: '', response: ['one'] } }, /text: expected 3 stretches, found 1/],
      [{ training: { advantage: [1] } }, /training\.advantage: expected \d+, one a policy token, found 1/],
      [{ training: { advantage: 1, kl: [] } }, /training\.kl: expected/],
      [{ training: {} }, /training\.advantage/],
      [{ correct: 0.5 }, /correct/],
      [{ reward: null }, /reward/],
      [{ schema: 1, correct: undefined, reward: 0.5 }, /correct/],
      [{ schema: 1, correct: undefined, reward: undefined }, /reward/],
      [{ searches: [{ query: 'x', turn: -1, passages: [] }] }, /searches\.0\.turn/],
      [{ stop: 'bored' }, /stop/],
      [{ ids: [1.5] }, /ids\.0/],
      [{ ids: [...good.ids, 1] }, /authors: add up to/],
      [{ logprobs: good.logprobs.slice(1) }, /logprobs: expected/],
      [{ prompt: undefined }, /prompt/],
      [{ extra: 1 }, /extra/],
    ] as const) {
      const read = () => fromLine({ ...good, ...change }, 'shard.jsonl:7');
      expect(read).toThrow(UserError);
      expect(read).toThrow(message);
      expect(read).toThrow('shard.jsonl:7');
    }
    expect(() => fromLine(7, 'shard.jsonl:7')).toThrow(UserError);
  });

  it('of schema 1 is read with exact match, which its reward was', async () => {
    // As 0.4.0 wrote it.
    const old = (reward: 0 | 1) =>
      JSON.parse(
        `{"schema":1,"questionId":"q","dataset":"nq","rollout":2,"prompt":[1],"ids":[5,6,7,8],"searches":[{"query":"x","passages":[{"id":"p","title":"t","score":1.5}]}],"stop":"answered","answer":" nimal ","reward":${reward},"wellFormed":true,"grounded":null,"authors":[1,2,1],"logprobs":[-0.5,-0.25]}`,
      );
    for (const reward of [0, 1] as const)
      expect(fromLine(old(reward), 'here')).toStrictEqual({
        questionId: 'q',
        dataset: 'nq',
        rollout: 2,
        prompt: [1],
        ids: [5, 6, 7, 8],
        mask: [1, 0, 0, 1],
        logprobs: [-0.5, 0, 0, -0.25],
        searches: [{ query: 'x', passages: [{ id: 'p', title: 't', score: 1.5 }] }],
        stop: 'answered',
        answer: ' nimal ',
        correct: reward,
        reward,
        wellFormed: true,
        grounded: null,
      });
    // A field of another schema makes it neither.
    expect(() => fromLine({ ...old(1), extra: 1 }, 'here')).toThrow(/extra/);
  });

  it('of schema 2 is read as it was written', () => {
    // As the version after 0.4.0 wrote it: nothing to read but ids, log-probabilities in all digits of a double.
    const old = JSON.parse(
      `{"schema":2,"questionId":"q","dataset":"nq","rollout":2,"prompt":[1],"ids":[5,6],"searches":[{"query":"x","turn":0,"passages":[]}],"stop":"no-answer","answer":null,"correct":0,"reward":-0.5,"wellFormed":false,"grounded":null,"authors":[0,1,1],"logprobs":[-0.014649782852463246]}`,
    );
    expect(fromLine(old, 'here')).toStrictEqual({
      questionId: 'q',
      dataset: 'nq',
      rollout: 2,
      prompt: [1],
      ids: [5, 6],
      mask: [0, 1],
      logprobs: [0, -0.014649782852463246],
      searches: [{ query: 'x', turn: 0, passages: [] }],
      stop: 'no-answer',
      answer: null,
      correct: 0,
      reward: -0.5,
      wellFormed: false,
      grounded: null,
    });
  });

  it('begins with what a person reads, and ends with the numbers of each token', async () => {
    const line = toLine({ ...(await ordinary()), training: { advantage: -0.5 } });
    const fields = Object.keys(JSON.parse(line));
    expect(fields.slice(0, 8)).toEqual([
      'schema',
      'questionId',
      'dataset',
      'question',
      'gold',
      'rollout',
      'answer',
      'correct',
    ]);
    expect(fields.slice(-5)).toEqual(['training', 'prompt', 'ids', 'authors', 'logprobs']);
    expect(line).toMatch(
      /"question":"what is a \?","gold":\["gold"\].*"response":\["<search> x <\/search>"," <information> \[ x \] all about x/,
    );
  });

  it('is read from files, plain and gzip', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'trajectories-'));
    try {
      const trajectory = await ordinary();
      const text = `${toLine(trajectory)}\n${toLine({ ...trajectory, rollout: 1 })}\n`;
      const [plain, packed] = [path.join(folder, 'a.jsonl'), path.join(folder, 'a.jsonl.gz')];
      await writeFile(plain, text);
      await writeFile(packed, gzipSync(text));
      for (const file of [plain, packed]) {
        const read = await all(readTrajectories(file));
        expect(read).toStrictEqual([trajectory, { ...trajectory, rollout: 1 }]);
      }
      await writeFile(plain, `${text}{}\n`);
      await expect(all(readTrajectories(plain))).rejects.toThrow(/a\.jsonl:3: not a trajectory/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('segments', () => {
  it('shows the response by author', async () => {
    expect(segments(await ordinary(), tokenizer)).toEqual([
      { author: 'policy', text: '<search> x </search>' },
      { author: 'environment', text: ' <information> [ x ] all about x [ egg ] the gold egg </information> ' },
      { author: 'policy', text: '<answer> gold </answer>' },
    ]);
    expect(segments({ ids: [], mask: [] }, tokenizer)).toEqual([]);
  });
});
