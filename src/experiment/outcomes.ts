/**
 * DIR/outcomes/seed-001.jsonl.gz: what the summary needs of a seed whose arms have all ended, question by question. With it a seed counts
 * as run, wherever it ran: an experiment goes on in another folder, on another machine, after its run directories are gone.
 * A first line says what was run, then there is a line for each arm.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { gzipSync } from 'node:zlib';
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { readJsonLines, writeFileAtomic } from '../base/files.ts';
import { settingsSchema } from '../evolve/settings.ts';
import { hashesSchema, presentVersions, versionsSchema } from '../runs/config-record.ts';
import { RunFiles } from '../runs/run-files.ts';
import { parseAs } from '../runs/schemas.ts';
import { type CollectedRun, collectRun, type Score, type SuiteScores } from './collect.ts';
import { type ExperimentRecord, OUTCOMES_FOLDER } from './record.ts';
import { measures, runSchema } from './schema.ts';

type Seed = ExperimentRecord['seeds'][number];

const headerSchema = z.strictObject({
  schema: z.literal(1),
  seed: z.int(),
  world: z.int(),
  /** SHA-256 of the base policy's weights; null where a training server has them. */
  weights: z.string().nullable(),
  /** Those of the experiment, before an arm's own. */
  settings: settingsSchema,
  versions: versionsSchema,
  /** By suite, in the order in which the arms have their scores. */
  questions: z.record(z.string(), z.array(z.string())),
});
type Header = z.infer<typeof headerSchema>;

/** Of each question; null where nothing could be said. */
const scores = z.strictObject(
  Object.fromEntries(measures.map((measure) => [measure, z.array(z.number().nullable())])) as Record<
    (typeof measures)[number],
    z.ZodArray<z.ZodNullable<z.ZodNumber>>
  >,
);
const armSchema = z.strictObject({
  settings: settingsSchema,
  hashes: hashesSchema,
  summary: runSchema,
  /** Of the last stage, by mode ("sampled-4") and suite. */
  scores: z.record(z.string(), z.record(z.string(), scores)),
});

/** Where the outcomes of a seed stand. */
export function outcomesFile(folder: string, seed: string): string {
  return path.join(folder, OUTCOMES_FOLDER, `${seed}.jsonl.gz`);
}

/** The runs of a seed that have ended. */
export interface SeedRuns {
  readonly seed: Seed;
  readonly runs: ReadonlyMap<string, CollectedRun>;
  /** Its outcomes have every arm. */
  readonly isKept: boolean;
}

/**
 * Reads them from the outcomes of each seed, and of arms that these do not have from their directories.
 * @throws UserError when outcomes are damaged, or of another experiment
 */
export async function readSeeds(folder: string, record: ExperimentRecord): Promise<SeedRuns[]> {
  const seeds: SeedRuns[] = [];
  for (const seed of record.seeds) seeds.push(await readSeed(folder, record, seed));
  return seeds;
}

async function readSeed(folder: string, record: ExperimentRecord, seed: Seed): Promise<SeedRuns> {
  const kept = await readOutcomes(folder, record, seed);
  const runs = new Map<string, CollectedRun>();
  for (const arm of record.arms) {
    const run = kept.get(arm) ?? (await collectRun(new RunFiles(path.join(folder, seed.name, arm)), seed.name, arm));
    if (run !== undefined) runs.set(arm, run);
  }
  return { seed, runs, isKept: hasAll(kept, record) };
}

function hasAll(runs: ReadonlyMap<string, CollectedRun>, { arms }: ExperimentRecord): boolean {
  return arms.every((arm) => runs.has(arm));
}

/** Whether a seed counts as run by its outcomes alone: they have every arm. */
export async function hasOutcomes(folder: string, record: ExperimentRecord, seed: Seed): Promise<boolean> {
  return hasAll(await readOutcomes(folder, record, seed), record);
}

/** Writes the outcomes of a seed of which every arm has ended, where they are not there; of another nothing. */
export async function keepOutcomes(
  folder: string,
  record: ExperimentRecord,
  { seed, runs, isKept }: SeedRuns,
): Promise<void> {
  if (isKept || !hasAll(runs, record)) return;
  const questions = questionsOf([...runs.values()]);
  const header: Header = { schema: 1, ...identityOf(record, seed), versions: presentVersions(), questions };
  const lines = [header, ...record.arms.map((arm) => packed(runs.get(arm)!, questions))];
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  await writeFileAtomic(outcomesFile(folder, seed.name), gzipSync(text, { level: 9 }));
}

/** What makes a seed's figures those of this experiment, whatever its folder. */
function identityOf(record: ExperimentRecord, { seed, world, base }: Seed) {
  return { seed, world, weights: (base ?? record).weights, settings: record.settings };
}

async function readOutcomes(
  folder: string,
  record: ExperimentRecord,
  seed: Seed,
): Promise<ReadonlyMap<string, CollectedRun>> {
  const file = outcomesFile(folder, seed.name);
  const runs = new Map<string, CollectedRun>();
  if (!existsSync(file)) return runs;
  let header: Header | undefined;
  for await (const { line, value } of readJsonLines(file)) {
    const place = `${file}:${line}`;
    if (header === undefined) {
      header = parseAs(headerSchema, value, place);
      checkIdentity(header, identityOf(record, seed), file);
      continue;
    }
    const { scores: packedScores, ...run } = parseAs(armSchema, value, place);
    if (run.summary.seed !== seed.name)
      throw new UserError(`${place}: summary.seed: expected ${seed.name}, found ${run.summary.seed}`, {
        hint: RENAMED,
      });
    const { questions } = header;
    const byMode = Object.entries(packedScores).map(
      ([mode, suites]) => [mode, unpacked(suites, questions, place)] as const,
    );
    runs.set(run.summary.arm, { ...run, scores: new Map(byMode) });
  }
  if (header === undefined)
    throw new UserError(`${file}: is empty, a first line that says what was run was expected`, { hint: DAMAGED });
  return runs;
}

const RENAMED = 'A file keeps the name of its seed wherever it is brought.';
const DAMAGED = 'Bring it again, or delete it: the seed is then run here.';

function checkIdentity(found: Header, expected: ReturnType<typeof identityOf>, file: string): void {
  for (const name of ['seed', 'world', 'weights', 'settings'] as const) {
    if (isDeepStrictEqual(found[name], expected[name])) continue;
    const values = name === 'settings' ? 'differ' : `expected ${expected[name]}, found ${found[name]}`;
    throw new UserError(`${file}: is of another experiment (${name}: ${values})`, {
      hint: 'Bring the outcomes of this experiment, or delete the file: the seed is then run here.',
    });
  }
}

/** Those that any run has been asked in any mode. */
function questionsOf(runs: readonly CollectedRun[]): Header['questions'] {
  const asked = runs.flatMap(({ scores: byMode }) => [...byMode.values()].flatMap((suites) => [...suites]));
  return Object.fromEntries(
    [...Map.groupBy(asked, ([suite]) => suite)].map(([suite, all]) => [
      suite,
      [...new Set(all.flatMap(([, byId]) => [...byId.keys()]))].sort(),
    ]),
  );
}

function packed({ scores: own, ...run }: CollectedRun, questions: Header['questions']): z.input<typeof armSchema> {
  const ofSuites = (suites: SuiteScores) =>
    Object.fromEntries(
      Object.entries(questions).map(([suite, ids]) => {
        const of = (measure: keyof Score) =>
          ids.map((id) => {
            const value = suites.get(suite)?.get(id)?.[measure];
            return value === undefined || Number.isNaN(value) ? null : value;
          });
        return [suite, Object.fromEntries(measures.map((measure) => [measure, of(measure)])) as z.infer<typeof scores>];
      }),
    );
  return { ...run, scores: Object.fromEntries([...own].map(([mode, suites]) => [mode, ofSuites(suites)])) };
}

function unpacked(
  suites: z.infer<typeof armSchema>['scores'][string],
  questions: Header['questions'],
  place: string,
): SuiteScores {
  return new Map(
    Object.entries(suites).map(([suite, columns]) => {
      const ids = questions[suite] ?? [];
      const short = measures.find((measure) => columns[measure].length !== ids.length);
      if (short !== undefined)
        throw new UserError(
          `${place}: scores: ${suite}: ${short}: expected ${ids.length} values, as many as there are questions, found ${columns[short].length}`,
          { hint: DAMAGED },
        );
      const scoreOf = (i: number) =>
        Object.fromEntries(measures.map((measure) => [measure, columns[measure][i] ?? Number.NaN])) as Score;
      return [suite, new Map(ids.map((id, i) => [id, scoreOf(i)]))];
    }),
  );
}
