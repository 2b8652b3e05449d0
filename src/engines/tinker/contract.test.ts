import { afterAll, beforeAll } from 'vitest';
import { policyContract } from '../../policy/contract.testing.ts';
import { PROFILE_NAMES } from './profiles.ts';
import { CopyingBigram } from './testing/copying-bigram.ts';
import { type OpenMock, openMock } from './testing/open-mock.ts';

const pieces = [...'abcdefghijkl'];
/** Which of all weights (null) and LoRA each server can train. */
const ranks = {
  verl: [null],
  skyrl: [8, null],
  'skyrl-jax': [8],
  hatchery: [8, null],
  openrl: [8, null],
  tuft: [8],
  hosted: [8],
} as const;

for (const profile of PROFILE_NAMES) {
  let mock: OpenMock;
  beforeAll(async () => {
    mock = await openMock(profile, {}, { pieces, initial: CopyingBigram.random(pieces.length, [1, 2]) });
  });
  afterAll(() => mock.close());
  for (const loraRank of ranks[profile])
    policyContract(`a server like ${profile}, training ${loraRank === null ? 'all weights' : 'LoRA'}`, {
      pieces,
      tolerance: 1e-5,
      open: () => mock.open({ loraRank, contextLength: 24 }),
    });
}
