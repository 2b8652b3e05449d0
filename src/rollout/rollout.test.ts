import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { uniformAt } from '../base/random.ts';
import type { Sample } from '../policy/policy.ts';
import type { ChatMessage } from '../policy/text-model.ts';
import { stretches, turnsOf } from '../protocol/authors.ts';
import { studentPrompt } from '../protocol/prompts.ts';
import { searchR1Template, worldTemplate } from '../protocol/templates.ts';
import { testTokenizer } from '../protocol/testing/tokenizer.ts';
import type { FinishedRollout, Reward } from './reward.ts';
import { rollOutOne } from './rollout.ts';
import { segments } from './segments.ts';
import { around, hitsOf, inTurns, limits, question, type Surrounded, task, tokenizer } from './testing/environment.ts';
import type { Script } from './testing/fake-policy.ts';
import { isFailure, type Trajectory } from './trajectory.ts';
import type { RolloutEvent } from './turns.ts';

const search = '<think> look </think> <search> egg </search>';
const answer = '<think> seen </think> <answer> gold </answer>';
const responseText = (trajectory: Trajectory) => tokenizer.decode(trajectory.ids);
const never = () => new Promise<never>(() => {});

/** What the policy saw and said in every turn is exactly what the trajectory holds. */
function expectFaithful(trajectory: Trajectory, { policy }: Surrounded, key = task('a').key): void {
  const { prompt, ids, mask, logprobs } = trajectory;
  expect([mask.length, logprobs.length]).toEqual([ids.length, ids.length]);
  const turns = turnsOf(mask);
  expect(turns).toHaveLength(policy.calls.length);
  let said = 0;
  for (const [i, { request, sample }] of policy.calls.entries()) {
    const { start, end } = turns[i]!;
    expect(request.prompt).toEqual([...prompt, ...ids.slice(0, start)]);
    expect(ids.slice(start, end)).toEqual(sample.ids);
    expect(logprobs.slice(start, end)).toEqual(sample.ids.map((_, n) => Math.fround(-uniformAt(key, said + n))));
    expect(request.offset).toBe(said);
    said += sample.ids.length;
  }
  expect(logprobs.every((value, t) => mask[t] === 1 || value === 0)).toBe(true);
  expect(new Set(policy.calls.map(({ request }) => request.session)).size).toBeLessThanOrEqual(1);
  expect(policy.released).toHaveLength(1);
  if (policy.calls.length > 0) expect(policy.released[0]).toBe(policy.calls[0]!.request.session);
}

describe('a rollout', () => {
  it('records a search and an answer', async () => {
    const environment = around(inTurns(search, answer));
    const trajectory = await rollOutOne(task('a', 3), environment);
    expect(trajectory).toMatchObject({
      questionId: 'a',
      dataset: 'test',
      rollout: 3,
      prompt: studentPrompt(tokenizer, worldTemplate, 'what is a ?'),
      stop: 'answered',
      answer: 'gold',
      correct: 1,
      reward: 1,
      wellFormed: true,
      grounded: true,
      searches: [
        {
          query: 'egg',
          passages: [
            { id: '1:egg', title: 'egg', score: 2 },
            { id: '2:egg', title: 'egg', score: 1 },
          ],
        },
      ],
    });
    expect(responseText(trajectory)).toBe(
      `${search} <information> [ egg ] all about egg [ egg ] the gold egg </information> ${answer}`,
    );
    expect(trajectory).not.toHaveProperty('failure');
    expectFaithful(trajectory, environment, task('a', 3).key);
  });

  it('rewards exact match alone, and knows an answer that was not read', async () => {
    const guess = await rollOutOne(task('a'), around(inTurns('<answer> The Gold! </answer>')));
    expect(guess).toMatchObject({ correct: 1, reward: 1, grounded: false, wellFormed: true, searches: [] });
    const wrong = await rollOutOne(task('a'), around(inTurns(search, '<answer> gold egg </answer>')));
    expect(wrong).toMatchObject({ correct: 0, reward: 0, grounded: true });
    const yes = await rollOutOne(task('a'), around(inTurns(search, '<answer> yes </answer>')));
    expect(yes).toMatchObject({ correct: 0, reward: 0, grounded: null });
  });

  it('is rewarded by what the environment says, right or wrong by exact match all the same', async () => {
    const seen: FinishedRollout[] = [];
    const reward: Reward = (finished) => {
      seen.push(finished);
      return 0.5 - 0.1 * finished.trajectory.searches.length;
    };
    const environment = around(inTurns(search, '<answer> silver </answer>'), { reward });
    const trajectory = await rollOutOne(task('a'), environment);
    expect(trajectory).toMatchObject({ correct: 0, reward: 0.4 });
    const { reward: _, ...rest } = trajectory;
    expect(seen).toEqual([{ question: question('a'), trajectory: rest, text: segments(trajectory, tokenizer) }]);
    const guess = await rollOutOne(task('a'), around(inTurns(answer), { reward }));
    expect(guess).toMatchObject({ correct: 1, reward: 0.5 });
  });

  it('is refused a reward that is no number', async () => {
    const environment = around(inTurns(answer), { reward: () => Number.NaN });
    await expect(rollOutOne(task('a'), environment)).rejects.toThrow('question a: its reward is NaN');
  });

  it('says which of its turns each search is', async () => {
    const trajectory = await rollOutOne(task('a'), around(inTurns('no action', search, 'none again', search, answer)));
    expect(trajectory.searches.map(({ turn }) => turn)).toEqual([1, 3]);
    const turns = turnsOf(trajectory.mask).map(({ start, end }) => tokenizer.decode(trajectory.ids.slice(start, end)));
    expect(turns).toEqual(['no action', search, 'none again', search, answer]);
  });

  it('takes no answer from the prompt, the question or a passage', async () => {
    const planted = {
      search: async () => [[{ passage: { id: 'p', title: 't', text: '<answer> gold </answer>' }, score: 1 }]],
    };
    const environment = around(inTurns(search), { template: searchR1Template, retriever: planted });
    const trajectory = await rollOutOne(task('a', 0, 'is it <answer> gold </answer> ?'), environment);
    expect(trajectory).toMatchObject({
      stop: 'no-answer',
      answer: null,
      correct: 0,
      reward: 0,
      wellFormed: false,
      grounded: null,
    });
  });

  it('keeps a token whole that completes the tag and goes on', async () => {
    const environment = around(inTurns('<search> egg </search> and more', answer));
    const trajectory = await rollOutOne(task('a'), environment);
    expect(tokenizer.decode(environment.policy.calls[0]!.sample.ids)).toBe('<search> egg </search> and');
    expect(responseText(trajectory)).toMatch(/^<search> egg <\/search> and <information>/);
    expect(trajectory).toMatchObject({ stop: 'answered', wellFormed: false });
    expectFaithful(trajectory, environment);
  });

  it('samples with the end of a chat turn as a stop, which is an invalid turn', async () => {
    const chat = testTokenizer({ chat: true });
    const environment = around(inTurns('I do not know', answer), { tokenizer: chat, template: searchR1Template });
    const trajectory = await rollOutOne(task('a'), environment);
    expect(environment.policy.calls[0]!.sample.stop).toBe('stop-token');
    expect(chat.decode(trajectory.ids)).toBe(`I do not know<|im_end|>${searchR1Template.invalidAction}${answer}`);
    expect(trajectory).toMatchObject({ stop: 'answered', correct: 1, reward: 1, wellFormed: false });
    expectFaithful(trajectory, environment);
  });

  it('takes a prompt of the caller’s, and the temperature', async () => {
    const environment = around(inTurns(answer), { temperature: 0 });
    const prompt = tokenizer.encode('another prompt');
    expect((await rollOutOne({ ...task('a'), prompt }, environment)).prompt).toEqual(prompt);
    expect(environment.policy.calls[0]!.request).toMatchObject({ prompt, temperature: 0 });
  });

  it('holds a certain token’s log-probability as 0, never as −0, which no file could keep', async () => {
    const ids = tokenizer.encode(answer);
    const sample: Sample = { ids, logprobs: ids.map(() => -0), stop: 'stop' };
    const environment = around(inTurns(answer));
    const policy = { ...environment.policy, sample: async () => sample };
    const { logprobs } = await rollOutOne(task('a'), { ...environment, policy });
    expect(logprobs).toHaveLength(ids.length);
    expect(logprobs.every((value) => Object.is(value, 0))).toBe(true);
  });

  it('holds exactly what was seen and said, whatever the policy writes and finds', async () => {
    const piece = fc.constantFrom(
      ...[
        '<think>',
        '</think>',
        '<search>',
        '</search>',
        '<answer>',
        '</answer>',
        ' and',
        '> ',
        'egg',
        '€',
        '<',
        '',
        ' ',
      ],
      ...[search, answer, '<search> x y </search>'],
    );
    const turn = fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => `.${pieces.join('')}`);
    await fc.assert(
      fc.asyncProperty(
        fc.array(turn, { minLength: 1, maxLength: 8 }),
        fc.record({
          searches: fc.nat({ max: 4 }),
          invalidTurns: fc.nat({ max: 3 }),
          turnTokens: fc.integer({ min: 1, max: 60 }),
          responseTokens: fc.integer({ min: 1, max: 200 }),
          contextTokens: fc.integer({ min: 1, max: 500 }),
          observationTokens: fc.integer({ min: 1, max: 100 }),
        }),
        async (turns, bounds) => {
          const environment = around(inTurns(...turns), { limits: limits(bounds) });
          const trajectory = await rollOutOne(task('a'), environment);
          expectFaithful(trajectory, environment);
          const { prompt, ids, mask, stop } = trajectory;
          const said = mask.filter((author) => author === 1).length;
          expect(said).toBeLessThanOrEqual(bounds.responseTokens);
          if (ids.length > 0) expect(prompt.length + ids.length).toBeLessThanOrEqual(bounds.contextTokens);
          expect(trajectory.searches.length).toBeLessThanOrEqual(bounds.searches);
          expect(environment.policy.calls.length).toBeLessThanOrEqual(bounds.searches + bounds.invalidTurns + 1);
          expect(stop === 'answered').toBe(trajectory.answer !== null);
          for (const stretch of stretches(mask))
            if (stretch.author === 'environment')
              expect(tokenizer.decode(ids.slice(stretch.start, stretch.end))).toMatch(
                /^ <information> .*<\/information> $/s,
              );
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('a turn that the prompt has begun', () => {
  const begins = (text: string) => {
    const plain = testTokenizer({ chat: true });
    return { ...plain, chat: (message: string | readonly ChatMessage[]) => plain.chat(message) + text };
  };
  /** Goes on with the turn that is being written, however much of it stands there: listeners are told slice by slice. */
  const going =
    (turns: readonly string[]): Script =>
    (context) => {
      const turn = turns[context.split(' </information>').length - 1]!;
      const lengths = Array.from({ length: turn.length + 1 }, (_, n) => turn.length - n);
      return turn.slice(lengths.find((n) => context.endsWith(turn.slice(0, n))));
    };
  const rest = [' hm </think> <search> who </search>', '<think> so </think> <answer> gold </answer>'];

  it.each([
    ['a thought', '<think>\n', rest],
    ['a thought with its first words', '<think>\nOkay,', rest],
    ['a closed thought', '<think>\n\n</think>\n\n', ['<search> who </search>', '<answer> gold </answer>']],
    ['a search', '<search>', [' who </search>', '<answer> gold </answer>']],
    ['an answer', '<think> I know </think> <answer>', [' gold </answer>']],
    ['nothing', '', ['<think> hm </think> <search> who </search>', '<answer> gold </answer>']],
  ])('counts as written: %s', async (_, opening, turns) => {
    const template = { ...worldTemplate, chat: true };
    const environment = around(going(turns), { tokenizer: begins(opening), template });
    const events: RolloutEvent[] = [];
    const trajectory = await rollOutOne(task('a'), environment, undefined, (event) => events.push(event));
    expect(trajectory).toMatchObject({ stop: 'answered', answer: 'gold', reward: 1, wellFormed: true });
    expect(trajectory.searches.map(({ query }) => query)).toEqual(turns.length === 1 ? [] : ['who']);
    // The ids are what was sampled: what the prompt holds is not in them a second time.
    expect(tokenizer.decode(trajectory.ids).startsWith(turns[0]!)).toBe(true);
    const told = events.map((event) => (event.kind === 'text' ? event.piece : '')).join('');
    expect(told).toBe(
      (opening.endsWith('</think>\n\n') ? '' : opening.slice(opening.lastIndexOf('<'))) + turns.join(''),
    );
  });

  it('is not begun by a tag that the instruction speaks of', async () => {
    const template = { ...worldTemplate, chat: true, student: '{question} Begin with <think>.' };
    const trajectory = await rollOutOne(
      task('a'),
      around(inTurns('hm </think> <answer> gold </answer>'), { tokenizer: begins(''), template }),
    );
    expect(trajectory).toMatchObject({ answer: 'gold', wellFormed: false });
    const plain = await rollOutOne(
      task('a'),
      around(inTurns('hm </think> <answer> gold </answer>'), { template: { ...template, chat: false } }),
    );
    expect(plain.wellFormed).toBe(false);
    const ended = { ...worldTemplate, student: '{question} <think>' };
    const begun = await rollOutOne(
      task('a'),
      around(inTurns('hm </think> <answer> gold </answer>'), { template: ended }),
    );
    expect(begun.wellFormed).toBe(true);
  });
});

describe('limits', () => {
  it.each([0, 1, 2, 4])('executes %i searches and allows one last turn', async (searches) => {
    const bounds = limits({ searches, passages: 1 });
    const endless = around(inTurns(search), { limits: bounds });
    const trajectory = await rollOutOne(task('a'), endless);
    expect(trajectory).toMatchObject({ stop: 'no-answer', answer: null, correct: 0, reward: 0 });
    expect(trajectory.searches).toHaveLength(searches);
    expect(endless.policy.calls).toHaveLength(searches + 1);
    // The search of the last turn is said, not executed, and shows nothing.
    expect(trajectory.mask.at(-1)).toBe(1);

    const inTime = await rollOutOne(
      task('a'),
      around(inTurns(...new Array(searches).fill(search), answer), { limits: bounds }),
    );
    expect(inTime).toMatchObject({ stop: 'answered', correct: 1, reward: 1 });
    expect(inTime.searches).toHaveLength(searches);
  });

  it('asks for the configured number of passages', async () => {
    const asked: number[] = [];
    const retriever = {
      search: async (queries: readonly string[], k: number) => {
        asked.push(k);
        return queries.map(hitsOf);
      },
    };
    await rollOutOne(task('a'), around(inTurns(search, answer), { retriever, limits: limits({ passages: 7 }) }));
    expect(asked).toEqual([7]);
  });

  it.each([0, 1, 3])('answers %i invalid turns by a message and ends at the next', async (invalidTurns) => {
    const environment = around(inTurns('hm'), { limits: limits({ invalidTurns }) });
    const trajectory = await rollOutOne(task('a'), environment);
    expect(trajectory.stop).toBe('no-answer');
    expect(responseText(trajectory)).toBe(`hm${`${worldTemplate.invalidAction}hm`.repeat(invalidTurns)}`);
    expectFaithful(trajectory, environment);
  });

  it('ends an invalid last turn without a message', async () => {
    const trajectory = await rollOutOne(task('a'), around(inTurns(search, 'hm'), { limits: limits({ searches: 1 }) }));
    expect(trajectory).toMatchObject({ stop: 'no-answer' });
    expect(responseText(trajectory).endsWith('</information> hm')).toBe(true);
  });

  it('treats a turn cut at its limit as invalid', async () => {
    const environment = around(inTurns('<think> very long', answer), { limits: limits({ turnTokens: 14 }) });
    const trajectory = await rollOutOne(task('a'), environment);
    expect(environment.policy.calls[0]!.sample).toMatchObject({ stop: 'length' });
    expect(responseText(trajectory)).toContain(worldTemplate.invalidAction);
  });

  it('ends at the limit of the response, which counts the policy’s tokens only', async () => {
    const turn = tokenizer.encode(search).length;
    const enough = await rollOutOne(
      task('a'),
      around(inTurns(search, answer), { limits: limits({ responseTokens: turn + tokenizer.encode(answer).length }) }),
    );
    expect(enough.stop).toBe('answered');
    const short = around(inTurns(search, answer), { limits: limits({ responseTokens: turn + 3 }) });
    const cut = await rollOutOne(task('a'), short);
    expect(cut).toMatchObject({ stop: 'response-full', answer: null });
    expect(cut.mask.filter((author) => author === 1)).toHaveLength(turn + 3);
    // A search that no turn could follow is not executed.
    const full = await rollOutOne(task('a'), around(inTurns(search), { limits: limits({ responseTokens: turn }) }));
    expect(full).toMatchObject({ stop: 'response-full', searches: [] });
  });

  it('ends when the context is full, by its own limit or the engine’s', async () => {
    const whole = await rollOutOne(task('a'), around(inTurns(search, answer)));
    const size = whole.prompt.length + whole.ids.length;
    const withRoom = (room: number) =>
      rollOutOne(task('a'), around(inTurns(search, answer), { limits: limits({ contextTokens: room }) }));
    expect((await withRoom(size)).stop).toBe('answered');
    const shortest = tokenizer.encode('<answer> x </answer>').length;
    const least = whole.prompt.length + shortest;
    for (const [stop, rooms] of [
      ['prompt-too-long', [1, whole.prompt.length, whole.prompt.length + 1, least - 1]],
      ['context-full', [least, size - 30, size - 1]],
    ] as const)
      for (const room of rooms) {
        expect(await withRoom(room)).toMatchObject({ stop, answer: null, correct: 0, reward: 0 });
        expect(await rollOutOne(task('a'), around(inTurns(search, answer), {}, room))).toMatchObject({ stop });
      }
    // Nothing was asked, so nothing was measured.
    const unasked = await withRoom(least - 1);
    expect(isFailure(unasked.stop)).toBe(true);
    expect(unasked.failure).toBe(
      `the prompt of ${whole.prompt.length} tokens leaves no room for a turn in a context of ${least - 1}`,
    );
    const engineLimited = around(inTurns(search, answer), {}, size - 10);
    await rollOutOne(task('a'), engineLimited);
    for (const { request } of engineLimited.policy.calls)
      expect(request.prompt.length + request.maxTokens).toBeLessThanOrEqual(size - 10);
    expect((await withRoom(whole.prompt.length)).ids).toEqual([]);
    // The observation that does not fit is left out, and its passages count as not shown.
    const turn = tokenizer.encode(search).length;
    const noRoom = await withRoom(whole.prompt.length + turn + 5);
    expect(noRoom.searches).toHaveLength(1);
    expect(noRoom.ids).toHaveLength(turn);
    // An observation fits when at least one token fits behind it.
    const shown = whole.mask.filter((author) => author === 0).length;
    expect((await withRoom(whole.prompt.length + turn + shown)).ids).toHaveLength(turn);
    expect((await withRoom(whole.prompt.length + turn + shown + 1)).ids).toHaveLength(turn + shown + 1);
  });
});

describe('failures', () => {
  const failing = (changes: Parameters<typeof around>[1]) =>
    rollOutOne(task('a'), around(inTurns(search, answer), changes));

  it('records a retriever that fails', async () => {
    const throws = () => {
      throw new Error('refused at once');
    };
    for (const [find, message] of [
      [async () => Promise.reject(new Error('index lost')), 'index lost'],
      [throws, 'refused at once'],
      [async () => [], 'the retriever returned no list for the query'],
    ] as const) {
      const trajectory = await failing({ retriever: { search: find } });
      expect(trajectory).toMatchObject({
        stop: 'search-failed',
        failure: message,
        answer: null,
        correct: 0,
        reward: 0,
        searches: [],
      });
      expect(responseText(trajectory)).toBe(search);
    }
  });

  it('does not wait for a retriever that never answers, even one that ignores its signal', async () => {
    let aborted = false;
    const silent = {
      search: (_: unknown, __: unknown, signal?: AbortSignal) => {
        signal!.addEventListener('abort', () => (aborted = true));
        return never();
      },
    };
    const trajectory = await failing({ retriever: silent, deadlines: { search: 0.01, sample: 60 } });
    expect(trajectory).toMatchObject({ stop: 'deadline', failure: 'no answer from search within 0.01 s' });
    expect(aborted).toBe(true);
  });

  it('records an engine that fails, is silent or breaks its contract', async () => {
    const failed = around(async () => Promise.reject(new Error('out of memory')));
    expect(await rollOutOne(task('a'), failed)).toMatchObject({
      stop: 'sample-failed',
      failure: 'out of memory',
      ids: [],
    });
    expect(failed.policy.released).toHaveLength(1);

    const silent = around(never, { deadlines: { search: 60, sample: 0.01 } });
    expect(await rollOutOne(task('a'), silent)).toMatchObject({
      stop: 'deadline',
      failure: 'no answer from sample within 0.01 s',
    });
    expect(silent.policy.released).toHaveLength(1);

    for (const [sample, message] of [
      [{ ids: [], logprobs: [], stop: 'stop' }, /no tokens/],
      [{ ids: [1, 2], logprobs: [0], stop: 'stop' }, /2 tokens and 1 log-prob/],
      [{ ids: [1, 2], logprobs: [0, Number.NaN], stop: 'stop' }, /NaN for new token 1/],
      [{ ids: [1], logprobs: [Number.NEGATIVE_INFINITY], stop: 'stop' }, /-Infinity/],
    ] satisfies [Sample, RegExp][]) {
      const environment = around(inTurns(answer));
      const policy = { ...environment.policy, sample: async () => sample };
      const trajectory = await rollOutOne(task('a'), { ...environment, policy });
      expect(trajectory).toMatchObject({ stop: 'sample-failed', ids: [] });
      expect(trajectory.failure).toMatch(message);
    }
  });

  it('ends as cancelled, before or while it waits', async () => {
    const before = around(inTurns(answer));
    expect(await rollOutOne(task('a'), before, AbortSignal.abort())).toMatchObject({ stop: 'cancelled', ids: [] });
    expect(before.policy.calls).toHaveLength(0);

    const controller = new AbortController();
    const silent = {
      search: () => {
        setImmediate(() => controller.abort());
        return never();
      },
    };
    const environment = around(inTurns(search, answer), { retriever: silent });
    const trajectory = await rollOutOne(task('a'), environment, controller.signal);
    expect(trajectory).toMatchObject({ stop: 'cancelled', answer: null });
    expect(responseText(trajectory)).toBe(search);
    expect(environment.policy.released).toHaveLength(1);
  });

  it('has no answer and no reward after a failure', async () => {
    const trajectory = await failing({ retriever: { search: () => Promise.reject(new Error('x')) } });
    expect(trajectory).toMatchObject({ answer: null, correct: 0, reward: 0, wellFormed: false, grounded: null });
  });
});
