/** The user's own questions, passages and tokenizer go through warm-up and the whole loop, at the smallest size. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { wordTokenizerJson } from '../checkpoint/word-tokenizer.ts';
import { RunFiles } from '../runs/run-files.ts';
import { capture } from './testing/capture.ts';

const towns = ['arlen', 'bestrun', 'corvil', 'dunmar', 'elsper', 'fonwick', 'garlow', 'hestel'];
const people = ['ada', 'bruno', 'carla', 'dario', 'elena', 'fabio', 'greta', 'hugo'];

let folder: string;
const at = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'own-data-'));
  const lines = (values: object[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('');
  const question = (i: number, from: string) => ({
    id: `${from}${i}`,
    question: `who founded ${towns[i]} ?`,
    answers: [people[i]!],
    gold_ids: [`p${i}`],
  });
  const passages = towns.map((town, i) => ({
    id: `p${i}`,
    title: town,
    text: `${town} was founded by ${people[i]} .`,
  }));
  await writeFile(at('train.jsonl.gz'), gzipSync(lines(towns.slice(0, 6).map((_, i) => question(i, 'train')))));
  await writeFile(at('test.jsonl'), lines([question(6, 'test'), question(7, 'test')]));
  await writeFile(at('passages.jsonl'), lines(passages));
  const words = [
    ...towns,
    ...people,
    ...'who was founded by ? . : [ ] not found i need to find it is the answer so'.split(' '),
  ];
  const tags = ['think', 'search', 'information', 'answer'].flatMap((tag) => [`<${tag}>`, `</${tag}>`]);
  await writeFile(at('tokenizer.json'), wordTokenizerJson([...new Set(words)], [...tags, '<unk>', '<pad>']));
  const template = {
    name: 'towns',
    student: '{question}',
    teacher: '{question} {expert}',
    chat: false,
    observation: ' <information> {passages} </information> ',
    passage: '[ {title} ] {text}',
    separator: ' ',
    nothingFound: 'not found',
    invalidAction: ' <information> not found </information> ',
  };
  await writeFile(at('template.json'), JSON.stringify(template));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('warms up, evolves, measures and reports', async () => {
  const set = (...changes: string[]) => changes.flatMap((change) => ['--set', change]);
  const data = [
    '--questions',
    at('train.jsonl.gz'),
    '--corpus',
    at('passages.jsonl'),
    '--template',
    at('template.json'),
    '--threads',
    '1',
  ];
  const phases = [
    { kind: 'reading', steps: 2, articles: 1, statements: 1 },
    { kind: 'demonstrations', steps: 2, imitation: 0.5 },
  ];
  const model = {
    hidden: 32,
    layers: 1,
    heads: 2,
    keyValueHeads: 1,
    headSize: 16,
    intermediate: 32,
    contextLength: 160,
  };
  const recipe = set(
    `phases=${JSON.stringify(phases)}`,
    ...Object.entries(model).map(([name, value]) => `model.${name}=${value}`),
    'model.copyingHead=false',
    'batchTokens=200',
    'lookup={"searches":1,"passages":1,"observationTokens":30}',
  );
  const warmup = ['warmup', ...data, '--tokenizer', at('tokenizer.json'), '--out', at('base')];
  const warmed = await capture(...warmup, ...recipe, '--json');
  expect(warmed.err).toContain('step 1/4');
  expect(warmed.code).toBe(0);
  expect(JSON.parse(warmed.out)).toMatchObject({ directory: at('base'), manifest: { steps: 4 } });
  const again = await capture(...warmup);
  expect(again).toMatchObject({ code: 2 });
  expect(again.err).toContain('holds a finished policy');

  const taught = [
    { kind: 'reader', steps: 1, passages: 1, unknown: 0.2 },
    { kind: 'agent', steps: 2, unknown: 0.2, imitation: 0.3 },
  ];
  const pretrained = ['warmup', ...data, '--model', at('base'), '--out', at('taught')];
  const small = set(
    `phases=${JSON.stringify(taught)}`,
    'adapter={"rank":2,"alpha":4}',
    'contextTokens=160',
    'batchTokens=200',
    'lookup={"searches":1,"passages":1,"observationTokens":30}',
    'heldOut={"questions":1,"every":1}',
    'measured={"questions":2,"samples":2}',
  );
  const estimated = await capture(...pretrained, ...small, '--dry-run');
  expect(estimated.err).toMatch(/3 steps: about \d+:\d\d of training and measuring/);
  const { code, out, err } = await capture(...pretrained, ...small, '--json');
  expect(err).toMatch(/step 1: held-out loss \d/);
  expect(code).toBe(0);
  const { manifest } = JSON.parse(out);
  expect(manifest).toMatchObject({ steps: 3, measured: { questions: 2, samples: 2, failures: 0 } });
  // The folder opens by itself: it has its tokenizer.
  expect((await capture('doctor', '--model', at('taught'), '--threads', '1')).code).toBe(0);

  const settings = set(
    'cycles=1',
    'grpo.steps=1',
    'grpo.questionsPerStep=2',
    'grpo.groupSize=2',
    'pool.questions=2',
    'pool.rollouts=2',
    'gate.questions=1',
    'guards.heldOutQuestions=1',
    'evaluation.searches=1',
    'evaluation.decoding=greedy',
    'rollout.searches=1',
    'rollout.passages=1',
    'rollout.turnTokens=8',
    'rollout.responseTokens=16',
    'rollout.observationTokens=30',
    'rollout.contextTokens=160',
    'distill.expertTokens=40',
  );
  const evolve = ['evolve', ...data, '--model', at('base'), '--evaluate', `towns=${at('test.jsonl')}`];
  const tooFew = await capture(...evolve, ...settings, '--set', 'grpo.questionsPerStep=6', '--out', at('too-few'));
  expect(tooFew).toMatchObject({ code: 2 });
  expect(tooFew.err).toContain('too few');

  const dry = await capture(...evolve, ...settings, '--dry-run');
  expect(dry).toMatchObject({ code: 0, err: '' });
  expect(dry.out).toContain('"questionsPerStep": 2');
  expect(dry.out).toMatch(/Estimate[\s\S]*all +\d+:\d\d[\s\S]*rollouts\/s[\s\S]*memory/);

  // A policy of four steps is never right: the run says that nothing was learned, and keeps what it measured.
  const first = await capture(...evolve, ...settings, '--out', at('run'), '--details');
  expect(first.err).toContain('stage 1/7 evaluate-base');
  expect(first.out).toMatch(
    /Exact match[\s\S]*towns[\s\S]*GRPO 1: 1 step[\s\S]*Nothing was learned[\s\S]*report\.html/,
  );
  expect(first.err).toMatch(/no rollout was right, .* kept the form .* in \d+ % of its rollouts\n.*search-e1 warmup/);
  expect(first.code).toBe(2);
  expect(await readFile(at('run/report.html'), 'utf8')).toContain('who founded');
  const config = await new RunFiles(at('run')).config();
  expect(config.inputs.questions).toBe(at('train.jsonl.gz'));

  // A run that has ended prints its results again.
  const ended = await capture('evolve', '--resume', at('run'), '--json');
  expect(ended.code).toBe(2);
  const document = JSON.parse(ended.out);
  expect(document.results).toEqual(await new RunFiles(at('run')).results());
  expect(document.files.report).toBe(at('run/report.html'));

  const taken = await capture(...evolve, ...settings, '--out', at('run'));
  expect(taken).toMatchObject({ code: 2 });
  expect(taken.err).toContain('--resume');
  await writeFile(at('passages.jsonl'), `${JSON.stringify({ id: 'p0', title: 'arlen', text: 'something else' })}\n`);
  const changed = await capture('evolve', '--resume', at('run'));
  expect(changed).toMatchObject({ code: 2 });
  expect(changed.err).toMatch(/corpus \(.*passages\.jsonl\) changed since the run began/);
});
