import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lineChart, niceTicks, tickText } from './chart.ts';

describe('ticks', () => {
  it('are evenly spaced round numbers that enclose the values', () => {
    const number = fc.double({ min: -1e6, max: 1e6, noNaN: true }).filter((x) => x === 0 || Math.abs(x) > 1e-6);
    fc.assert(
      fc.property(number, number, (a, b) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        fc.pre(to === from || (to - from) / Math.max(Math.abs(from), Math.abs(to)) > 1e-6);
        const ticks = niceTicks(from, to, 4);
        const step = ticks[1]! - ticks[0]!;
        const tolerance = 1e-6 * step;
        expect(ticks[0]! - tolerance).toBeLessThanOrEqual(from);
        expect(ticks.at(-1)! + tolerance).toBeGreaterThanOrEqual(to);
        expect(ticks.length).toBeLessThanOrEqual(7);
        for (let i = 1; i < ticks.length; i++)
          expect(Math.abs(ticks[i]! - ticks[i - 1]! - step)).toBeLessThan(1e-5 * step);
        expect(['1', '2', '5']).toContain(step.toExponential(0)[0]);
      }),
    );
  });

  it('look as a person would choose them', () => {
    expect(niceTicks(0, 1, 4)).toEqual([0, 0.5, 1]);
    expect(niceTicks(0.31, 0.69, 4)).toEqual([0.3, 0.4, 0.5, 0.6, 0.7]);
    expect(niceTicks(1, 30, 5)).toEqual([0, 10, 20, 30]);
    expect(niceTicks(0, 0, 4)).toEqual([0, 0.5]);
    expect(niceTicks(0.07142, 0.07143, 4)).toEqual([0.0714, 0.0716]);
    expect(niceTicks(1, 3, 5, 1)).toEqual([1, 2, 3]);
  });

  it('are written with a minus sign, and as powers where they are very small or large', () => {
    expect([-0.05, 0, 2e-7, -3e5, 1200].map(tickText)).toEqual(['−0.05', '0', '2e−7', '−3e5', '1200']);
  });
});

describe('a line chart', () => {
  const point = (x: number, y: number, error = 0) => ({ x, y, error, label: `${x}: ${y}` });

  it('needs two points', () => {
    expect(lineChart({ title: 't', series: [{ name: 'a', points: [point(1, 2)] }] })).toBeUndefined();
    expect(lineChart({ title: 't', series: [] })).toBeUndefined();
  });

  it('draws everything inside its frame, higher values higher up', () => {
    const points = [point(0, 0.2, 0.1), point(10, 0.9, 0.3), point(20, -3)];
    const text = lineChart({
      title: 'a < b',
      series: [{ name: 's', points }],
      borders: [{ x: 5, label: 'GRPO 1' }],
    })!.text;
    const numbers = (name: string) =>
      [...text.matchAll(new RegExp(` ${name}="([-\\d.]+)"`, 'g'))].map(([, n]) => Number(n));
    for (const name of ['x', 'x1', 'x2', 'cx']) for (const n of numbers(name)) expect(n >= 0 && n <= 420).toBe(true);
    for (const name of ['y', 'y1', 'y2', 'cy']) for (const n of numbers(name)) expect(n >= 0 && n <= 200).toBe(true);
    const [a, b, c] = numbers('cy');
    expect(b).toBeLessThan(a!);
    expect(a).toBeLessThan(c!);
    expect(text).toContain('a &lt; b');
    expect(text).not.toContain('class="legend"');
  });

  it('stands a flat line and names several series', () => {
    const series = ['one', 'two'].map((name) => ({ name, points: [point(1, 0.5), point(2, 0.5)] }));
    const text = lineChart({ title: 't', series })!.text;
    expect(text).not.toContain('NaN');
    expect(text).toMatch(/one<\/span>.*two<\/span>/);
  });
});
