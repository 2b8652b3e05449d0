/** The pairs of a run's distillation rounds: which there are, and one of them with both of its trajectories. */
import type { PairRecord } from '../evolve/journal.ts';
import { placeOfShard } from '../evolve/shards.ts';
import { stageNamed } from '../evolve/stages.ts';
import type { Row } from '../runs/rows/row.ts';
import type { RunFiles } from '../runs/run-files.ts';
import { textsOf } from './detail.ts';
import type { RunText } from './run-known.ts';
import type { PairDetail, PairLine, Stream, TrajectoryDetail } from './wire.ts';

export const pairOrders = ['kl', 'max', 'order'] as const;
export type PairOrder = (typeof pairOrders)[number];

export interface Pair {
  readonly line: PairLine;
  readonly record: PairRecord;
}

/** All pairs, shard by shard. Shards are never written in place, so that they are read once. */
export class Pairs {
  readonly #files: RunFiles;
  readonly #shards = new Map<string, readonly Pair[]>();

  constructor(files: RunFiles) {
    this.#files = files;
  }

  async all(): Promise<readonly Pair[]> {
    const shards = await this.#files.pairShards();
    for (const shard of shards)
      if (!this.#shards.has(shard)) {
        const records = (await this.#files.pairs(shard)) ?? [];
        this.#shards.set(
          shard,
          records.map((record, i) => ({ line: pairLine(shard, i, record), record })),
        );
      }
    return shards.flatMap((shard) => this.#shards.get(shard) ?? []);
  }
}

function pairLine(shard: string, line: number, record: PairRecord): PairLine {
  const place = placeOfShard(shard);
  const kl = record.kl?.filter((_, t) => record.mask[t] === 1);
  return {
    key: `${shard}:${line}`,
    stage: place?.stage ?? shard,
    step: place !== undefined && 'step' in place ? place.step : null,
    questionId: record.questionId,
    question: record.question ?? null,
    gold: record.gold ?? null,
    studentCorrect: record.student.correct,
    studentSearches: record.student.searches ?? null,
    expertSearches: siblingOf(record)?.searches ?? null,
    tokens: record.mask.reduce<number>((sum, own) => sum + own, 0),
    meanKl: kl && kl.length > 0 ? kl.reduce((sum, x) => sum + x, 0) / kl.length : null,
    maxKl: kl && kl.length > 0 ? Math.max(...kl) : null,
  };
}

/** What the teacher is shown, where that is a rollout. */
function siblingOf({ expert }: PairRecord) {
  return expert === null || expert === 'demonstration' ? undefined : expert;
}

/** Pairs whose text or question holds the words, the greatest KL first unless they are wanted as they were taken. */
export function selectPairs(
  pairs: readonly Pair[],
  { stage, text, order }: { readonly stage: string | null; readonly text: string; readonly order: PairOrder },
): readonly Pair[] {
  const wanted = text.toLowerCase();
  const holds = ({ record: { question, questionId, gold, text: texts } }: Pair) =>
    wanted === '' ||
    [question ?? questionId, ...(gold ?? []), texts?.teacherPrompt ?? '', ...(texts?.response ?? [])].some((one) =>
      one.toLowerCase().includes(wanted),
    );
  const chosen = pairs.filter((pair) => (stage === null || pair.line.stage === stage) && holds(pair));
  if (order === 'order') return chosen;
  const key = ({ line }: Pair) => (order === 'kl' ? line.meanKl : line.maxKl) ?? -1;
  return chosen.toSorted((a, b) => key(b) - key(a));
}

/** The rows of a pair's two trajectories among the rows of the pool that it was mined from. */
export function sidesOf(
  { line, record }: Pair,
  rows: readonly Row[],
): { expert: Row | undefined; student: Row | undefined } {
  const cycle = stageNamed(line.stage)?.cycle;
  const find = (id: string, rollout: number) =>
    rows.find(
      ({ place, about, rollout: own }) =>
        place.part === 'pool' && stageNamed(place.stage)?.cycle === cycle && about.id === id && own === rollout,
    );
  const expert = siblingOf(record);
  return {
    expert: expert && find(expert.questionId, expert.rollout),
    student: find(record.questionId, record.student.rollout),
  };
}

export function pairDetail(
  { line, record }: Pair,
  sides: { readonly expert: TrajectoryDetail | null; readonly student: TrajectoryDetail | null },
  { tokenizer, note }: RunText,
): Omit<PairDetail, 'place'> {
  const { ids, mask, kl, text, teacherPrompt, studentPrompt } = record;
  const about = sides.student?.row.about;
  const whole = { ...line, question: line.question ?? about?.question ?? null, gold: line.gold ?? about?.gold ?? null };
  const stream: Stream = {
    name: 'kl',
    label: 'KL',
    means:
      'How much the teacher, who has seen the expert, disagrees with the student on this token, in nats. The loss pulls hardest where it is high.',
    values: ids.map((_, t) => (kl !== null && mask[t] === 1 ? kl[t]! : null)),
  };
  return {
    line: whole,
    why: whyOf(record, sides),
    ...sides,
    teacherPrompt: text?.teacherPrompt ?? tokenizer?.decode(teacherPrompt) ?? null,
    studentPrompt: text?.studentPrompt ?? tokenizer?.decode(studentPrompt) ?? null,
    tokens: {
      ids,
      mask,
      texts: tokenizer ? textsOf(tokenizer, studentPrompt.at(-1), ids, mask) : null,
      streams: kl === null ? [] : [stream],
    },
    notes: [...(note ? [note] : []), ...(kl === null ? ['The engine did not report the KL of each token.'] : [])],
  };
}

function whyOf(
  { expert, student, questionId }: PairRecord,
  sides: { readonly expert: TrajectoryDetail | null; readonly student: TrajectoryDetail | null },
): string {
  const count = (n: number | undefined) => (n === undefined ? '' : ` (${n} ${n === 1 ? 'search' : 'searches'})`);
  const searches = (own: number | undefined, side: TrajectoryDetail | null) => count(own ?? side?.row.searches);
  const learner = student.correct
    ? `no rollout of the group was wrong; the student is the right one that differs most from the expert`
    : `the student is the wrong rollout of the group that differs most from the expert`;
  const of = searches(student.searches, sides.student);
  if (expert === null) return `The teacher is shown nothing, for comparison; ${learner}${of}.`;
  if (expert === 'demonstration') return `The teacher is shown a perfect agent's demonstration; ${learner}${of}.`;
  if (expert.questionId !== questionId)
    return `The teacher is shown an expert of another question, for comparison; ${learner}${of}.`;
  return `The expert is the right, well-formed rollout with the fewest searches${searches(expert.searches, sides.expert)}; ${learner}${of}.`;
}
