import { link, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import type { AdamWStep, LossBatch } from '../../policy/policy.ts';
import { HANDLE_FILE } from './handles.ts';
import { type OpenMock, openMock } from './testing/open-mock.ts';

const ids = [1, 2, 3, 4];
const batch: LossBatch = {
  loss: 'cross-entropy',
  sequences: [{ ids, weights: new Float32Array(4).fill(1) }],
  denominator: 4,
};
const step: AdamWStep = {
  learningRate: 0.01,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0,
  clipNorm: 1,
  minGradientNorm: 0,
};

let mock: OpenMock | undefined;
let folder: string | undefined;
afterEach(async () => {
  vi.useRealTimers();
  await mock?.close();
  if (folder !== undefined) await rm(folder, { recursive: true });
  folder = undefined;
});
const newFolder = async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'session-'));
  return folder;
};

it('learns by its heartbeat that the server has dropped it, and restore begins another', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  mock = await openMock('skyrl');
  const policy = await mock.open();
  const saved = await newFolder();
  await policy.save(saved);
  const before = await policy.logprobs([ids], 'present');
  mock.server.expireSessions();
  vi.advanceTimersByTime(10_000);
  const beats = () => mock!.server.requests.filter(({ call }) => call === 'session_heartbeat').length;
  await vi.waitFor(() => expect(beats()).toBe(1));
  await vi.waitFor(() => expect(policy.train([batch], step)).rejects.toThrow('has dropped the session and its models'));
  await policy.restore(saved, { optimizer: 'kept' });
  expect(await policy.logprobs([ids], 'present')).toEqual(before);
  await policy.train([batch], step);
});

it('waits for a server that is starting, and says so', async () => {
  mock = await openMock('skyrl', {}, { startingFor: 3 });
  await mock.open();
  expect(mock.notes.join()).toContain('is not ready yet: starting');
});

it('deletes saved weights for the folder that they were made for alone, and not while another shares them', async () => {
  mock = await openMock('hatchery');
  const policy = await mock.open();
  const root = await newFolder();
  const [own, other, forked] = ['run/0001', 'other/0001', 'fork/0001'].map((name) => path.join(root, name));
  for (const place of [own!, other!, forked!]) await mkdir(place, { recursive: true });
  await policy.save(own!);
  await policy.save(other!);
  await link(path.join(own!, HANDLE_FILE), path.join(forked!, HANDLE_FILE));
  await policy.discard(forked!);
  await policy.discard(own!);
  expect(mock.server.saved.size).toBe(2);
  await rm(path.join(forked!, HANDLE_FILE));
  await policy.discard(own!);
  expect(mock.server.saved.size).toBe(1);
});

it('notes when saved weights expire, and names it once they have', async () => {
  mock = await openMock('hatchery');
  const policy = await mock.open();
  const saved = await newFolder();
  const expiring = (seconds: number) => ({
    call: 'retrieve save_weights',
    kind: 'changed' as const,
    change: (answer: Record<string, unknown>) => ({ ...answer, expires_at: Date.now() / 1000 + seconds }),
  });
  mock.server.faults.add(expiring(3600), expiring(-1));
  await policy.save(saved);
  expect(mock.notes.join()).toContain('drops saved weights after a time');
  await policy.restore(saved, { optimizer: 'kept' });
  await policy.save(saved);
  await expect(policy.restore(saved, { optimizer: 'kept' })).rejects.toThrow(
    /has dropped these weights, they expired at/,
  );
});
