/** From the run directories of an experiment to its figures and verdicts: `DIR/experiment.json`, `DIR/seed-NNN/ARM/`. */
import { UserError } from '../base/errors.ts';
import { readJson } from '../base/files.ts';
import type { EvaluationMode } from '../evolve/results.ts';
import { parseAs } from '../runs/schemas.ts';
import { referenceOf } from './arms.ts';
import { type CollectedRun, modeKey } from './collect.ts';
import { compareArms, suitesOfArms } from './compare.ts';
import { RESAMPLES } from './intervals.ts';
import { predictedLaw } from './law.ts';
import { readSeeds, type SeedRuns } from './outcomes.ts';
import { armsOf } from './own-arms.ts';
import { type ExperimentRecord, readExperiment } from './record.ts';
import { claimsOf } from './registered.ts';
import { type Difference, type Summary, summarySchema } from './schema.ts';
import { type Beforehand, decideClaims } from './verdicts.ts';

/** Enough of a hash to tell base policies apart. */
const HASH_CHARACTERS = 12;
const ON_A_SERVER = 'of the training server';

/**
 * Reads the finished runs of an experiment. Runs that are not finished are listed as missing. Every arm is compared with one of
 * them (arms.ts, `referenceOf`).
 * @throws UserError when `folder` holds no experiment, or no run of it is finished
 */
export async function summarizeExperiment(folder: string): Promise<Summary> {
  const record = await readExperiment(folder);
  return summaryOf(folder, record, await readSeeds(folder, record));
}

/** The same of what was read already. */
export function summaryOf(folder: string, record: ExperimentRecord, bySeed: readonly SeedRuns[]): Summary {
  const { name, arms } = record;
  const seeds = record.seeds.map((seed) => seed.name);
  const missing = bySeed.flatMap(({ seed, runs: of }) =>
    arms.filter((arm) => !of.has(arm)).map((arm) => `${seed.name}/${arm}`),
  );
  const runs = bySeed.flatMap(({ runs: of }) => [...of.values()]);
  if (record.data !== null) checkSameData(runs, folder);
  if (runs.length === 0)
    throw new UserError(`${folder}: no run is finished yet`, { hint: 'Let the experiment go on first.' });

  const modes = modesOf(runs);
  const reference = referenceOf(arms);
  const { means, differences } = compareArms(runs, arms, reference, modes);
  const summaries = runs.map(({ summary }) => summary);
  const beforehand = beforehandOf(record);
  const others = otherPairs(beforehand, differences).flatMap(
    ([arm, against]) => compareArms(runs, [arm], against, modes).differences,
  );
  const own = ownArmsOf(record);
  return {
    schema: 1,
    name,
    arms,
    ...(own.length > 0 && { own }),
    seeds,
    worlds: record.data === null ? record.seeds.map(({ world }) => world) : [],
    bases: record.seeds.map(({ base }) => (base ?? record).weights?.slice(0, HASH_CHARACTERS) ?? ON_A_SERVER),
    missing,
    resamples: RESAMPLES,
    runs: summaries,
    means,
    suites: modes.flatMap((mode) => suitesOfArms(runs, arms, mode)),
    differences,
    laws: modes.filter(({ decoding }) => decoding === 'sampled').map((mode) => predictedLaw(runs, mode)),
    verdicts: decideClaims(arms, summaries, [...differences, ...others], beforehand),
  };
}

/** Own questions and passages are the same for all seeds, also where these ran on several machines. */
function checkSameData(runs: readonly CollectedRun[], folder: string): void {
  for (const { summary, hashes } of runs)
    for (const name of ['questions', 'corpus', 'evaluation', 'template', 'tokenizer'] as const)
      if (hashes[name] !== runs[0]!.hashes[name])
        throw new UserError(
          `${folder}: ${summary.seed}/${summary.arm}: ${name}: not those of ${runs[0]!.summary.seed}`,
          {
            hint: 'Seeds are compared on the same data. Take away those that ran on other.',
          },
        );
}

function beforehandOf({ claims, registered }: Pick<ExperimentRecord, 'claims' | 'registered'>): Beforehand {
  return { ...(claims && { claims: claimsOf(claims) }), ...(registered && { registered }) };
}

function ownArmsOf(record: Pick<ExperimentRecord, 'arms' | 'settings'> & Pick<Partial<ExperimentRecord>, 'own'>) {
  const mine = new Set(record.own?.map(({ name }) => name));
  return armsOf(record)
    .filter(({ name }) => mine.has(name))
    .map(({ name, says, forksAt }) => ({ name, says, forksAt }));
}

/** What a file's claims compare and the report does not, which compares every arm with one of them. */
function otherPairs({ claims = [] }: Beforehand, differences: readonly Difference[]): (readonly [string, string])[] {
  const pairs = claims.flatMap((claim) => ('reference' in claim ? [[claim.arm, claim.reference] as const] : []));
  const known = new Set(differences.flatMap(({ arm, reference }) => [`${arm} ${reference}`, `${reference} ${arm}`]));
  return [...new Map(pairs.map((pair) => [pair.join(' '), pair])).values()].filter(
    (pair) => !known.has(pair.join(' ')),
  );
}

/** All modes in the order of evaluation. */
function modesOf(runs: readonly CollectedRun[]): EvaluationMode[] {
  const all = runs.flatMap(({ summary }) => summary.stages.map(({ mode }) => mode));
  return [...new Map(all.map((mode) => [modeKey(mode), mode])).values()];
}

/** JSON with one record a line, so that two documents can be compared line by line. */
export function recordLines(document: Readonly<Record<string, unknown>>): string {
  const fields = Object.entries(document).map(([name, value]) => {
    const records = Array.isArray(value) && typeof value[0] === 'object';
    const text = records
      ? `[\n${value.map((one) => `  ${JSON.stringify(one)}`).join(',\n')}\n ]`
      : JSON.stringify(value);
    return ` ${JSON.stringify(name)}: ${text}`;
  });
  return `{\n${fields.join(',\n')}\n}\n`;
}

/** Throws a UserError that names the field when the file is no summary. */
export async function readSummary(file: string): Promise<Summary> {
  return parseAs(summarySchema, await readJson(file), file);
}
