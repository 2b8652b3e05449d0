/** A server whose later saves of a model are copies of the first, as hatchery 0.3.0 is: checkpoints hold what they should all the same. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';
import type { AdamWStep, LossBatch } from '../../policy/policy.ts';
import type { TinkerPolicy } from './engine.ts';
import { type OpenMock, openMock } from './testing/open-mock.ts';

const open: OpenMock[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const mock of open.splice(0)) await mock.close();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

async function opened(changes: Parameters<OpenMock['open']>[0] = {}) {
  const mock = await openMock('hatchery');
  open.push(mock);
  const folder = await mkdtemp(path.join(tmpdir(), 'saves-'));
  folders.push(folder);
  return { policy: await mock.open(changes), mock, folder };
}

const step: AdamWStep = {
  learningRate: 0.01,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0,
  clipNorm: 1,
  minGradientNorm: 0,
};
const ids = [1, 2, 3, 4, 5];
const batch: LossBatch = {
  loss: 'cross-entropy',
  sequences: [{ ids, weights: new Float32Array(5).fill(0.2) }],
  denominator: 1,
};
const scores = async (policy: TinkerPolicy) => (await policy.logprobs([ids], 'present'))[0]!;

it('each of three checkpoints is restored as it was, and training goes on as if none had been made', async () => {
  const { policy, mock, folder } = await opened();
  const at: Float32Array[] = [];
  for (const n of [0, 1, 2]) {
    if (n === 1) await policy.freeze();
    if (n > 0) await policy.train([batch], step);
    await policy.save(path.join(folder, String(n)));
    at.push(await scores(policy));
  }
  expect((await policy.logprobs([ids], 'frozen'))[0]).toEqual(at[0]);
  const undisturbed = await mock.open();
  await undisturbed.train([batch], step);
  await undisturbed.train([batch], step);
  expect(await scores(undisturbed)).toEqual(at[2]);
  for (const n of [1, 0, 2]) {
    await policy.restore(path.join(folder, String(n)), { optimizer: 'kept' });
    expect(await scores(policy)).toEqual(at[n]);
  }
  await policy.train([batch], step);
  await undisturbed.train([batch], step);
  expect(await scores(policy)).toEqual(await scores(undisturbed));
  // What was moved from is given back.
  await policy.close();
  await undisturbed.close();
  expect(mock.server.models).toHaveLength(0);
});

it('without the profile’s word for it, a later checkpoint holds the first', async () => {
  const { policy, folder } = await opened({ overrides: { savesOnce: false } });
  const before = await scores(policy);
  await policy.save(path.join(folder, 'first'));
  await policy.train([batch], step);
  await policy.save(path.join(folder, 'second'));
  expect(await scores(policy)).not.toEqual(before);
  await policy.restore(path.join(folder, 'second'), { optimizer: 'kept' });
  expect(await scores(policy)).toEqual(before);
});

it('where all weights are trained there is no other model: a second checkpoint is refused, with the way out', async () => {
  const { policy, folder } = await opened({ loraRank: null });
  await policy.save(path.join(folder, 'first'));
  await policy.save(path.join(folder, 'the same'));
  await policy.train([batch], step);
  await expect(policy.save(path.join(folder, 'second'))).rejects.toMatchObject({
    kind: 'refused',
    hint: expect.stringContaining('engine.loraRank'),
  });
});
