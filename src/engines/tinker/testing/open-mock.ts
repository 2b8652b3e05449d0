/** A mock server and policies on it, for tests; all of it is closed by `close`. */
import { streamKey } from '../../../base/random.ts';
import type { TinkerPolicy } from '../engine.ts';
import { openTinkerPolicy, type TinkerSource } from '../open-policy.ts';
import type { Patience } from '../patience.ts';
import type { ProfileName } from '../profiles.ts';
import { CopyingBigram } from './copying-bigram.ts';
import { type Dialect, dialects } from './dialects.ts';
import { type MockOptions, MockServer } from './mock-server.ts';

/** Waits of a hundredth of the usual ones. */
export const quick: Patience = {
  firstWait: 0.005,
  longestWait: 0.05,
  unavailable: 5,
  progress: 30,
  paymentWait: 0.01,
  payment: 5,
};

/** One letter a token. */
export const letters = [...'abcdefghijklmnopqrstuvwxyz<>/ .'];

export const KEY = 'tml-secret-of-the-tests';

export interface OpenMock {
  readonly server: MockServer;
  readonly notes: string[];
  open(changes?: Partial<TinkerSource>): Promise<TinkerPolicy>;
  close(): Promise<void>;
}

export async function openMock(
  profile: ProfileName,
  dialect: Partial<Dialect> = {},
  options: Partial<MockOptions> = {},
): Promise<OpenMock> {
  const server = new MockServer({
    dialect: { ...dialects[profile], ...dialect },
    initial: CopyingBigram.random(letters.length, streamKey('mock weights')),
    pieces: letters,
    key: KEY,
    ...options,
  });
  await server.start();
  const policies: TinkerPolicy[] = [];
  const notes: string[] = [];
  return {
    server,
    notes,
    async open(changes = {}) {
      const policy = await openTinkerPolicy({
        url: server.url,
        key: KEY,
        profile,
        baseModel: server.baseModel,
        loraRank: 8,
        seed: 1,
        contextLength: 64,
        pieces: options.pieces ?? letters,
        concurrency: 16,
        patience: quick,
        onNote: (text) => notes.push(text),
        ...changes,
      });
      policies.push(policy);
      return policy;
    },
    async close() {
      for (const policy of policies) await policy.close();
      await server.stop();
    },
  };
}
