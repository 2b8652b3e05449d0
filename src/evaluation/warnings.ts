/** What a reader of a comparison has to know: where conditions differ from the published ones, and among ours. */
import { findBenchmark } from '../benchmarks/suites/all.ts';
import { type Conditions, type Difference, differences } from './conditions.ts';
import { publishedConditions as published } from './published.ts';
import type { NamedEvaluation, ResultRow } from './results.ts';

const number = (value: number) => value.toLocaleString('en');

/** One sentence for each condition in which an evaluation differs from the published ones. */
export function warnBesidePublished({ name, results: { conditions } }: NamedEvaluation): string[] {
  const { model, retriever, limits, decoding, suites } = conditions;
  const warnings: string[] = [];
  const say = (what: string) => warnings.push(`${name}: ${what}`);
  if (!model.name.toLowerCase().includes(published.model.toLowerCase()))
    say(`model ${model.name}; published: ${published.model}.`);
  if (retriever.passages !== published.passages)
    say(
      `${number(retriever.passages)} passages (corpus ${shortHash(retriever.corpusHash)}); published: ${published.corpus}.`,
    );
  if (!/e5/i.test(`${retriever.kind} ${Object.values(retriever.settings).join(' ')}`))
    say(`retriever ${retriever.kind}; published: ${published.retriever}.`);
  if (limits.passages !== published.k) say(`${limits.passages} passages a search; published: ${published.k}.`);
  if (limits.searches !== published.searches)
    say(`at most ${limits.searches} searches; published: ${published.searches}.`);
  if (decoding.temperature > 0) say(`temperature ${decoding.temperature}; published: ${published.decoding} answers.`);
  const parts = suites.flatMap((suite) => {
    const whole = findBenchmark(suite.name)?.questions;
    return whole === undefined || whole === suite.questions
      ? []
      : [`${number(suite.questions)} of ${number(whole)} questions of ${suite.name}`];
  });
  if (parts.length > 0) say(`${parts.join(', ')}; published: all.`);
  const foreign = suites.filter((suite) => findBenchmark(suite.name) === undefined);
  if (foreign.length > 0) say(`${foreign.map((suite) => suite.name).join(', ')}: nothing published.`);
  return warnings;
}

/** Evaluations that differ in more than the model and its versions. */
export function warnAmongOurs(evaluations: readonly NamedEvaluation[]): string[] {
  const [first, ...others] = evaluations;
  return others.flatMap((other) => {
    const names = new Set(first!.results.conditions.suites.map(({ name }) => name));
    const [there, here] = [first!, other].map(({ results }) => results.conditions) as [Conditions, Conditions];
    const shared = here.suites.filter(({ name }) => names.has(name)).map(({ name }) => name);
    const found = differences(comparable(there), comparable(here));
    const listed = [...new Set(found.map(inWords)), ...otherQuestions(there, here, shared)];
    return [
      ...(listed.length > 0 ? [`${first!.name} and ${other.name} differ in ${listed.join(', ')}.`] : []),
      ...onlyIn(first!, shared),
      ...onlyIn(other, shared),
    ];
  });
}

function onlyIn({ name, results }: NamedEvaluation, shared: readonly string[]): string[] {
  const suites = results.conditions.suites.filter((suite) => !shared.includes(suite.name));
  return suites.length === 0 ? [] : [`Only ${name} asks ${suites.map((suite) => suite.name).join(', ')}.`];
}

/** All but what is compared (the model, the prompts of baselines) and the questions, which are told apart. */
function comparable({ model, retriever, decoding, limits }: Conditions) {
  return { model: { mode: model.mode }, retriever, decoding, limits };
}

/** A difference as a person reads it: a hash says no more than that two things are not the same. */
function inWords({ field, there, here }: Difference): string {
  if (field === 'retriever.corpusHash') return 'the passages that were searched';
  const isHash = [there, here].some((value) => /^[0-9a-f]{12}…$/.test(value));
  return isHash ? field : `${field} (${there} and ${here})`;
}

/** Suites of one name whose questions are not the same, with how many each side asks. */
function otherQuestions(there: Conditions, here: Conditions, shared: readonly string[]): string[] {
  return shared.flatMap((name) => {
    const [before, after] = [there, here].map(({ suites }) => suites.find((suite) => suite.name === name)!);
    if (before!.hash === after!.hash) return [];
    return [`the questions of ${name} (${number(before!.questions)} and ${number(after!.questions)} asked)`];
  });
}

/** How much one suite's questions weigh in the two means, where that is far apart: Bamboogle's, in the seven benchmarks. */
export function weightNote(row: ResultRow): string[] {
  const all = row.suites.reduce((sum, { questions }) => sum + questions, 0);
  const bamboogle = row.suites.find(({ suite }) => suite === 'bamboogle');
  if (bamboogle === undefined || row.suites.length < 2) return [];
  const shares = [1 / row.suites.length, bamboogle.questions / all] as const;
  if (shares[0] < 1.5 * shares[1]) return [];
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  return [
    `Bamboogle's ${number(bamboogle.questions)} questions are ${percent(shares[0])} of the mean of suites and ` +
      `${percent(shares[1])} of the mean of questions; one of them moves the former by ` +
      `${(1 / bamboogle.questions / row.suites.length).toFixed(4)}.`,
  ];
}

function shortHash(hash: string): string {
  return hash.length > 12 ? `${hash.slice(0, 12)}…` : hash || 'unknown';
}
