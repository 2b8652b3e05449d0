/**
 * From a line of a shard to what its row and the search of texts are made of. Only what stands before the numbers of each token
 * is decoded and parsed: of a line of schema 3 that is less than half of its bytes.
 */
import { type Brief, meanAdvantage } from '../runs/rows/row-maker.ts';

/** What a run's own files tell of trajectories that do not hold it themselves. */
export interface Known {
  readonly questions: ReadonlyMap<string, { readonly question: string; readonly answers: readonly string[] }>;
  readonly decode: ((ids: readonly number[]) => string) | undefined;
}

const strings = (value: unknown): string[] => (Array.isArray(value) ? value.filter((x) => typeof x === 'string') : []);
const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const flag = (value: unknown): boolean | null => (typeof value === 'boolean' ? value : null);

/** A quotation mark inside a string is escaped, so these stand for the fields themselves wherever they occur. */
const [KL, NUMBERS, AUTHORS] = [',"kl":[', ',"prompt":[', ',"authors":['].map((text) => Buffer.from(text)) as [
  Buffer,
  Buffer,
  Buffer,
];
const SEARCHES = Buffer.from(',"searches":[');
const NEWEST = Buffer.from('{"schema":3,');

/** Whether a shard that begins so says itself what its trajectories are about; older ones need what the run knows. */
export function tellsItself(bytes: Buffer): boolean {
  const end = bytes.indexOf(10);
  return isNewest(bytes) && bytes.subarray(0, end < 0 ? bytes.length : end).includes(',"question":');
}

const isNewest = (line: Buffer) => line.subarray(0, NEWEST.length).equals(NEWEST);

/**
 * @param line its bytes, without the line break
 * @throws SyntaxError or TypeError where it is none of a trajectory
 */
export function briefOfTrajectory(line: Buffer, known: Known): Brief {
  const numbers = isNewest(line) ? line.indexOf(NUMBERS) : -1;
  // The KL of each token ends what is said of training, which is read no further.
  const kl = numbers < 0 ? -1 : line.subarray(0, numbers).indexOf(KL);
  const value = JSON.parse(
    numbers < 0
      ? line.toString()
      : kl < 0
        ? `${line.toString('utf8', 0, numbers)}}`
        : `${line.toString('utf8', 0, kl)}}}`,
  );
  const authors: number[] = value.authors ?? authorsOf(line);
  const question = known.questions.get(value.questionId);
  const response = value.text?.response ?? decoded(value.ids, authors, known);
  let at = 0;
  const byAuthor: Record<'policy' | 'environment', string[]> = { policy: [], environment: [] };
  for (const [i, length] of authors.entries())
    if (length > 0 && response) byAuthor[i % 2 === 0 ? 'policy' : 'environment'].push(response[at++] ?? '');
  const correct = (value.correct ?? value.reward) === 1;
  return {
    questionId: String(value.questionId),
    suite: String(value.dataset),
    question: value.question ?? question?.question ?? null,
    gold: value.gold ?? question?.answers ?? null,
    rollout: Number(value.rollout),
    answer: text(value.answer),
    correct,
    reward: Number(value.reward),
    advantage: meanAdvantage(value.training?.advantage),
    queries: (value.searches as { query: string }[]).map(({ query }) => query),
    tokens: authors.reduce((sum, length, i) => (i % 2 === 0 ? sum + length : sum), 0),
    stop: value.stop,
    wellFormed: flag(value.wellFormed),
    grounded: flag(value.grounded),
    policy: byAuthor.policy,
    shown: response ? byAuthor.environment : null,
  };
}

/** What a search looks through. */
export function searched({
  question,
  gold,
  answer,
  policy,
  shown,
}: Pick<Brief, 'question' | 'gold' | 'answer' | 'policy' | 'shown'>): string[] {
  return [question ?? '', ...(gold ?? []), answer ?? '', ...policy, ...(shown ?? [])].filter((text) => text !== '');
}

/** The same of a line of the newest schema that says all of itself: what stands behind its texts is not read. */
export function textsOfTrajectory(line: Buffer): string[] {
  const end = line.indexOf(SEARCHES);
  if (!isNewest(line) || end < 0) throw new TypeError('its texts are not where they should be');
  const { question, gold, answer, text } = JSON.parse(`${line.toString('utf8', 0, end)}}`);
  return searched({ question, gold, answer, policy: text.response, shown: null });
}

/** They stand behind the ids. */
function authorsOf(line: Buffer): number[] {
  const from = line.lastIndexOf(AUTHORS) + AUTHORS.length - 1;
  return JSON.parse(line.toString('utf8', from, line.indexOf(']', from) + 1));
}

function decoded(ids: number[] | undefined, authors: number[], { decode }: Known): string[] | undefined {
  if (decode === undefined || ids === undefined) return undefined;
  let start = 0;
  return authors.flatMap((length) => {
    start += length;
    return length === 0 ? [] : [decode(ids.slice(start - length, start))];
  });
}

/** A line of answers.jsonl. */
export function briefOfAnswer(line: string): Brief & { readonly baseline: string } {
  const value = JSON.parse(line);
  const said = (author: string) =>
    (value.transcript as { author: string; text: string }[]).filter((one) => one.author === author);
  return {
    baseline: String(value.baseline),
    questionId: String(value.id),
    suite: String(value.suite),
    question: text(value.question),
    gold: value.gold === undefined ? null : strings(value.gold),
    rollout: 0,
    answer: text(value.prediction),
    correct: value.exactMatch === 1,
    reward: Number(value.exactMatch),
    advantage: null,
    queries: (value.searches as { query: string }[]).map(({ query }) => query),
    tokens: typeof value.newTokens === 'number' ? value.newTokens : null,
    stop: value.stop,
    wellFormed: flag(value.wellFormed),
    grounded: null,
    policy: said('policy').map((one) => one.text),
    shown: said('environment').map((one) => one.text),
  };
}
