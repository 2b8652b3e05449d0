/** Runs and bytes of a tiny model's steps, against what its graphs are fed and give, counted by hand. */
import { expect, it } from 'vitest';
import { layoutOf } from '../../src/engines/onnx/model/parameters.ts';
import { tiny } from './record.ts';
import { countSteps } from './steps.ts';
import { sumOf, titleOf } from './traffic.ts';

it('counts every run, and every byte up, down and there', async () => {
  // 2 layers, 2 query heads a key-value head, 26 tensors of parameters.
  const steps = await countSteps(tiny, { sequences: 2, tokens: 5, rows: 3, rank: 2 });
  const graphs = (name: string) => steps.find((step) => step.name === name)!.graphs;
  const of = (name: string) => {
    const { graphs, residentBytes } = steps.find((step) => step.name === name)!;
    return { ...sumOf(graphs.values()), residentBytes };
  };
  const parameters = 4 * layoutOf(tiny).total;

  // A run a tensor, and seven numbers that are brought up; there are weights, frozen ones and two moments.
  expect(of('training all weights: step')).toEqual({
    runs: 26 + 7,
    bytesUp: 7 * 4,
    waits: 0,
    bytesDown: 0,
    residentBytes: 4 * parameters,
  });

  // Levels, embedding and its gradient, two layers there and back, the head, squares, and zeros for 26 sums and for that of x.
  const gradients = of('training all weights: gradients');
  expect(gradients.runs).toBe(3 + 2 * 2 + 1 + 1 + 26 + 1);
  // Five numbers a row, and a sum of squares a tensor.
  expect(gradients).toMatchObject({ waits: 2, bytesDown: 4 * (5 * 6 + 26) });
  expect(gradients.residentBytes).toBe(5 * parameters);

  // A layer is fed no table that grows with the tokens: sizes, and eight levels' shapes and seven levels' keys.
  const [, forward] = [...graphs('training all weights: gradients')].find(([model]) => titleOf(model) === 'y')!;
  expect(forward).toEqual({ runs: 2, bytesUp: 2 * 8 * (8 + 8 * 4 + 7 * 2), waits: 0, bytesDown: 0 });

  // A step of two rows that see 6 positions: slots, table, positions, those of queries and keys; ids; the size of y; four numbers a
  // layer; rows and temperatures. Down come two rows of probabilities.
  const plan = 8 * (2 + 2 * 6 + 2) + 4 * (2 * 2 + 6);
  const { residentBytes: _, ...sampling } = of('sampling: step');
  expect(sampling).toEqual({
    runs: 4 + tiny.layers,
    bytesUp: plan + 2 * 8 + 2 * 8 + tiny.layers * 4 * 8 + 2 * (8 + 4),
    waits: 1,
    bytesDown: 4 * 2 * tiny.vocabulary,
  });

  // With an adapter: two matrices for each of 14 linear layers, merged after the step.
  expect(of('training an adapter: step')).toMatchObject({ runs: 28 + 7 + 14, bytesUp: 7 * 4, waits: 0, bytesDown: 0 });
});
