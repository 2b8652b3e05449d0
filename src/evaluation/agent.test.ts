/** A search agent ready to be asked, and an evaluation ready to begin: what they open, say of themselves, and do. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../base/files.ts';
import { promptedBaselines } from '../baselines/all.ts';
import { questionsHash } from '../benchmarks/questions.ts';
import {
  type Asked as AskedOfServer,
  type ScriptedServer,
  scriptedServer,
} from '../engines/openai/testing/scripted-server.ts';
import { builtInTemplates } from '../protocol/templates.ts';
import type { RolloutEvent } from '../rollout/turns.ts';
import { evaluationQuestions } from '../world/suites.ts';
import { type Agent, type AgentOptions, openAgent } from './agent.ts';
import { type EvaluationInputs, type OpenedEvaluation, openEvaluation } from './open-evaluation.ts';

let folder: string;
let server: ScriptedServer;
let corpus: string;
let questions: string;
/** Searches first, then answers what was asked for, whatever it found. */
const script = ({ messages }: AskedOfServer) =>
  messages.length > 1
    ? '<think> found </think> <answer> gold </answer>'
    : '<think> look </think> <search> egg </search>';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'agent-'));
  server = await scriptedServer(script);
  corpus = path.join(folder, 'corpus.jsonl');
  await writeFile(corpus, '{"id": "1", "title": "A", "text": "the gold egg"}\n');
  questions = path.join(folder, 'questions.jsonl');
  const line = (id: string, answer: string) => JSON.stringify({ id, question: `what is ${id} ?`, answers: [answer] });
  await writeFile(questions, `${line('a', 'gold')}\n${line('b', 'tin')}\n`);
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function withAgent<T>(options: AgentOptions, work: (agent: Agent) => Promise<T>): Promise<T> {
  const agent = await openAgent({ threads: 1, ...options });
  try {
    return await work(agent);
  } finally {
    await agent.close();
  }
}

describe('an agent', () => {
  it('of the embedded base answers, the same to the same question and seed, and says what its answers depend on', () =>
    withAgent({}, async (agent) => {
      const [question] = evaluationQuestions(agent.world!, 'nq', 1);
      const one = await agent.ask(question!.question);
      expect(one).toMatchObject({ question: question!.question, mode: 'ids' });
      expect(one.tokens!.ids).toHaveLength(one.tokens!.mask.length);
      expect(one.newTokens).toBe(one.tokens!.mask.filter((author) => author === 1).length);
      expect(one.segments.map(({ text }) => text).join('')).toContain(one.answer ?? '');
      const { seconds: _, ...rest } = await agent.ask(question!.question);
      const { seconds: __, ...first } = one;
      expect(rest).toEqual(first);
      expect(agent.about).toMatchObject({
        policy: { engine: 'onnx', name: 'base', deterministic: true },
        template: {
          name: 'world',
          sha256: sha256(JSON.stringify(builtInTemplates.find(({ name }) => name === 'world'))),
        },
        temperature: 0,
        seed: 1,
      });
    }));

  it('of a world reads questions as people write them, and says which words it does not know', () =>
    withAgent({}, async (agent) => {
      const { question } = evaluationQuestions(agent.world!, 'nq', 1)[0]!;
      const written = `${question[0]!.toUpperCase()}${question.slice(1)}`.replace(/ \?$/, '?').replace(/ 's/g, "'s");
      expect(written).not.toBe(question);
      expect((await agent.ask(written)).tokens).toEqual((await agent.ask(question)).tokens);
      expect(agent.unknownWords(written)).toEqual([]);
      expect(agent.unknownWords('Who wrote Faust?')).toEqual(['who', 'wrote', 'faust']);
    }));

  it('draws other answers for other seeds, when it draws at all', async () => {
    const texts = await Promise.all(
      [1, 2, 3, 4].map((seed) =>
        withAgent({ seed, temperature: 1 }, async (agent) => {
          const [question] = evaluationQuestions(agent.world!, 'musique', 1);
          return (await agent.ask(question!.question)).segments.map(({ text }) => text).join('');
        }),
      ),
    );
    expect(new Set(texts).size).toBeGreaterThan(1);
  });

  it('that is served is followed word by word, and counts what the server counts', () =>
    withAgent({ policy: server.url, retriever: corpus }, async (agent) => {
      const events: RolloutEvent[] = [];
      const asked = await agent.ask('What is gold?', { onEvent: (event) => events.push(event) });
      expect(asked).toMatchObject({ mode: 'chat', answer: 'gold', stop: 'answered', wellFormed: true, grounded: true });
      expect(asked.searches).toMatchObject([{ query: 'egg', passages: [{ id: '1', title: 'A' }] }]);
      expect(asked.tokens).toBeUndefined();
      expect(asked.newTokens).toBeGreaterThan(0);
      const text = events.flatMap((event) => (event.kind === 'text' ? [event.piece] : [])).join('');
      expect(text).toContain('<search> egg </search>');
      expect(events.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['search', 'found']));
      // No vocabulary of words: nothing is unknown to it, and nothing is respelled.
      expect(agent.unknownWords('Faust')).toEqual([]);
      expect(asked.prompt).toContain('What is gold?');
    }));

  it('gives a failure as the reason why it ended', async () => {
    const broken = await scriptedServer(() => ({ fault: 'status', status: 400, message: 'no such thing' }));
    try {
      await withAgent({ policy: broken.url, retriever: corpus }, async (agent) => {
        const asked = await agent.ask('What?');
        expect(asked).toMatchObject({ stop: 'sample-failed', answer: null });
        expect(asked.failure).toContain('no such thing');
      });
    } finally {
      await broken.close();
    }
  });
});

const inputs = (changes: Partial<EvaluationInputs>): EvaluationInputs => ({
  policy: undefined,
  retriever: undefined,
  template: undefined,
  concurrency: 2,
  threads: 1,
  baselines: ['agent'],
  suites: [],
  files: [],
  data: folder,
  limit: undefined,
  seed: 1,
  temperature: 0,
  searches: undefined,
  passages: undefined,
  turnTokens: undefined,
  ...changes,
});

async function withEvaluation<T>(
  changes: Partial<EvaluationInputs>,
  work: (evaluation: OpenedEvaluation) => Promise<T>,
): Promise<T> {
  const opened = await openEvaluation(inputs(changes));
  try {
    return await work(opened);
  } finally {
    await opened.close();
  }
}

describe('an evaluation', () => {
  const own = () => ({ policy: server.url, retriever: corpus, files: [{ name: 'own', file: questions }] });

  it('of nothing named is of the embedded world', () =>
    withEvaluation({ limit: 3 }, async ({ conditions, suites }) => {
      expect(suites).toHaveLength(7);
      expect(suites.every(({ name, questions }) => name.startsWith('world-') && questions.length === 3)).toBe(true);
      expect(conditions.model).toMatchObject({ engine: 'onnx', mode: 'ids', name: 'base', deterministic: true });
      expect(conditions.model.weights).toMatch(/^[0-9a-f]{64}$/);
    }));

  it('records all that its scores depend on', () =>
    withEvaluation(
      { ...own(), baselines: ['agent', 'direct'], searches: 2, passages: 1, seed: 7, temperature: 0.5 },
      async (one) => {
        const { conditions, suites } = one;
        expect(conditions.model).toEqual({
          engine: 'openai',
          name: 'scripted',
          mode: 'chat',
          weights: null,
          tokenizer: null,
          deterministic: false,
        });
        expect(conditions.decoding).toEqual({ temperature: 0.5, seed: 7 });
        expect(conditions.limits).toMatchObject({ searches: 2, passages: 1 });
        expect(conditions.retriever).toMatchObject({ passages: 1 });
        expect(conditions.suites).toEqual([
          { name: 'own', questions: 2, of: 2, hash: questionsHash(suites[0]!.questions) },
        ]);
        expect(conditions.prompts).toEqual({
          agent: sha256(JSON.stringify(builtInTemplates.find(({ name }) => name === 'search-r1'))),
          direct: sha256(JSON.stringify(promptedBaselines.direct.prompts)),
        });
      },
    ));

  it('solves a question as the agent and by a baseline', () =>
    withEvaluation({ ...own(), baselines: ['agent', 'direct'] }, async ({ suites, solve }) => {
      const [question] = suites[0]!.questions;
      const { signal } = new AbortController();
      const agent = await solve({ baseline: 'agent', suite: 'own', question: question! }, signal);
      expect(agent).toMatchObject({ answer: 'gold', stop: 'answered', calls: 2 });
      expect(agent.searches[0]!.hits[0]!.passage.text).toBe('the gold egg');
      const direct = await solve({ baseline: 'direct', suite: 'own', question: question! }, signal);
      expect(direct.searches).toEqual([]);
      expect(direct.calls).toBe(1);
    }));

  it('on the embedded engine goes by token ids, baselines too', () =>
    withEvaluation({ limit: 1, baselines: ['agent', 'direct'], suites: ['world-nq'] }, async ({ suites, solve }) => {
      const [question] = suites[0]!.questions;
      const { signal } = new AbortController();
      const agent = await solve({ baseline: 'agent', suite: suites[0]!.name, question: question! }, signal);
      expect(agent.newTokens).toBeGreaterThan(0);
      expect(agent.transcript.length).toBeGreaterThan(1);
      const direct = await solve({ baseline: 'direct', suite: suites[0]!.name, question: question! }, signal);
      expect(direct.newTokens).toBeGreaterThan(0);
    }));

  it('is refused before anything large is opened where a name is mistyped', async () => {
    await expect(openEvaluation(inputs({ suites: ['natural'], policy: 'nowhere' }))).rejects.toThrow(
      /no benchmark natural/,
    );
  });

  it('has to be told its questions where no world is searched', async () => {
    await expect(openEvaluation(inputs({ policy: server.url, retriever: corpus }))).rejects.toMatchObject({
      message: expect.stringContaining('no questions'),
      hint: expect.stringContaining('--suites'),
    });
  });
});
