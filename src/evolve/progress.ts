/**
 * How far a run is, and what time is left at this sitting's pace. Work is counted in rollouts and trained trajectories, which
 * take about the same time each.
 */
import { GATE_SAMPLES } from './gate.ts';
import type { EvolveEvent } from './journal.ts';
import type { Stage } from './plan.ts';
import { POOL_SHARD } from './pool.ts';
import { ofCycle, type Settings } from './settings.ts';
import type { Setup } from './setup.ts';

/** A policy-gradient trajectory is read once more for the KL anchor, a pair once more by the teacher. */
const TRAINED_TRAJECTORY = 1.35;
const TRAINED_PAIR = 1.5;
/** Share of the pool's rollouts that are right, and of its questions that give a pair, before it is known. */
const EXPECTED_CORRECT = 0.4;
const EXPECTED_YIELD = 0.65;

/** How many questions a run has. */
export interface QuestionCounts {
  readonly suites: readonly { readonly name: string; readonly questions: number }[];
  readonly trainingQuestions: number;
}

/** Expected work of a stage: rollouts, trajectories trained on (or their worth), and steps. */
export function stageWork(
  stage: Stage,
  counts: QuestionCounts,
  settings: Settings,
): { readonly rollouts: number; readonly trained: number; readonly steps: number } {
  const { grpo, pool, distill, sft, gate, evaluation, guards } = settings;
  switch (stage.kind) {
    case 'evaluate': {
      const questions = counts.suites.reduce((sum, s) => sum + Math.min(s.questions, evaluation.questions), 0);
      const samples = evaluation.decoding.reduce((sum, d) => sum + (d === 'greedy' ? 1 : evaluation.samples), 0);
      return { rollouts: questions * samples, trained: 0, steps: 1 };
    }
    case 'grpo': {
      const steps = ofCycle(grpo.steps, stage.cycle);
      const trajectories = steps * grpo.questionsPerStep * grpo.groupSize;
      const heldOut = (Math.ceil(steps / guards.every) + 1) * guards.heldOutQuestions * 2;
      return { rollouts: trajectories + heldOut, trained: trajectories * TRAINED_TRAJECTORY, steps };
    }
    case 'pool':
      return { rollouts: pool.questions * pool.rollouts, trained: 0, steps: Math.ceil(pool.questions / POOL_SHARD) };
    case 'gate':
      return { rollouts: gate.questions * (pool.rollouts + 2 * GATE_SAMPLES), trained: 0, steps: 1 };
    case 'distill': {
      const pairs = pool.questions * EXPECTED_YIELD;
      const bound = distill.maxSteps || Number.POSITIVE_INFINITY;
      const steps = Math.min(distill.epochs * Math.ceil(pairs / distill.pairsPerStep), bound);
      return { rollouts: 0, trained: steps * distill.pairsPerStep * TRAINED_PAIR, steps };
    }
    case 'sft': {
      const rollouts = pool.questions * pool.rollouts;
      const responses = stage.on === 'answers' ? counts.trainingQuestions : rollouts * EXPECTED_CORRECT;
      const bound = sft.maxSteps || Number.POSITIVE_INFINITY;
      const steps = Math.min(sft.epochs * Math.ceil(responses / sft.sequencesPerStep), bound);
      return { rollouts: 0, trained: steps * sft.sequencesPerStep, steps };
    }
  }
}

/** Passes events on and adds progress to them. */
export class Progress {
  readonly #plan: readonly { readonly kind: Stage['kind']; readonly units: number; readonly steps: number }[];
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
      const { rollouts, trained, steps } = stageWork(stage, counts, settings);
      return { kind: stage.kind, units: rollouts + trained, steps };
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
      const kind = this.#plan[this.#stage]?.kind;
      if (kind !== 'evaluate' && kind !== 'pool') return;
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
