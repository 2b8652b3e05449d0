import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { loadTokenizer } from '../checkpoint/tokenizer.ts';
import { type Script, scriptedServer } from '../engines/openai/testing/scripted-server.ts';
import { capture } from './testing/capture.ts';

let folder: string;
let corpus: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ask-'));
  corpus = path.join(folder, 'passages.jsonl');
  await writeFile(
    corpus,
    '{"id":"1","title":"Faust","text":"Faust is a play by Goethe."}\n{"id":"2","title":"Hamlet","text":"A play."}\n',
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Searches, then answers with what the observation says. */
const reader: Script = ({ messages }) =>
  messages.length === 1
    ? '<think> look </think> <search> who wrote Faust </search>'
    : `<answer> ${/play by (\w+)/.exec(messages.at(-1)!.content)?.[1] ?? 'lost'} </answer>`;

async function askServed(script: Script, ...argv: string[]) {
  const server = await scriptedServer(script);
  try {
    const served = ['--policy', server.url, '--retriever', corpus];
    return { ...(await capture('ask', 'who wrote Faust?', ...served, ...argv)), asked: server.asked };
  } finally {
    await server.close();
  }
}

describe('search-e1 ask', () => {
  it('asks the embedded policy in its world, the same each time, however the question is spelled', async () => {
    const first = await capture('ask', "What is person firo fuzir's birthplace?", '--json');
    expect(first.code).toBe(0);
    const said = JSON.parse(first.out);
    expect(said).toMatchObject({
      schema: 1,
      policy: { engine: 'onnx', name: 'base', deterministic: true },
      template: { name: 'world' },
      mode: 'ids',
      prompt: "<q> what is person firo fuzir 's birthplace ? </q>",
      stop: 'answered',
      answer: 'zavan zezul',
    });
    const tokenizer = await loadTokenizer(BASE_POLICY);
    const { ids, mask, logprobs } = said.tokens;
    expect([mask.length, logprobs.length]).toEqual([ids.length, ids.length]);
    const segments = said.segments as { text: string }[];
    expect(tokenizer.decode(ids)).toBe(segments.map(({ text }) => text).join(' '));
    // What a person read meanwhile.
    expect(first.err).toContain('answer   zavan zezul\n');
    expect(first.err).toContain(
      `search   ${said.searches[0].query}\n         1. ${said.searches[0].passages[0].title}\n`,
    );

    const again = await capture('ask', "what is person firo fuzir 's birthplace ?");
    expect(again).toMatchObject({ code: 0, err: '' });
    const timeless = (text: string) => text.replace(/[\d.]+ s\n/, '');
    expect(timeless(again.out)).toBe(timeless(first.err));
  });

  it('judges an answer where gold answers are known: of the world, and of files', async () => {
    const world = await capture('ask', "what is person firo fuzir 's birthplace ?");
    expect(world.out).toMatch(/answer {3}zavan zezul\nright {4}gold answer: zavan zezul\n/);
    const questions = path.join(folder, 'questions.jsonl');
    await writeFile(questions, '{"id":"1","question":"who wrote Faust?","answers":["Goethe","J. W. Goethe"]}\n');
    const right = await askServed(reader, '--questions', questions);
    expect(right.out).toMatch(/answer {3}Goethe\nright {4}gold answer: Goethe \| J\. W\. Goethe\n/);
    const wrong = await askServed(() => '<answer> Schiller </answer>', '--questions', questions, '--json');
    expect(JSON.parse(wrong.out)).toMatchObject({
      answer: 'Schiller',
      gold: ['Goethe', 'J. W. Goethe'],
      exactMatch: 0,
    });
    expect(wrong.err).toContain('wrong    gold answer: Goethe | J. W. Goethe\n');
    const unknown = await askServed(reader, '--json');
    expect(JSON.parse(unknown.out)).toMatchObject({ gold: null, exactMatch: null });
    expect((await capture('ask', 'why?', '--questions', path.join(folder, 'none.jsonl'))).code).toBe(2);
  });

  it('says what the server said, what to do about it, and what the model did not say', async () => {
    const absent = await askServed(() => ({ fault: 'status', status: 404, message: 'no such model' }));
    expect(absent.err).toMatch(
      /^search-e1: http.*: 404 no such model\nIs this the base URL .*\/models lists what is served\.\n$/,
    );
    const thinking = await askServed(() => ({ reasoning: 'Goethe, I think', text: '' }));
    expect(thinking.out).toContain("note     3 replies held the model's thinking alone");
    const long = await askServed(reader, '--context-tokens', '40');
    expect(long.code).toBe(2);
    expect(long.err).toMatch(/the prompt of \d+ tokens leaves no room for a turn in a context of 40\n/);
  });

  it('says which words the embedded policy does not have, and what can be asked', async () => {
    const { code, out, err } = await capture('ask', 'Who wrote Hamlet?');
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/has no word for who, wrote, hamlet\nAsk it, for example:\n {2}\S.*\n {2}\S.*\n {2}\S/);
  });

  it('asks a served model over passages of the user', async () => {
    const { code, out, err, asked } = await askServed(reader, '-k', '1', '--temperature', '0.5');
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(
      /^think {4}look\nsearch {3}who wrote Faust\n {9}1\. Faust\nanswer {3}Goethe\n {9}1 search, \d+ tokens, [\d.]+ s\n$/,
    );
    expect(asked[0]!.body).toMatchObject({ temperature: 0.5, max_tokens: 500 });
  });

  it('prints one document with the whole trajectory', async () => {
    const { code, out } = await askServed(reader, '--json', '--turn-tokens', '1000');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      question: 'who wrote Faust?',
      policy: { engine: 'openai', name: 'scripted', weights: null, deterministic: false },
      mode: 'chat',
      answer: 'Goethe',
      grounded: true,
      wellFormed: true,
      limits: { turnTokens: 1000, responseTokens: 5000, contextTokens: 6596 },
      segments: [{ author: 'policy' }, { author: 'environment' }, { author: 'policy' }],
    });
  });

  it('continues a raw text where that is asked for', async () => {
    const { out, asked } = await askServed(() => '<answer> x </answer>', '--raw', '--json');
    expect(JSON.parse(out)).toMatchObject({ mode: 'raw', answer: 'x' });
    expect(asked[0]!.body).toHaveProperty('prompt');
  });

  it('fails with exit code 2 when the model fails, and says how', async () => {
    const refusing: Script = () => ({ fault: 'status', status: 400, message: 'no such thing' });
    const { code, out, err } = await askServed(refusing, '--json');
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/^search-e1: http.*: 400 no such thing\n$/);
  });

  it.each([
    ['an empty question', ['  '], /the question is empty/],
    ['a server that is not there', ['why?', '--policy', 'http://127.0.0.1:1/v1#m'], /no connection/],
    ['a policy that is nowhere', ['why?', '--policy', 'nowhere'], /nowhere/],
    ['a temperature that is none', ['why?', '--temperature', 'warm'], /number of at least 0/],
    [
      'an unset key',
      ['why?', '--policy', 'http://x/v1#m', '--api-key-env', 'NO_SUCH_KEY'],
      /NO_SUCH_KEY: this variable is not set/,
    ],
  ])('refuses %s', async (_, argv, message) => {
    const { code, out, err } = await capture('ask', ...argv);
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(message);
    expect(err).not.toContain('    at ');
  });
});
