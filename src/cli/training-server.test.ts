/** The commands on a training server: a run from question to table, continued, evaluated; refusals at opening; no key in any file. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { KEY, type OpenMock, openMock } from '../engines/tinker/testing/open-mock.ts';
import { RIGHT, worldBigram } from '../engines/tinker/testing/world-bigram.ts';
import { capture, captureStoppedOnce } from './testing/capture.ts';

let folder: string;
let mock: OpenMock;
let data: string[];
let evaluation: string[];
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'training-server-'));
  mock = await openMock('hatchery', {}, await worldBigram());
  const write = async (name: string, rows: readonly object[]) => {
    const file = path.join(folder, name);
    await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return file;
  };
  const questions = (suite: string, count: number) =>
    Array.from({ length: count }, (_, i) => ({
      id: `${suite}${i}`,
      question: 'what is the capital ?',
      answers: [RIGHT],
    }));
  const corpus = await write('corpus.jsonl', [{ id: 'p', title: 'book', text: 'capital author spouse' }]);
  const test = await write('test.jsonl', questions('t', 4));
  data = ['--corpus', corpus, '--template', 'world', '--tokenizer', BASE_POLICY];
  evaluation = ['--questions', `test=${test}`];
  data.push('--questions', await write('train.jsonl', questions('q', 30)), '--evaluate', `test=${test}`);
});
afterAll(async () => {
  await mock.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => vi.stubEnv('TINKER_API_KEY', KEY));

const sets = (...settings: string[]) => settings.flatMap((setting) => ['--set', setting]);
const engine = (...more: string[]) => [
  ...sets(
    'engine.kind=tinker',
    `engine.url=${mock.server.url}`,
    'engine.profile=hatchery',
    `engine.baseModel=${mock.server.baseModel}`,
  ),
  ...sets('engine.loraRank=8', 'engine.context=512', 'engine.unavailableSeconds=1', ...more),
];
/** A run of the smallest size that has every part. */
const small = sets(
  ...['grpo.steps=2', 'grpo.questionsPerStep=3', 'grpo.groupSize=3', 'pool.questions=6', 'pool.rollouts=4'],
  ...[
    'gate.questions=2',
    'distill.maxSteps=2',
    'distill.pairsPerStep=2',
    'guards.heldOutQuestions=2',
    'guards.every=2',
  ],
  ...[
    'evaluation.questions=2',
    'evaluation.searches=2',
    'evaluation.decoding=sampled',
    'grpo.learningRate=0.1',
    'distill.clip=1',
  ],
);
const begin = (...more: string[]) => ['evolve', '--preset', 'smoke', ...engine(), ...small, ...data, ...more];

async function textsIn(place: string): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for (const entry of await readdir(place, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile()) texts.set(path.relative(place, file), await readFile(file, 'latin1'));
  }
  return texts;
}

describe('evolve on a training server', () => {
  const run = () => path.join(folder, 'run');

  it('is stopped, continued, and ends with a table; the record says what the engine was', async () => {
    const hasStepped = () => mock.server.carriedOut.includes('optim_step');
    const stopped = await captureStoppedOnce(hasStepped, ...begin('--out', run()));
    expect([stopped.code, stopped.err]).toEqual([130, expect.stringContaining('--resume')]);
    // Interrupted, the model was given back.
    expect(mock.server.models).toHaveLength(0);
    // What there was by then can be looked at.
    expect(await readFile(path.join(run(), 'report.html'), 'utf8')).toContain('This run was broken off.');
    const { code, out, err } = await capture('evolve', '--resume', run());
    expect([code, err.includes(KEY), out.includes(KEY)]).toEqual([0, false, false]);
    expect(out).toContain('E1 1');
    const config = JSON.parse(await readFile(path.join(run(), 'config.json'), 'utf8'));
    expect(config.engine).toMatchObject({ kind: 'tinker', url: mock.server.url, profile: 'hatchery', loraRank: 8 });
    expect(config.engine.capabilities).toMatchObject({ deterministic: false, checkpoints: 'handles' });
    expect(config.hashes.weights).toBeNull();
    const metrics = (await readFile(path.join(run(), 'metrics.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(metrics.filter(({ stage }) => stage === 'e1-1')[0]).toMatchObject({ lesson: 'tail 20', entropy: null });
    expect(await readFile(path.join(run(), 'report.html'), 'utf8')).not.toMatch(/NaN|undefined|broken off/);
  });

  it('leaves the key in no file', async () => {
    for (const [file, text] of await textsIn(run())) expect(text.includes(KEY), file).toBe(false);
  });

  it('gives a policy that evaluate and ask take from the server', async () => {
    const evaluated = await capture(
      'evaluate',
      '--policy',
      run(),
      ...evaluation,
      '--out',
      path.join(folder, 'evaluated'),
    );
    expect([evaluated.code, evaluated.err]).toEqual([0, expect.any(String)]);
    const asked = await capture('ask', 'what is the capital ?', '--policy', run());
    expect([asked.code, asked.err]).toEqual([0, '']);
  });

  it('cannot be exported, and says where its weights are', async () => {
    const { code, err } = await capture('export', run(), '--out', path.join(folder, 'exported'));
    expect(code).toBe(2);
    expect(err).toContain(mock.server.url);
    expect(err).toContain('engine.json');
  });
});

describe('an experiment on a training server', () => {
  const folderOf = () => path.join(folder, 'experiment');
  const experiment = async (...more: string[]) => {
    const definition = path.join(folder, 'two-arms.json');
    await writeFile(
      definition,
      JSON.stringify({ arms: ['e1', 'grpo-tokens'], preset: 'smoke', settings: { cycles: 1 } }),
    );
    return capture('experiment', definition, ...engine(), ...small, ...data, '--out', folderOf(), ...more);
  };

  it('runs its arms on models of the server, and repeats nothing when it is called again', async () => {
    const { code, out, err } = await experiment('--json');
    expect([code, err.includes(KEY)], err).toEqual([0, false]);
    const { runs } = JSON.parse(out);
    expect(runs.map(({ arm }: { arm: string }) => arm)).toEqual(['e1', 'grpo-tokens']);
    const record = JSON.parse(await readFile(path.join(folderOf(), 'experiment.json'), 'utf8'));
    expect(record).toMatchObject({ weights: null, model: null, data: { evaluate: [{ suite: 'test' }] } });
    const { engine: identity } = JSON.parse(await readFile(path.join(runs[0].directory, 'config.json'), 'utf8'));
    expect(identity).toMatchObject({ kind: 'tinker', url: mock.server.url });
    expect(mock.server.models).toHaveLength(0);
    const carriedOut = mock.server.carriedOut.length;
    expect((await experiment()).code).toBe(0);
    expect(mock.server.carriedOut.length).toBe(carriedOut);
  });

  it('is refused without data that the server’s model can read', async () => {
    const { code, err } = await capture('experiment', 'claims', ...engine(), '--out', path.join(folder, 'none'));
    expect([code, err]).toEqual([2, expect.stringMatching(/engine\.kind is tinker.*--questions/s)]);
  });
});

describe('what cannot be done is refused at opening', () => {
  it.each([
    [
      'no tokenizer',
      () => ['evolve', '--preset', 'smoke', ...engine()],
      /--tokenizer is missing: the one of mock\/bigram/,
    ],
    [
      'a model of its own',
      () => begin('--model', BASE_POLICY),
      /--model: the server at .* has its own, engine\.baseModel/,
    ],
    [
      'another profile’s key',
      () => begin(...sets('engine.profile=verl', 'engine.keyFile=KEYFILE')),
      /only keys that begin with "tml"/,
    ],
    [
      'no adapter to attach',
      () => begin(...sets('engine.loraRank=null', 'engine.profile=skyrl', 'grpo.klCoefficient=0')),
      /distill\.adapter.*Set distill\.adapter=null/s,
    ],
    [
      'no anchor to keep',
      () => begin(...sets('engine.loraRank=null', 'engine.profile=skyrl')),
      /grpo\.klCoefficient.*Set grpo\.klCoefficient=0/s,
    ],
    [
      'another divergence',
      () => begin(...sets('distill.objective=jsd')),
      /distill\.objective=jsd.*Set distill\.objective=forward-kl/s,
    ],
    [
      'http beyond this machine',
      () => begin(...sets('engine.url=http://192.0.2.1:8000')),
      /192\.0\.2\.1:8000 would be reached without encryption/,
    ],
    [
      'a password in the address',
      () => begin(...sets('engine.url=http://me:pw@127.0.0.1:8000')),
      /^(?!.*pw@).*given with a user or password/s,
    ],
    ['no server there', () => begin(...sets('engine.url=http://127.0.0.1:9')), /127\.0\.0\.1:9.*engine\.url/s],
  ])('%s', async (_, argv, message) => {
    const keyFile = path.join(folder, 'key');
    await writeFile(keyFile, 'another-key\n');
    const { code, err } = await capture(...argv().map((word) => word.replace('KEYFILE', keyFile)));
    expect([code, err]).toEqual([2, expect.stringMatching(message)]);
  });

  it('a model that the server does not have', async () => {
    const listing = await openMock('skyrl', {}, await worldBigram());
    const { code, err } = await capture(
      ...begin(...sets(`engine.url=${listing.server.url}`, 'engine.profile=skyrl', 'engine.baseModel=other/model')),
    );
    await listing.close();
    expect([code, err]).toEqual([
      2,
      expect.stringMatching(/engine\.baseModel: .* has no model other\/model\n.*mock\/bigram/s),
    ]);
  });

  it('a wrong key', async () => {
    vi.stubEnv('TINKER_API_KEY', 'wrong-key');
    const { code, err } = await capture(...begin());
    expect([code, err]).toEqual([2, expect.stringMatching(/\(401\): Invalid API key\n.*TINKER_API_KEY/s)]);
    expect(err).not.toContain('wrong-key');
  });
});

describe('doctor --engine', () => {
  const doctor = (profile: string, url: string, ...more: string[]) =>
    capture(
      'doctor',
      '--preset',
      'smoke',
      '--engine',
      url,
      '--tokenizer',
      BASE_POLICY,
      ...sets(`engine.profile=${profile}`, `engine.baseModel=${mock.server.baseModel}`, 'engine.loraRank=8', ...more),
    );

  it('says what of the method the server can do', async () => {
    const { code, out } = await doctor('hatchery', mock.server.url);
    expect(code).toBe(0);
    expect(out).toContain('all others as one (20)');
    expect(out).toMatch(/Fresh optimiser a stage +yes, as it shows/);
    expect(out).toContain('A run with these settings would be taken.');
    const refused = await doctor('hatchery', mock.server.url, 'distill.objective=jsd');
    expect(refused.out).toMatch(/A run with these settings would be refused: distill\.objective=jsd/);
  });

  it('sees a sampler that draws from another distribution, and tables that are cut in silence', async () => {
    const cut = await doctor(
      'hatchery',
      mock.server.url,
      'engine.overrides.topKAll=minus-one',
      'engine.overrides.temperatureOne=1',
    );
    expect([cut.code, cut.err + cut.out]).toEqual([expect.any(Number), expect.stringMatching(/nats off/)]);
    const other = await openMock('openrl', {}, await worldBigram());
    const tables = await doctor(
      'openrl',
      other.server.url,
      'engine.overrides.softTargets=signed',
      'engine.overrides.topLogprobs=20',
    );
    await other.close();
    expect(tables.out).toMatch(
      /Tables of soft targets +[\d.]+e[-+]\d+ nats off single ones: they are not taken as they are sent/,
    );
  });
});
