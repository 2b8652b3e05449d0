/** The live status of an experiment: what runs, how much of the grid is done, and the time left. */

import { clock } from '../../base/clock.ts';
import type { ExperimentEvent } from '../../experiment/run-experiment.ts';
import { bar, type LiveArea } from '../widgets/live-area.ts';

export class ExperimentStatus {
  readonly #area: LiveArea;
  readonly #now: () => number;
  readonly #start: number;
  /** What runs, with its present stage. */
  readonly #running = new Map<string, string>();
  #progress = { finished: 0, tasks: 0, fraction: 0, secondsLeft: null as number | null };

  /** `now` in seconds. */
  constructor(area: LiveArea, now: () => number = () => performance.now() / 1000) {
    this.#area = area;
    this.#now = now;
    this.#start = now();
  }

  see(event: ExperimentEvent): void {
    switch (event.kind) {
      case 'began':
        this.#running.set(event.task.folder, 'begins');
        return;
      case 'ended':
        this.#running.delete(event.task.folder);
        this.#area.print(`${event.task.folder.padEnd(28)} ${clock(event.seconds)}`);
        return;
      case 'note':
        this.#area.print(`note: ${event.text}`);
        break;
      case 'progress':
        this.#progress = event;
        break;
      case 'run':
        if (event.event.kind === 'stage') this.#running.set(event.task.folder, event.event.stage);
        if (event.event.kind === 'note') this.#area.print(`note: ${event.task.folder}: ${event.event.text}`);
        break;
    }
    this.draw();
  }

  /** Draws the present state; called by events, and by a timer so that the clock moves while nothing happens. */
  draw(): void {
    const { finished, tasks, fraction, secondsLeft } = this.#progress;
    if (tasks === 0) return;
    const running = [...this.#running].map(([folder, stage]) => `${folder}: ${stage}`);
    const count = `${finished} of ${tasks} runs`;
    const percent = `${Math.floor(100 * fraction)} %`;
    const left = secondsLeft === null ? [] : [`${clock(secondsLeft)} left`];
    const gone = clock(this.#now() - this.#start);
    this.#area.show({
      lines: [[count, bar(fraction, 32), percent, ...left, `${gone} gone`].join('  '), ...running],
      plain: [`[${gone}] ${count}`, percent, ...left, ...running].join(', '),
      milestone: running.join(),
    });
  }
}
