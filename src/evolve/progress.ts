/**
 * How far a run is, and what time is left at this sitting's pace. Work is counted in rollouts and trained trajectories, which
 * take about the same time each.
 */
import type { EvolveEvent } from './journal.ts';
import type { Settings } from './settings.ts';
import type { Setup } from './setup.ts';
import { type Stage, stepsAreRollouts, workOf } from './stages.ts';

/** Passes events on and adds progress to them. */
export class Progress {
  readonly #plan: readonly { readonly stage: Stage; readonly units: number; readonly steps: number }[];
  readonly #next: (event: EvolveEvent) => void;
  readonly #total: number;
  #stage = 0;
  /** Steps of the present stage, with a fraction while rollouts are its only work. */
  #steps = 0;
  #startUnits = 0;
  #startTime = performance.now();

  constructor(plan: readonly Stage[], setup: Setup, settings: Settings, next: (event: EvolveEvent) => void) {
    const counts = {
      suites: setup.suites.map(({ name, questions }) => ({ name, questions: questions.length })),
      trainingQuestions: setup.trainingQuestions.length,
    };
    this.#plan = plan.map((stage) => {
      const { rollouts, trained, steps } = workOf(stage, counts, settings);
      return { stage, units: rollouts + trained, steps };
    });
    this.#total = this.#plan.reduce((sum, stage) => sum + stage.units, 0);
    this.#next = next;
  }

  /** Where this sitting begins: its pace is measured from here. */
  startAt(stage: number, step: number): void {
    this.#stage = stage;
    this.#steps = step;
    this.#startUnits = this.#done();
    this.#startTime = performance.now();
    this.#report();
  }

  see(event: EvolveEvent): void {
    this.#next(event);
    if (event.kind === 'stage') {
      if (event.index !== this.#stage) this.#steps = 0;
      this.#stage = event.index;
    } else if (event.kind === 'step') {
      this.#steps = event.step;
    } else if (event.kind === 'rollouts') {
      const present = this.#plan[this.#stage];
      if (present === undefined || !stepsAreRollouts(present.stage)) return;
      // A full batch of rollouts is not yet a step: what measures and stores it comes after.
      this.#steps = Math.floor(this.#steps) + Math.min(0.99, event.done / event.total);
    } else return;
    this.#report();
  }

  #report(): void {
    const done = this.#done();
    const elapsed = (performance.now() - this.#startTime) / 1000;
    const moved = done - this.#startUnits;
    const secondsLeft = moved > 0.01 * this.#total ? ((this.#total - done) * elapsed) / moved : null;
    this.#next({ kind: 'progress', fraction: this.#total === 0 ? 1 : done / this.#total, secondsLeft });
  }

  #done(): number {
    const before = this.#plan.slice(0, this.#stage).reduce((sum, stage) => sum + stage.units, 0);
    const present = this.#plan[this.#stage];
    return present ? before + present.units * Math.min(1, this.#steps / Math.max(1, present.steps)) : before;
  }
}
