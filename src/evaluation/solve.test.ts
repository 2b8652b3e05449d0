/** The agent as a solver of evaluations: over token ids and over text, the same record of the same work. */
import { describe, expect, it } from 'vitest';
import { searchR1Template } from '../protocol/templates.ts';
import { around, findsAll, hitsOf, inTurns, question, tokenizer } from '../rollout/testing/environment.ts';
import { fakeTextModel } from '../rollout/testing/fake-text-model.ts';
import { defaultLimits } from '../rollout/turns.ts';
import type { EvaluationTask, Solver } from './evaluate.ts';
import { stoppedByItsEngine } from './open-evaluation.ts';
import { solveByRollout } from './solve-by-rollout.ts';
import { solveByText } from './solve-by-text.ts';

const turns = [
  '<think> look </think> <search> a thing </search>',
  '<search> more </search>',
  '<answer> gold </answer>',
];
const task: EvaluationTask = { baseline: 'agent', suite: 's', question: question('q') };
const patience = new AbortController().signal;
const text = {
  retriever: findsAll,
  template: searchR1Template,
  limits: defaultLimits,
  deadlines: { search: 60, sample: 60 },
  temperature: 0,
  seed: 1,
};

const solvers: readonly (readonly [string, (...said: string[]) => Solver])[] = [
  ['token ids', (...said) => solveByRollout(around(inTurns(...said), { template: searchR1Template }), 1)],
  [
    'text',
    (...said) => {
      const model = fakeTextModel((_, call) => said[Math.min(call, said.length - 1)]!);
      return solveByText({ ...text, mode: 'chat', model });
    },
  ],
];

describe.each(solvers)('the agent over %s', (_, solver) => {
  it('records its answer, its searches with what they found, and every word of the conversation', async () => {
    const attempt = await solver(...turns)(task, patience);
    expect(attempt).toMatchObject({ answer: 'gold', stop: 'answered', calls: 3, wellFormed: true });
    expect(attempt.failure).toBeUndefined();
    expect(attempt.searches).toEqual(['a thing', 'more'].map((query) => ({ query, hits: hitsOf(query) })));
    const [prompt, ...said] = attempt.transcript;
    expect(prompt!.author).toBe('environment');
    expect(prompt!.text).toContain('what is q ?');
    expect(said.map(({ author }) => author)).toEqual(['policy', 'environment', 'policy', 'environment', 'policy']);
    expect(said.filter(({ author }) => author === 'policy').map((one) => one.text.trim())).toEqual(turns);
    expect(said[1]!.text).toContain('all about a thing');
  });

  it('says what went wrong where something failed', async () => {
    const broken: Solver = solver('<search> a thing </search>');
    const attempt = await broken(task, AbortSignal.abort(new Error('stopped')));
    expect(attempt).toMatchObject({ answer: null, stop: 'cancelled' });
    expect(attempt.failure).toMatch(/cancelled/);
  });

  it('has no answer where the model gives none', async () => {
    const attempt = await solver('<search> again </search>')(task, patience);
    expect(attempt).toMatchObject({ answer: null, stop: 'no-answer', wellFormed: false });
    expect(attempt.searches).toHaveLength(defaultLimits.searches);
  });
});

describe('on token ids', () => {
  it('draws follow from seed, suite and question alone', async () => {
    const keys = async (seed: number, suite: string, id: string) => {
      const environment = around(inTurns(turns[2]!));
      await solveByRollout(environment, seed)({ ...task, suite, question: question(id, 'what is it ?') }, patience);
      return environment.policy.calls.map(({ request }) => request.key.join());
    };
    expect(await keys(1, 's', 'q')).toEqual(await keys(1, 's', 'q'));
    const others = await Promise.all([keys(1, 's', 'q'), keys(2, 's', 'q'), keys(1, 't', 'q'), keys(1, 's', 'r')]);
    expect(new Set(others.map(String)).size).toBe(4);
  });

  it('counts the prompt and what the policy wrote', async () => {
    const environment = around(inTurns(...turns), { template: searchR1Template });
    const { promptTokens, newTokens, transcript } = await solveByRollout(environment, 1)(task, patience);
    expect(promptTokens).toBe(tokenizer.encode(transcript[0]!.text).length);
    const said = environment.policy.calls.reduce((sum, { sample }) => sum + sample.ids.length, 0);
    expect(newTokens).toBe(said);
  });
});

describe('a failure', () => {
  const failing =
    (stop: 'sample-failed' | 'search-failed'): Solver =>
    async () => ({
      answer: null,
      stop,
      failure: 'out of memory',
      searches: [],
      transcript: [],
      calls: 0,
      promptTokens: 1,
      newTokens: 0,
      wellFormed: null,
    });

  it('of our own engine stops an evaluation; one of the retriever does not', async () => {
    const stopped = stoppedByItsEngine(failing('sample-failed'))(task, patience);
    await expect(stopped).rejects.toThrow('s: the engine failed at question q: out of memory');
    await expect(stopped).rejects.toMatchObject({ continues: true });
    expect(await stoppedByItsEngine(failing('search-failed'))(task, patience)).toMatchObject({ stop: 'search-failed' });
  });
});
