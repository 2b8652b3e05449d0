/** The live status of a warm-up. Driven by the events of warmup/. */

import { clock } from '../../base/clock.ts';
import type { WarmUpEvent } from '../../warmup/warm-up.ts';
import { bar, type LiveArea } from '../widgets/live-area.ts';

export class WarmUpStatus {
  readonly #area: LiveArea;
  /** The loss of single small batches jumps about; this follows it at leisure. */
  #smoothLoss: number | undefined;

  constructor(area: LiveArea) {
    this.#area = area;
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
        this.#area.show({
          lines: [
            `warm-up  ${phase}  step ${step} of ${steps}`,
            `${bar(step / steps, 32)}  ${percent}  ${left}`,
            figures,
          ],
          plain: `step ${step}/${steps} ${phase}, ${percent}, ${left}, ${figures.replace('  ', ', ')}`,
          milestone: phase,
        });
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
