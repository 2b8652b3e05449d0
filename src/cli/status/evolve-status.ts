/** The live status of a run: stage, step, time left, and the latest figures. Driven by the events of evolve/. */

import { clock } from '../../base/clock.ts';
import type { EvolveEvent, MetricRecord } from '../../evolve/journal.ts';
import { type Stage, stageNamed } from '../../evolve/stages.ts';
import { stageLabel } from '../../runs/table.ts';
import { bar, type LiveArea } from '../widgets/live-area.ts';

/** Figures of a training step worth watching, in order: metric, label, decimals. */
const figures: readonly (readonly [name: string, label: string, decimals: number])[] = [
  ['reward', 'reward', 2],
  ['exactMatch', 'exact match', 3],
  ['searches', 'searches', 2],
  ['policyTokens', 'policy tokens', 0],
  ['entropy', 'entropy', 3],
  ['kl', 'KL', 4],
  ['loss', 'loss', 4],
];

/** Seconds over which tokens per second are averaged. */
const WINDOW = 10;

export class EvolveStatus {
  readonly #area: LiveArea;
  readonly #sampledTokens: () => number;
  readonly #now: () => number;
  readonly #start: number;
  #stage = { name: '', index: 0, stages: 0 };
  #step = { step: 0, steps: 0 };
  /** What the step is at: its rollouts, or parts of its batch. */
  #part = { name: '', done: 0, total: 0 };
  #metrics: MetricRecord | undefined;
  #progress: { fraction: number; secondsLeft: number | null } = { fraction: 0, secondsLeft: null };
  /** Time and count of sampled tokens, over the last seconds. */
  #samples: { time: number; tokens: number }[] = [];

  /** `now` in seconds. */
  constructor(area: LiveArea, sampledTokens: () => number, now: () => number = () => performance.now() / 1000) {
    this.#area = area;
    this.#sampledTokens = sampledTokens;
    this.#now = now;
    this.#start = now();
  }

  see(event: EvolveEvent): void {
    switch (event.kind) {
      case 'stage':
        this.#stage = { name: event.stage, index: event.index, stages: event.stages };
        this.#step = { step: 0, steps: 0 };
        this.#part = { name: '', done: 0, total: 0 };
        this.#metrics = undefined;
        break;
      case 'step':
        this.#step = { step: event.step, steps: event.steps };
        this.#part = { name: '', done: 0, total: 0 };
        this.#metrics = event.metrics;
        break;
      case 'rollouts':
      case 'training':
        this.#part = { name: event.kind, done: event.done, total: event.total };
        break;
      case 'progress':
        this.#progress = { fraction: event.fraction, secondsLeft: event.secondsLeft };
        break;
      case 'note':
        this.#area.print(`note: ${event.text}`);
        break;
      case 'measured':
        break;
    }
    this.draw();
  }

  /** Draws the present state; called by events, and by a timer so that the clock moves while nothing happens. */
  draw(): void {
    const { name, index, stages } = this.#stage;
    if (stages === 0) return;
    const title = `stage ${index + 1} of ${stages}  ${stageTitle(name)}`;
    const step = this.#step.steps === 0 ? '' : `step ${this.#step.step} of ${this.#step.steps}`;
    const part = this.#part.total === 0 ? '' : `${this.#part.name} ${this.#part.done} of ${this.#part.total}`;
    const { fraction, secondsLeft } = this.#progress;
    const percent = `${Math.floor(100 * fraction)} %`;
    const left = secondsLeft === null ? '' : `${clock(secondsLeft)} left`;
    const gone = clock(this.#now() - this.#start);
    const numbers = [...figureTexts(this.#metrics), this.#tokensPerSecond()];
    this.#area.show({
      lines: [
        joined('  ', title, step, part),
        joined('  ', bar(fraction, 32), percent, left, `${gone} gone`),
        joined('  ', ...numbers),
      ],
      plain: joined(
        ', ',
        `[${gone}] stage ${index + 1}/${stages} ${name}${saysOf(name)}`,
        step,
        part,
        percent,
        left,
        ...numbers,
      ),
      milestone: name,
    });
  }

  #tokensPerSecond(): string {
    const time = this.#now();
    const tokens = this.#sampledTokens();
    this.#samples.push({ time, tokens });
    while (this.#samples[0]!.time < time - WINDOW) this.#samples.shift();
    const first = this.#samples[0]!;
    if (time - first.time < 1) return '';
    return `${Math.round((tokens - first.tokens) / (time - first.time)).toLocaleString('en')} tokens/s`;
  }
}

/** What a kind of stage does, for those who have read no manual. */
const doing: Readonly<Record<Stage['kind'], string>> = {
  evaluate: 'asking the questions of the suites',
  grpo: 'reinforcement learning',
  pool: 'looking for trajectories to distil',
  gate: 'is there anything to distil?',
  distill: 'self-distillation',
  sft: 'supervised training',
};

/** "GRPO 1 (reinforcement learning)". */
function stageTitle(stage: string): string {
  return `${stageLabel(stage)}${saysOf(stage)}`;
}

function saysOf(stage: string): string {
  const named = stageNamed(stage);
  return named === undefined ? '' : ` (${doing[named.kind]})`;
}

function figureTexts(metrics: MetricRecord | undefined): string[] {
  return figures.flatMap(([name, label, decimals]) => {
    const value = metrics?.[name];
    // Once, where exact match is the reward.
    if (name === 'exactMatch' && value === metrics?.reward) return [];
    return typeof value === 'number' ? [`${label} ${value.toFixed(decimals)}`] : [];
  });
}

function joined(separator: string, ...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(separator);
}
