/** From what is known of a trajectory to its row. */
import { normalizeAnswer } from '../../benchmarks/exact-match.ts';
import { placeOfShard } from '../../evolve/shards.ts';
import { stretches } from '../../protocol/authors.ts';
import { isFailure, type StopReason, type Trajectory } from '../../rollout/trajectory.ts';
import { type About, bitOf, type Mark, type Place, type Row } from './row.ts';

/** What is read of a trajectory's line, of any schema, or of an answer's. */
export interface Brief {
  readonly questionId: string;
  readonly suite: string;
  readonly question: string | null;
  readonly gold: readonly string[] | null;
  readonly rollout: number;
  readonly answer: string | null;
  readonly correct: boolean;
  readonly reward: number;
  readonly advantage: number | null;
  readonly queries: readonly string[];
  readonly tokens: number | null;
  readonly stop: StopReason;
  /** Null where it is not known. */
  readonly wellFormed: boolean | null;
  readonly grounded: boolean | null;
  readonly policy: readonly string[];
  /** What the environment showed; null where the line does not hold it. */
  readonly shown: readonly string[] | null;
}

/** Over the tokens where it differs from one to the next; null where nothing was trained on it. */
export function meanAdvantage(advantage: number | readonly number[] | undefined): number | null {
  if (advantage === undefined || typeof advantage === 'number') return advantage ?? null;
  return advantage.reduce((a, b) => a + b, 0) / (advantage.length || 1);
}

/** What its line in a shard tells of it; undefined where that does not say what was asked, or in which words it went. */
export function briefOf(trajectory: Trajectory): Brief | undefined {
  const { questionId, dataset, question, gold, rollout, answer, correct, reward, stop, wellFormed, grounded } =
    trajectory;
  const { text, searches, training, mask } = trajectory;
  if (question === undefined || gold === undefined || text === undefined) return undefined;
  const byPolicy = stretches(mask).map(({ start }) => mask[start] === 1);
  return {
    ...{ questionId, suite: dataset, question, gold, rollout, answer, correct: correct === 1, reward },
    advantage: meanAdvantage(training?.advantage),
    queries: searches.map(({ query }) => query),
    tokens: mask.reduce((sum: number, own) => sum + own, 0),
    ...{ stop, wellFormed, grounded },
    policy: text.response.filter((_, i) => byPolicy[i]),
    shown: text.response.filter((_, i) => !byPolicy[i]),
  };
}

/** Where the rollouts of a shard come from. */
export function placeOf(shard: string): Place {
  const place = placeOfShard(shard);
  if (place === undefined) return { shard, part: 'step', stage: shard, step: null, mode: null };
  const { part, stage } = place;
  const step = 'step' in place ? place.step : null;
  const mode = place.part === 'evaluation' ? `${place.mode.decoding}-${place.mode.searches}` : null;
  return { shard, part, stage, step, mode };
}

/** Rows of a shard: texts that many of its lines hold are normalised once. */
export class RowMaker {
  readonly #normalized = new Map<string, string>();
  readonly #abouts = new Map<string, About>();

  row(brief: Brief, place: Place, line: number): Row {
    const { questionId, suite, question, gold, rollout, answer, reward, advantage, queries, tokens, stop } = brief;
    const retrieved = this.#retrieved(gold, brief.shown);
    const found = (answer: string) => this.#stands(answer, brief.shown ?? []);
    // An evaluation does not say whether an answer is grounded; the same rule says it here.
    const grounded =
      brief.grounded ?? (place.part === 'answers' && answer !== null && !isYesNo(answer) ? found(answer) : null);
    const failed = isFailure(stop);
    const has: Partial<Record<Mark, boolean>> = {
      right: !failed && brief.correct,
      wrong: !failed && !brief.correct && answer !== null,
      'no-answer': !failed && answer === null,
      'never-retrieved': !failed && retrieved === false,
      misread: !failed && retrieved === true && !brief.correct,
      guessed: !failed && brief.correct && grounded === false,
      malformed: !failed && brief.wellFormed === false,
      'cut-off': stop === 'response-full' || stop === 'context-full',
      repeated: new Set(queries.map((query) => this.#normal(query))).size < queries.length,
      'no-search': !failed && queries.length === 0,
      failed,
    };
    let bits = 0;
    for (const [mark, holds] of Object.entries(has)) if (holds) bits |= bitOf(mark as Mark);
    let about = this.#abouts.get(questionId);
    if (about === undefined) {
      about = { id: questionId, suite, question, gold };
      this.#abouts.set(questionId, about);
    }
    const searches = queries.length;
    const rest = { rollout, answer, reward, advantage, searches, tokens, stop, grounded, retrieved };
    return { place, line, about, ...rest, marks: bits };
  }

  /** Whether a gold answer stands in what was shown; null where it cannot be told. */
  #retrieved(gold: readonly string[] | null, shown: readonly string[] | null): boolean | null {
    if (gold === null || shown === null) return null;
    const asked = gold.filter((answer) => !isYesNo(answer));
    return asked.length === 0 ? null : asked.some((answer) => this.#stands(answer, shown));
  }

  /** As whole words, both normalised as for exact match: the rule of `grounded` (rollout/reward.ts). */
  #stands(answer: string, shown: readonly string[]): boolean {
    const looked = ` ${this.#normal(answer)} `;
    return shown.some((one) => ` ${this.#normal(one)} `.includes(looked));
  }

  #normal(text: string): string {
    let normal = this.#normalized.get(text);
    if (normal === undefined) {
      normal = normalizeAnswer(text);
      this.#normalized.set(text, normal);
    }
    return normal;
  }
}

function isYesNo(answer: string): boolean {
  return ['', 'yes', 'no'].includes(normalizeAnswer(answer));
}

/** Groups of a training step or a pool whose rewards are all equal. */
export function withFlatGroups(rows: readonly Row[]): Row[] {
  const groups = Map.groupBy(rows, ({ about }) => about.id);
  const flat = new Set<string>();
  for (const [id, group] of groups) {
    const counted = group.filter((row) => (row.marks & bitOf('failed')) === 0);
    const isGroup = group[0]!.place.part === 'step' || group[0]!.place.part === 'pool';
    if (isGroup && counted.length > 1 && counted.every(({ reward }) => reward === counted[0]!.reward)) flat.add(id);
  }
  return rows.map((row) => (flat.has(row.about.id) ? { ...row, marks: row.marks | bitOf('flat') } : row));
}
