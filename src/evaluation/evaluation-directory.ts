/**
 * The directory of an evaluation.
 *
 *     conditions.json  answers.jsonl  results.json  timing.json
 *
 * It belongs to one set of conditions: the same command continues it, any other is refused.
 */
import path from 'node:path';
import { UserError } from '../base/errors.ts';
import { makeFolder, readJson, writeFileAtomic } from '../base/files.ts';
import { acquireLock, type Lock } from '../runs/lock.ts';
import { RunFiles } from '../runs/run-files.ts';
import { parseAs } from '../runs/schemas.ts';
import { type Answer, type ScoredAnswer, scoredOf } from './answer.ts';
import { AnswerLog, keep, mendTornLine, readAnswers } from './answer-log.ts';
import { type Conditions, conditionsSchema, differences } from './conditions.ts';
import { type EvaluationResults, evaluationResultsSchema } from './results.ts';

const CONDITIONS = 'conditions.json';
const ANSWERS = 'answers.jsonl';
const RESULTS = 'results.json';
/** Differences that a refusal lists. */
const MOST_DIFFERENCES = 8;

export class EvaluationDirectory {
  readonly folder: string;
  /** As first recorded: other versions may have continued it. */
  readonly conditions: Conditions;
  /** What is on record, by `answerKey`; grows with `record`. */
  readonly answers: Map<string, ScoredAnswer>;
  readonly #lock: Lock;
  readonly #log: AnswerLog;

  private constructor(folder: string, conditions: Conditions, answers: Map<string, ScoredAnswer>, lock: Lock) {
    this.folder = folder;
    this.conditions = conditions;
    this.answers = answers;
    this.#lock = lock;
    this.#log = new AnswerLog(path.join(folder, ANSWERS));
  }

  /**
   * Begins an evaluation in a new or empty folder, or continues the one that is there.
   * @throws UserError when the folder holds something else, an evaluation under other conditions, or is in use
   */
  static async open(folder: string, given: Conditions): Promise<EvaluationDirectory> {
    // In the schema's order of fields, as it will be read again: results are compared by their bytes.
    const conditions = conditionsSchema.parse(given);
    await refuseForeign(folder);
    await makeFolder(folder);
    const lock = await acquireLock(folder);
    try {
      const recorded = await readConditions(folder);
      if (recorded === undefined)
        await writeFileAtomic(path.join(folder, CONDITIONS), `${JSON.stringify(conditions, null, 2)}\n`);
      else refuseOthers(folder, recorded, conditions);
      await mendTornLine(path.join(folder, ANSWERS));
      const answers = await readAnswers(path.join(folder, ANSWERS));
      return new EvaluationDirectory(folder, recorded ?? conditions, answers, lock);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  async record(answer: Answer): Promise<void> {
    await this.#log.append(answer);
    keep(this.answers, scoredOf(answer));
  }

  async writeResults(results: EvaluationResults): Promise<void> {
    await writeFileAtomic(path.join(this.folder, RESULTS), `${JSON.stringify(results, null, 2)}\n`);
    const seconds = [...this.answers.values()].reduce((sum, answer) => sum + answer.seconds, 0);
    const timing = { schema: 1, questions: this.answers.size, secondsUnderWay: Math.round(1000 * seconds) / 1000 };
    await writeFileAtomic(path.join(this.folder, 'timing.json'), `${JSON.stringify(timing, null, 2)}\n`);
  }

  /** Gives the folder free for another process. */
  close(): Promise<void> {
    return this.#lock.release();
  }
}

/** A finished evaluation with its answers. Throws a UserError when the folder is none, or is not finished. */
export async function readEvaluation(
  folder: string,
): Promise<{ results: EvaluationResults; answers: ReadonlyMap<string, ScoredAnswer> }> {
  const entries = (await new RunFiles(folder).entries()) ?? [];
  if (!entries.includes(CONDITIONS))
    throw new UserError(`${folder}: not an evaluation (it has no ${CONDITIONS})`, {
      hint: 'Give a directory that `search-e1 evaluate --out` wrote to.',
    });
  if (!entries.includes(RESULTS))
    throw new UserError(`${folder}: the evaluation is not finished`, {
      hint: 'Give its `search-e1 evaluate` command again; it goes on where it stopped.',
    });
  const file = path.join(folder, RESULTS);
  const results = parseAs(evaluationResultsSchema, await readJson(file), file);
  return { results, answers: await readAnswers(path.join(folder, ANSWERS)) };
}

async function readConditions(folder: string): Promise<Conditions | undefined> {
  const entries = (await new RunFiles(folder).entries()) ?? [];
  if (!entries.includes(CONDITIONS)) return undefined;
  const file = path.join(folder, CONDITIONS);
  return parseAs(conditionsSchema, await readJson(file), file, 'Choose another directory with --out.');
}

async function refuseForeign(folder: string): Promise<void> {
  const entries = (await new RunFiles(folder).entries()) ?? [];
  if (entries.includes(CONDITIONS)) return;
  // A start that was broken off leaves its lock and temporary files behind.
  if (entries.some((name) => name !== 'lock.json' && !name.endsWith('.tmp')))
    throw new UserError(`${folder}: is not empty, and holds no evaluation`, {
      hint: 'Choose another directory with --out.',
    });
}

function refuseOthers(folder: string, recorded: Conditions, found: Conditions): void {
  const { versions: _, ...there } = recorded;
  const { versions: __, ...here } = found;
  const changed = differences(there, here);
  if (changed.length === 0) return;
  const lines = changed.slice(0, MOST_DIFFERENCES).map((d) => `  ${d.field}: ${d.there} there, ${d.here} now`);
  const more = changed.length > lines.length ? [`  and ${changed.length - lines.length} more`] : [];
  throw new UserError([`${folder}: holds an evaluation under other conditions`, ...lines, ...more].join('\n'), {
    hint: 'Give the same options to continue it, or choose another directory with --out.',
  });
}
