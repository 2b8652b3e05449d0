import fc from 'fast-check';
import { expect, it } from 'vitest';
import { streamKey } from '../base/random.ts';
import { itemsOfStep, stepsOfPasses, stepsPerEpoch } from './epochs.ts';

const key = (epoch: number) => streamKey('test', epoch);

it('each pass takes every item once, in an order of its own', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 12 }), (count, perStep) => {
      const items = Array.from({ length: count }, (_, i) => i);
      const perEpoch = stepsPerEpoch(count, { perStep });
      for (const epoch of [0, 1]) {
        const steps = Array.from({ length: perEpoch }, (_, i) =>
          itemsOfStep(items, epoch * perEpoch + i + 1, { perStep }, key),
        );
        // Only a pass's last step may be short.
        expect(steps.slice(0, -1).every((step) => step.length === perStep)).toBe(true);
        expect(steps.flat().sort((a, b) => a - b)).toEqual(items);
      }
    }),
  );
  const items = Array.from({ length: 20 }, (_, i) => i);
  const pass = (epoch: number) => itemsOfStep(items, epoch + 1, { perStep: 20 }, key);
  expect(pass(0)).not.toEqual(pass(1));
  expect(pass(0)).not.toEqual(items);
});

it('steps are those of all passes, within the bound', () => {
  const passes = { epochs: 2, perStep: 3, maxSteps: 0 };
  expect(stepsOfPasses(7, passes)).toBe(6);
  expect(stepsOfPasses(7, { ...passes, maxSteps: 4 })).toBe(4);
  expect(stepsOfPasses(7, { ...passes, maxSteps: 9 })).toBe(6);
  expect(stepsOfPasses(0, passes)).toBe(0);
});
