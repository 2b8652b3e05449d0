/** The live status of an evaluation: how far, time left, running scores of the baseline at work. */

import { clock } from '../../base/clock.ts';
import { type BaselineName, baselineTitle } from '../../baselines/all.ts';
import type { Answer, ScoredAnswer } from '../../evaluation/answer.ts';
import type { EvaluationTask } from '../../evaluation/evaluate.ts';
import { isFailure } from '../../rollout/trajectory.ts';
import { bar, type LiveArea } from '../widgets/live-area.ts';

interface Tally {
  readonly questions: number;
  asked: number;
  correct: number;
}

/** Answers of this sitting before a pace is worth telling. */
const ENOUGH = 5;

export class EvaluateStatus {
  readonly #area: LiveArea;
  readonly #now: () => number;
  readonly #start: number;
  readonly #total: number;
  /** By baseline and suite, in the order of work. */
  readonly #tallies = new Map<BaselineName, Map<string, Tally>>();
  #baseline: BaselineName;
  #done = 0;
  #failed = 0;
  /** Answered in this sitting. */
  #fresh = 0;

  /**
   * @param answers what is on record from earlier sittings; failed ones will be asked again
   * @param now in seconds
   */
  constructor(
    area: LiveArea,
    tasks: readonly EvaluationTask[],
    answers: ReadonlyMap<string, ScoredAnswer>,
    now: () => number = () => performance.now() / 1000,
  ) {
    this.#area = area;
    this.#now = now;
    this.#start = now();
    this.#total = tasks.length;
    this.#baseline = tasks[0]!.baseline;
    for (const { baseline, suite } of tasks) {
      const suites = this.#tallies.get(baseline) ?? new Map<string, Tally>();
      this.#tallies.set(baseline, suites);
      const tally = suites.get(suite);
      suites.set(suite, { questions: (tally?.questions ?? 0) + 1, asked: 0, correct: 0 });
    }
    for (const answer of answers.values()) if (!isFailure(answer.stop)) this.#count(answer);
  }

  see(answer: Answer): void {
    this.#count(answer);
    this.#fresh += 1;
    // The last questions of one baseline end among the first of the next: no going back.
    const order = [...this.#tallies.keys()];
    if (order.indexOf(answer.baseline) > order.indexOf(this.#baseline)) this.#baseline = answer.baseline;
    this.draw();
  }

  /** Draws the present state; called by answers, and by a timer so that the clock moves while nothing happens. */
  draw(): void {
    const gone = this.#now() - this.#start;
    const open = this.#total - this.#done;
    const left = this.#fresh < ENOUGH ? '' : `${clock((open * gone) / this.#fresh)} left`;
    const counted = `${this.#done.toLocaleString('en')} of ${this.#total.toLocaleString('en')}`;
    const failed = this.#failed === 0 ? '' : `${this.#failed} failed`;
    const title = baselineTitle(this.#baseline);
    const scores = [...this.#tallies.get(this.#baseline)!].flatMap(([suite, { questions, asked, correct }]) =>
      asked === 0
        ? []
        : [`${suite} ${(correct / asked).toFixed(3)}${asked < questions ? ` (${asked} of ${questions})` : ''}`],
    );
    this.#area.show({
      lines: [
        joined('  ', bar(this.#done / this.#total, 32), counted, left, `${clock(gone)} gone`, failed),
        ...rowsOf(scores, 4).map((some) => joined('  ', title, ...some)),
      ],
      plain: joined(', ', `[${clock(gone)}] ${counted}`, left, failed, joined(': ', title, scores.join('; '))),
      milestone: this.#baseline,
    });
  }

  #count({ baseline, suite, exactMatch, stop }: ScoredAnswer): void {
    const tally = this.#tallies.get(baseline)?.get(suite);
    if (tally === undefined) return;
    this.#done += 1;
    // What failed was not measured: it is in no score.
    if (isFailure(stop)) {
      this.#failed += 1;
      return;
    }
    tally.asked += 1;
    tally.correct += exactMatch;
  }
}

/** In rows of so many; one empty row of none. */
function rowsOf(texts: readonly string[], count: number): (readonly string[])[] {
  const rows = Array.from({ length: Math.ceil(texts.length / count) }, (_, i) =>
    texts.slice(i * count, (i + 1) * count),
  );
  return rows.length === 0 ? [[]] : rows;
}

function joined(separator: string, ...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(separator);
}
