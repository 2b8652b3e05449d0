/** Outcomes of seeds, held against the summary that is made from the run directories. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { loadTokenizer } from '../checkpoint/tokenizer.ts';
import { hasOutcomes, keepOutcomes, outcomesFile, readSeeds } from './outcomes.ts';
import { type ExperimentRecord, OUTCOMES_FOLDER, readExperiment } from './record.ts';
import { writeExperimentReport } from './report.ts';
import type { Summary } from './schema.ts';
import { summarizeExperiment } from './summary.ts';
import { fixtureArms, writeMadeUpExperiment } from './testing/experiment-fixture.ts';

let root: string;
/** Where it ran, and where nothing but the record and the outcomes were brought. */
let [ran, brought] = ['', ''];
let record: ExperimentRecord;
let fromRuns: Summary;

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'outcomes-'));
  [ran, brought] = [path.join(root, 'ran'), path.join(root, 'brought')];
  const tokenizer = await loadTokenizer(BASE_POLICY);
  await writeMadeUpExperiment(ran, { tokenizer, arms: fixtureArms.slice(0, 3), seeds: 3, questions: 5 });
  await rm(path.join(ran, 'seed-003', 'same-prompt', 'results.json'));
  record = await readExperiment(ran);
  fromRuns = await summarizeExperiment(ran);
  await writeExperimentReport(ran);
  await cp(path.join(ran, OUTCOMES_FOLDER), path.join(brought, OUTCOMES_FOLDER), { recursive: true });
  await cp(path.join(ran, 'experiment.json'), path.join(brought, 'experiment.json'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** The lines of the first seed's outcomes, changed, in a folder of their own. */
async function changed(change: (lines: Record<string, unknown>[]) => unknown[]): Promise<string> {
  const folder = await mkdtemp(path.join(root, 'changed-'));
  const [text, file] = [gunzipSync(await readFile(outcomesFile(ran, 'seed-001'))), outcomesFile(folder, 'seed-001')];
  const lines = text
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  await cp(path.join(ran, 'experiment.json'), path.join(folder, 'experiment.json'));
  await cp(path.join(ran, OUTCOMES_FOLDER), path.join(folder, OUTCOMES_FOLDER), { recursive: true });
  await writeFile(
    file,
    gzipSync(
      change(lines)
        .map((line) => `${JSON.stringify(line)}\n`)
        .join(''),
    ),
  );
  return folder;
}

describe('the outcomes of a seed', () => {
  it('are kept when all of its arms have ended', async () => {
    expect((await readdir(path.join(ran, OUTCOMES_FOLDER))).sort()).toEqual(['seed-001.jsonl.gz', 'seed-002.jsonl.gz']);
    const [first, , third] = record.seeds;
    expect(await hasOutcomes(ran, record, first!)).toBe(true);
    expect(await hasOutcomes(ran, record, third!)).toBe(false);
    // An arm that was added has to be run.
    expect(await hasOutcomes(ran, { ...record, arms: [...record.arms, 'sharpen'] }, first!)).toBe(false);
  });

  it('give the figures of the run directories, without these', async () => {
    const alone = { ...record, seeds: record.seeds.slice(0, 2) };
    await writeFile(path.join(ran, 'experiment.json'), JSON.stringify(alone));
    await rm(path.join(ran, OUTCOMES_FOLDER), { recursive: true });
    const expected = await summarizeExperiment(ran);
    await writeFile(path.join(brought, 'experiment.json'), JSON.stringify(alone));
    expect(await summarizeExperiment(brought)).toEqual(expected);
    expect(expected.missing).toEqual([]);
    await writeFile(path.join(ran, 'experiment.json'), JSON.stringify(record));
    // And with the third seed, which only ran in part, the figures are those from before anything was kept.
    expect(await writeExperimentReport(ran)).toEqual(fromRuns);
  });

  it('make a report where there is no run to show pairs of', async () => {
    await writeExperimentReport(brought);
    expect(await readFile(path.join(brought, 'report.html'), 'utf8')).toContain('No pairs are in the run directories.');
  });

  it('are written once, and the same bytes each time', async () => {
    const file = outcomesFile(ran, 'seed-002');
    const before = await readFile(file);
    await rm(file);
    for (const seed of await readSeeds(ran, record)) await keepOutcomes(ran, record, seed);
    expect((await readFile(file)).equals(before)).toBe(true);
  });

  it.each([
    ['seed', 999, 'seed-001.jsonl.gz: is of another experiment (seed: expected 101, found 999)'],
    ['world', 1, '(world: expected 3001, found 1)'],
    ['weights', 'b', '(weights: expected made up, found b)'],
  ])('of another experiment are refused by %s', async (name, value, message) => {
    const folder = await changed(([header, ...runs]) => [{ ...header, [name]: value }, ...runs]);
    await expect(summarizeExperiment(folder)).rejects.toThrow(message);
  });

  it('of other settings, of another seed and damaged are refused', async () => {
    const settings = record.settings;
    const other = { ...settings, grpo: { ...settings.grpo, groupSize: settings.grpo.groupSize + 1 } };
    await expect(
      summarizeExperiment(await changed(([header, ...runs]) => [{ ...header, settings: other }, ...runs])),
    ).rejects.toThrow('(settings: differ)');
    const renamed = await changed((lines) => lines);
    await cp(outcomesFile(ran, 'seed-001'), outcomesFile(renamed, 'seed-002'));
    await expect(summarizeExperiment(renamed)).rejects.toThrow('is of another experiment (seed: expected 102');
    const short = await changed(([header, ...runs]) => {
      const { questions } = header as { questions: Record<string, string[]> };
      return [{ ...header, questions: { ...questions, nq: questions.nq!.slice(1) } }, ...runs];
    });
    await expect(summarizeExperiment(short)).rejects.toThrow('nq: exactMatch: expected 4 values');
    await expect(summarizeExperiment(await changed(() => []))).rejects.toThrow('is empty');
    const cut = await changed((lines) => lines);
    const bytes = await readFile(outcomesFile(ran, 'seed-001'));
    await writeFile(outcomesFile(cut, 'seed-001'), bytes.subarray(0, bytes.length / 2));
    await expect(summarizeExperiment(cut)).rejects.toThrow('seed-001.jsonl.gz');
  });
});
