/** The live status of a warm-up. Driven by the events of warmup/. */

import { clock } from '../../base/clock.ts';
import type { WarmUpEvent } from '../../warmup/warm-up.ts';
import { bar, type LiveArea, type LiveView } from '../widgets/live-area.ts';

/** Seconds of work before a pace is worth telling. */
const ENOUGH = 10;

type Working = Extract<WarmUpEvent, { kind: 'working' }>;

export class WarmUpStatus {
  readonly #area: LiveArea;
  /** The loss of single small batches jumps about; this follows it at leisure. */
  #smoothLoss: number | undefined;
  readonly #now: () => number;
  /** Of the last step. */
  #view: LiveView | undefined;
  /** What takes its time now, and since when. */
  #work: (Working & { readonly since: number }) | undefined;

  /** @param now in seconds */
  constructor(area: LiveArea, now: () => number = () => performance.now() / 1000) {
    this.#area = area;
    this.#now = now;
  }

  /** Draws the present state; called by events, and by a timer so that the clock moves while a step takes minutes. */
  draw(): void {
    if (this.#work === undefined) return;
    const { on, done, of, since } = this.#work;
    const seconds = this.#now() - since;
    const doing = `${on}${of === null ? '' : `: ${done} of ${of}`}, ${clock(seconds)}`;
    const left =
      of === null || done === 0 || done === of || seconds < ENOUGH
        ? ''
        : `, ${clock((seconds * (of - done)) / done)} left`;
    const { lines, milestone } = this.#view ?? { lines: [], milestone: '' };
    this.#area.show({ lines: [...lines, doing + left], plain: doing + left, milestone });
  }

  see(event: WarmUpEvent): void {
    switch (event.kind) {
      case 'start': {
        const resumed = event.resumedAt > 0 ? `, continued at step ${event.resumedAt}` : '';
        const size = event.parameters === null ? '' : `${event.parameters.toLocaleString('en')} parameters, `;
        this.#area.print(`${size}${event.steps} steps${resumed}`);
        break;
      }
      case 'step': {
        const { phase, step, steps, loss, tokensPerSecond, secondsLeft } = event;
        if (loss !== null)
          this.#smoothLoss = this.#smoothLoss === undefined ? loss : 0.95 * this.#smoothLoss + 0.05 * loss;
        const pace = `${Math.round(tokensPerSecond).toLocaleString('en')} tokens/s`;
        const figures = this.#smoothLoss === undefined ? pace : `loss ${this.#smoothLoss.toFixed(3)}  ${pace}`;
        const percent = `${Math.floor((100 * step) / steps)} %`;
        const left = `${clock(secondsLeft)} left`;
        this.#view = {
          lines: [
            `warm-up  ${phase}  step ${step} of ${steps}`,
            `${bar(step / steps, 32)}  ${percent}  ${left}`,
            figures,
          ],
          plain: `step ${step}/${steps} ${phase}, ${percent}, ${left}, ${figures.replace('  ', ', ')}`,
          milestone: phase,
        };
        this.#work = undefined;
        this.#area.show(this.#view);
        break;
      }
      case 'working': {
        const since = event.on === this.#work?.on ? this.#work.since : this.#now();
        this.#work = { ...event, since };
        this.draw();
        break;
      }
      case 'measuring':
        this.#area.print('measuring the new policy …');
        break;
      case 'held-out': {
        const { step, loss, best } = event;
        this.#area.print(`step ${step}: held-out loss ${loss.toFixed(4)}${best === step ? ', the best so far' : ''}`);
        break;
      }
      case 'saved':
        break;
    }
  }
}
