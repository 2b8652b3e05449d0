import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { Graph } from './graph.ts';
import { createSession, floats } from './session.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

it('does not keep the bytes that a session was made from', async () => {
  const graph = new Graph();
  const weight = graph.initializer('weight', 'float32', [2], Float32Array.of(3, 4));
  graph.output('y', 'float32', [2], graph.op('Mul', [graph.input('x', 'float32', [2]), weight]));
  let model: Uint8Array | undefined = graph.build();
  const bytes = new WeakRef(model);
  const session = await createSession(model, 1);
  model = undefined;
  // A WeakRef lets go between turns only.
  await new Promise(setImmediate);
  collectGarbage();
  expect(bytes.deref()).toBeUndefined();
  const { y } = await session.run({ x: floats(Float32Array.of(1, 2), [2]) });
  expect(y!.data).toEqual(Float32Array.of(3, 8));
  await session.release();
});
