/** What a serving agent counts, in Prometheus' text format. */
import { family, Histogram, LabelledCounter, single } from '../base/http/prometheus.ts';
import type { Asked } from '../evaluation/agent.ts';
import type { Desk } from './desk.ts';

/** Upper ends of the buckets, in seconds. */
const BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

export class ServingMetrics {
  readonly #requests = new LabelledCounter('status');
  readonly #answers = new LabelledCounter('stop');
  readonly #seconds = new Histogram(BUCKETS);
  #searches = 0;
  readonly #tokens = { prompt: 0, completion: 0 };

  /** A request that has ended; 499 when its client left. */
  request(status: number): void {
    this.#requests.add(String(status));
  }

  /** A question that was worked on to its end; `seconds` from its arrival. */
  answer({ stop, searches, promptTokens, newTokens }: Asked, seconds: number): void {
    this.#answers.add(stop);
    this.#seconds.observe(seconds);
    this.#searches += searches.length;
    this.#tokens.prompt += promptTokens ?? 0;
    this.#tokens.completion += newTokens ?? 0;
  }

  text({ load }: Desk): string {
    const { prompt, completion } = this.#tokens;
    const lines = [
      ...this.#requests.family('requests_total', 'Requests by status; 499 for those whose client left.'),
      ...this.#answers.family('answers_total', 'Questions worked on to their end, by how it came.'),
      ...this.#seconds.family('answer_seconds', 'Seconds from a question to its answer, waiting included.'),
      ...single('searches_total', 'counter', 'Searches of all answers.', this.#searches),
      ...family('tokens_total', 'counter', 'Tokens read in prompts, and written.', [
        `tokens_total{kind="prompt"} ${prompt}`,
        `tokens_total{kind="completion"} ${completion}`,
      ]),
      ...single('questions_under_way', 'gauge', 'Questions worked on now.', load.underWay),
      ...single('questions_waiting', 'gauge', 'Questions that wait for that.', load.waiting),
      ...single('resident_bytes', 'gauge', 'Memory of this process.', process.memoryUsage.rss()),
    ];
    return `${lines.join('\n')}\n`;
  }
}
