/** LLDS by hand, and its gradient by finite differences of the loss as the paper writes it. */
import { describe, expect, it } from 'vitest';
import { preserveBatch } from './preserve.ts';
import { turnsTrajectory } from './step.testing.ts';

/** Two turns of two tokens behind a prompt of three. */
const trajectory = turnsTrajectory(
  [
    [5, 6],
    [7, 8],
  ],
  [[50]],
);
const stream = (...response: number[]) => Float64Array.from([0, 0, 0, ...response]);
const old = stream(-1, -1, 0, -1, -1);

describe('what is preserved', () => {
  it('by hand: tokens that lost likelihood, in turns that lost on the whole', () => {
    // Turn 1: +.5 and −.2, on the whole .3; turn 2: +.1 and −.4, on the whole a gain.
    const present = stream(-1.5, -0.8, 0, -1.1, -0.6);
    const { batch, loss } = preserveBatch([{ trajectory, advantage: 1 }], [old], [present], 0.2);
    expect([...batch.sequences[0]!.weights]).toEqual([0, 0, 0, Math.fround(0.2), 0, 0, 0, 0]);
    expect(batch.denominator).toBe(4);
    expect(loss).toBeCloseTo((0.2 * 0.5) / 4, 12);
  });

  it('is nothing of worse rollouts, and nothing where nothing has moved', () => {
    const present = stream(-2, -2, 0, -2, -2);
    for (const [advantage, now] of [
      [-0.1, present],
      [1, old],
    ] as const) {
      const { batch, loss } = preserveBatch([{ trajectory, advantage }], [old], [now], 0.2);
      expect(batch.sequences[0]!.weights.every((w) => w === 0)).toBe(true);
      expect(loss).toBe(0);
    }
    // At an advantage of 0 it is kept: all-right groups are what is lost.
    expect(preserveBatch([{ trajectory, advantage: 0 }], [old], [present], 0.2).loss).toBeCloseTo(0.2, 12);
  });

  it('goes by turns where advantages do', () => {
    const present = stream(-2, -2, 0, -2, -2);
    const advantage = Float32Array.from([-1, -1, 0, 1, 1]);
    const { batch } = preserveBatch([{ trajectory, advantage }], [old], [present], 1);
    expect([...batch.sequences[0]!.weights]).toEqual([0, 0, 0, 0, 0, 0, 1, 1]);
  });

  it('has the gradient of the loss', () => {
    const at = [-1.5, -0.9, 0, -1.1, -1.6];
    const lossAt = (values: readonly number[]) =>
      preserveBatch([{ trajectory, advantage: 1 }], [old], [stream(...values)], 0.3).loss;
    const { batch } = preserveBatch([{ trajectory, advantage: 1 }], [old], [stream(...at)], 0.3);
    for (const n of [0, 1, 3, 4]) {
      const h = 1e-6;
      const moved = (by: number) => at.map((x, i) => (i === n ? x + by : x));
      const slope = (lossAt(moved(h)) - lossAt(moved(-h))) / (2 * h);
      // Of −weights · log π / N.
      expect(-batch.sequences[0]!.weights[3 + n]! / batch.denominator).toBeCloseTo(slope, 6);
    }
  });
});
