/**
 * One trajectory as tables and filters see it; the trajectory itself stays in its shard. Read by the page too, so nothing of Node
 * may be imported here.
 */

/** What can be said of a trajectory at a glance, in the order in which filters are shown; bit n of `Row.marks` is the n-th. */
export const marks = [
  { name: 'right', label: 'right', means: 'The answer equals a gold answer (exact match).' },
  { name: 'wrong', label: 'wrong answer', means: 'It answered, and the answer equals no gold answer.' },
  { name: 'no-answer', label: 'no answer', means: 'It ended without an answer.' },
  {
    name: 'never-retrieved',
    label: 'never retrieved',
    means: 'No gold answer stands in anything that the searches showed. Not asked where the gold answer is yes or no.',
  },
  {
    name: 'misread',
    label: 'retrieved but misread',
    means: 'A gold answer stood in a passage that was shown, and the answer is another one or is missing.',
  },
  {
    name: 'guessed',
    label: 'right, not grounded',
    means: 'The answer is right but stands in no passage that was shown: known by heart, or luck.',
  },
  { name: 'malformed', label: 'malformed', means: 'A turn is not "think, then search or answer", in closed tags.' },
  { name: 'cut-off', label: 'cut off', means: 'A limit on tokens ended it before an answer.' },
  { name: 'repeated', label: 'repeated query', means: 'It searched for the same words twice.' },
  { name: 'no-search', label: 'no search', means: 'It never searched.' },
  {
    name: 'flat',
    label: 'group without variance',
    means: 'All rollouts of its question in this step have the same reward: nothing is learned from them.',
  },
  {
    name: 'unsteady',
    label: 'right at one stage, wrong at another',
    means: 'The same question, asked in the same way, was answered rightly after one stage and wrongly after another.',
  },
  {
    name: 'failed',
    label: 'failed',
    means: 'It was broken off by something outside of the policy, and counts nowhere.',
  },
] as const;
export type Mark = (typeof marks)[number]['name'];

const bits = new Map<string, number>(marks.map(({ name }, bit) => [name, 1 << bit]));
export const bitOf = (mark: Mark): number => bits.get(mark)!;
export const hasMark = ({ marks: all }: Pick<Row, 'marks'>, mark: Mark): boolean => (all & bitOf(mark)) !== 0;
export const isMark = (name: string): name is Mark => bits.has(name);

/** Where trajectories come from: one object for all rows of a shard. */
export interface Place {
  /** Name of the shard; of an evaluation, its file. */
  readonly shard: string;
  readonly part: 'step' | 'held-out' | 'pool' | 'experts' | 'plain' | 'privileged' | 'evaluation' | 'answers';
  /** Name of the stage; of an evaluation, its baseline. */
  readonly stage: string;
  readonly step: number | null;
  /** How an evaluation asked, e.g. "greedy-4": decoding and at most so many searches. */
  readonly mode: string | null;
}

/** One object for all rows of a question. Texts are null where the run does not hold them. */
export interface About {
  readonly id: string;
  readonly suite: string;
  readonly question: string | null;
  readonly gold: readonly string[] | null;
}

export interface Row {
  readonly place: Place;
  /** Line of the shard, from 0. */
  readonly line: number;
  readonly about: About;
  readonly rollout: number;
  readonly answer: string | null;
  readonly reward: number;
  /** Mean over the tokens where it differs from one to the next; null where nothing was trained on it. */
  readonly advantage: number | null;
  readonly searches: number;
  /** Tokens that the policy wrote; null where a server did not count them. */
  readonly tokens: number | null;
  readonly stop: string;
  /** Null where it was not asked: no answer, yes or no. */
  readonly grounded: boolean | null;
  /** A gold answer stands in what was shown; null where it cannot be told. */
  readonly retrieved: boolean | null;
  readonly marks: number;
}

/** Names a row within its run, and in addresses. */
export const keyOf = ({ place, line }: Pick<Row, 'place' | 'line'>): string => `${place.shard}:${line}`;
