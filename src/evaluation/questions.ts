/** The questions of an evaluation: benchmarks by name, files, or the embedded world's suites; all of each, or a seeded part. */
import { UserError } from '../base/errors.ts';
import type { Question } from '../base/question.ts';
import { Random, streamKey } from '../base/random.ts';
import { readQuestions } from '../benchmarks/questions.ts';
import { locateBenchmark, readBenchmark } from '../benchmarks/read-benchmark.ts';
import { benchmarkNames, findBenchmark } from '../benchmarks/suites/all.ts';
import type { World } from '../world/generate.ts';
import { evaluationQuestions, SUITES } from '../world/suites.ts';
import type { EvaluationSuite } from './results.ts';

/** The embedded world's suites are named after benchmarks but are none of them. */
const WORLD = 'world-';

export interface QuestionSources {
  /** Names of benchmarks; "world" for the seven suites of the embedded world, "world-nq" for one. */
  readonly suites: readonly string[];
  /** NAME=FILE, read as the benchmark of that name if there is one. */
  readonly files: readonly { readonly name: string; readonly file: string }[];
  /** Folder in which benchmarks are looked for. */
  readonly data: string;
  /** The embedded world, where that is what is searched. */
  readonly world: World | undefined;
  /** Questions of each suite; undefined = all (of the world's endless suites: 100). */
  readonly limit: number | undefined;
  readonly seed: number;
}

/** A suite with the questions asked, and how many it has. */
export type OpenedSuite = EvaluationSuite & { readonly of: number };

/** In the order in which they were named. Throws a UserError that says what is not there, or named twice. */
export async function openQuestions(sources: QuestionSources): Promise<OpenedSuite[]> {
  const { suites: named, files, limit, seed } = sources;
  const opened: OpenedSuite[] = [];
  const names = named.flatMap((name) => (name === 'world' ? SUITES.map((suite) => WORLD + suite) : [name]));
  for (const name of names)
    opened.push(name.startsWith(WORLD) ? worldSuite(sources, name) : await benchmarkSuite(sources, name));
  for (const { name, file } of files) {
    const benchmark = findBenchmark(name);
    const questions = benchmark === undefined ? await readQuestions(file) : await readBenchmark(benchmark, file);
    opened.push(part(name, questions, limit, seed));
  }
  const all = opened.map(({ name }) => name);
  const twice = all.find((name, i) => all.indexOf(name) !== i);
  if (twice !== undefined) throw new UserError(`the suite ${twice} is named twice`);
  return opened;
}

async function benchmarkSuite({ data, limit, seed }: QuestionSources, name: string): Promise<OpenedSuite> {
  const benchmark = findBenchmark(name);
  if (benchmark === undefined)
    throw new UserError(`--suites: there is no benchmark ${name}`, {
      hint: `There are ${benchmarkNames.join(', ')}, and world. Files of your own go by --questions NAME=FILE.`,
    });
  const file = await locateBenchmark(benchmark, data);
  if (file === undefined)
    throw new UserError(`${data}: no questions of ${name} here`, {
      hint: `Fetch them with \`search-e1 data pull ${name}\`, name their folder with --data, or a file with --questions ${name}=FILE.`,
    });
  return part(name, await readBenchmark(benchmark, file), limit, seed);
}

function worldSuite({ world, limit = 100 }: QuestionSources, name: string): OpenedSuite {
  const suite = SUITES.find((each) => WORLD + each === name);
  if (suite === undefined)
    throw new UserError(`--suites: the embedded world has no suite ${name}`, {
      hint: `It has ${SUITES.map((each) => WORLD + each).join(', ')}; all of them are called world.`,
    });
  if (world === undefined)
    throw new UserError(
      `--suites ${name}: these questions are about the embedded world, and something else is searched`,
      {
        hint: 'Add --retriever world.',
      },
    );
  const questions = evaluationQuestions(world, suite, limit);
  return { name, questions, of: questions.length };
}

/** A seeded choice of so many questions, in the file's order. */
function part(name: string, questions: readonly Question[], limit: number | undefined, seed: number): OpenedSuite {
  if (limit === undefined || limit >= questions.length) return { name, questions, of: questions.length };
  const places = new Random(streamKey(seed, 'evaluate', name)).sample([...questions.keys()], limit);
  const chosen = places.sort((a, b) => a - b).map((place) => questions[place]!);
  return { name, questions: chosen, of: questions.length };
}
