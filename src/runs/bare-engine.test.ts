/**
 * The whole loop on a bare engine that keeps the contract and gives nothing beyond it (policy/testing/bigram-policy.ts): it
 * learns, it is broken off and continued, and all that it writes can be read back.
 *
 * The policy is a table over words: from the question or a passage to a search or an answer, and so on to the end of the turn.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import { evolve } from '../evolve/evolve.ts';
import type { EvolveEvent } from '../evolve/journal.ts';
import { presets } from '../evolve/presets.ts';
import type { Results } from '../evolve/results.ts';
import type { Settings } from '../evolve/settings.ts';
import { bigramPolicy } from '../policy/testing/bigram-policy.ts';
import { worldTemplate } from '../protocol/templates.ts';
import { findsAll, question } from '../rollout/testing/environment.ts';
import { readReportInput, renderReport } from './report.ts';
import { RunDirectory } from './run-directory.ts';
import { smallConfig } from './testing/run-fixture.ts';

const words = [
  ...['<q>', '</q>', '<ref>', '</ref>', '<think>', '</think>', '<search>', '</search>', '<information>'],
  ...['</information>', '<answer>', '</answer>', 'gold', 'tin', 'egg', '<unk>'],
];
const id = (word: string) => words.indexOf(words.includes(word) ? word : '<unk>');
const tokenizer: Tokenizer = {
  vocabulary: words.length,
  pieces: words.map((word) => ` ${word}`),
  encode: (text) => text.split(/\s+/).filter(Boolean).map(id),
  decode: (ids) => ids.map((each) => words[each]).join(' '),
  chat: () => undefined,
  start: [],
  endTokens: [],
  hash: 'words',
  notes: [],
};

/** Where a turn goes from a word, each way alike; any other way is all but impossible. */
const ways: Readonly<Record<string, readonly string[]>> = {
  '</q>': ['<search>', '<answer>'],
  '</ref>': ['<search>', '<answer>'],
  '</information>': ['<search>', '<answer>', '<answer>'],
  '<search>': ['egg'],
  egg: ['</search>'],
  '<answer>': ['gold', 'tin'],
  gold: ['</answer>'],
  tin: ['</answer>'],
};
const logit = (previous: number, next: number) =>
  6 * (ways[words[previous]!] ?? []).filter((word) => word === words[next]).length;

const { smoke } = presets;
const settings: Settings = {
  ...smoke,
  cycles: 1,
  rollout: { ...smoke.rollout, searches: 2 },
  grpo: { ...smoke.grpo, steps: [8], questionsPerStep: 6, groupSize: 4, learningRate: 0.2, warmupSteps: 0 },
  pool: { ...smoke.pool, questions: 20 },
  gate: { ...smoke.gate, questions: 4 },
  distill: { ...smoke.distill, adapter: null, pairsPerStep: 4, maxSteps: 3, learningRate: 0.05 },
  evaluation: { ...smoke.evaluation, questions: 20, searches: [2] },
  guards: { ...smoke.guards, heldOutQuestions: 6, every: 4, window: 3 },
};
const questions = Array.from({ length: 40 }, (_, i) => question(`q${i}`));
const suites = [{ name: 'test', questions: Array.from({ length: 20 }, (_, i) => question(`t${i}`)) }];

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'bare-engine-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** One sitting on a run directory; it is broken off at the training step with this number of its own. */
async function sit(name: string, breakAt = Number.POSITIVE_INFINITY): Promise<{ results: Results; notes: string[] }> {
  const folder = path.join(root, name);
  const isNew = !(await readdir(root)).includes(name);
  const directory = isNew
    ? await RunDirectory.create(folder, { ...smallConfig(), settings })
    : await RunDirectory.open(folder);
  const policy = bigramPolicy({ pieces: tokenizer.pieces, contextLength: 256, logit });
  const retriever = { ...findsAll, info: { kind: 'toy', passages: 2, corpusHash: '', settings: {} } };
  const setup = { policy, tokenizer, template: worldTemplate, retriever, trainingQuestions: questions, suites };
  const controller = new AbortController();
  const notes: string[] = [];
  let steps = 0;
  const onEvent = (event: EvolveEvent) => {
    if (event.kind === 'note') notes.push(event.text);
    if (event.kind === 'step' && ++steps === breakAt) controller.abort();
  };
  try {
    const { results } = await evolve(setup, settings, directory, { onEvent, signal: controller.signal });
    return { results, notes };
  } finally {
    await directory.close();
    await policy.close();
  }
}

/** What a run directory holds, without times and states. */
async function contents(name: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const entry of await readdir(path.join(root, name), { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (!entry.isFile() || entry.name === 'timing.json' || file.includes('checkpoints')) continue;
    files[path.relative(path.join(root, name), file)] = (await readFile(file)).toString('base64');
  }
  return files;
}

describe('a run on a bare engine', () => {
  let whole: Awaited<ReturnType<typeof sit>>;
  beforeAll(async () => {
    whole = await sit('whole');
  });

  it('learns, through every stage', () => {
    const { measurements, outcomes, pools } = whole.results;
    expect(outcomes.map(({ stage, stoppedBy }) => [stage, stoppedBy])).toEqual([
      ['grpo-1', 'steps'],
      ['e1-1', 'steps'],
    ]);
    expect(outcomes[0]!.steps).toBe(8);
    expect(pools[0]!.pairs).toBeGreaterThan(4);
    const sampled = measurements
      .filter(({ mode }) => mode.decoding === 'sampled')
      .map(({ mean }) => mean.exactMatch!.mean);
    expect(sampled[1]).toBeGreaterThan(sampled[0]! + 0.1);
  });

  it('says that no entropy is watched', () => {
    expect(whole.notes.filter((note) => note.includes('no entropy'))).toHaveLength(1);
  });

  it('can be read: metrics, pairs and report, with null for what was not measured', async () => {
    const { files } = await RunDirectory.open(path.join(root, 'whole')).then(async (directory) => {
      await directory.close();
      return directory;
    });
    const metrics = await files.metrics();
    for (const stage of ['grpo-1', 'e1-1'])
      for (const record of metrics.filter((one) => one.stage === stage))
        expect(record).toMatchObject({ entropy: null, gradientNorm: null, skipped: 0 });
    const shards = await files.pairShards();
    expect(shards.length).toBeGreaterThan(0);
    for (const shard of shards) for (const { kl } of (await files.pairs(shard))!) expect(kl).toBeNull();
    const page = renderReport(await readReportInput(files), tokenizer);
    expect(page).toContain('divergence not measured');
    expect(page).not.toMatch(/NaN|undefined/);
  });

  it('is broken off in each stage of training and continued to the same bytes', async () => {
    for (const breakAt of [2, 5, 3, 1]) await expect(sit('broken', breakAt)).rejects.toThrow('interrupted');
    const { results } = await sit('broken');
    expect(results).toEqual(whole.results);
    expect(await contents('broken')).toEqual(await contents('whole'));
  });
});
