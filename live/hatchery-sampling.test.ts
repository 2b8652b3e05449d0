/** Rollouts on hatchery-core with equal prompts joined in one request, and one by one: their log-probabilities, and their time. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE_POLICY } from '../src/checkpoint/base-policy.ts';
import { loadTokenizer } from '../src/checkpoint/tokenizer.ts';
import type { TinkerPolicy } from '../src/engines/tinker/engine.ts';
import { openTinkerPolicy } from '../src/engines/tinker/open-policy.ts';
import { worldTemplate } from '../src/protocol/templates.ts';
import { Bm25Index } from '../src/retrieval/bm25.ts';
import { groupTasks, rollOut } from '../src/rollout/rollouts.ts';
import { valid } from '../src/rollout/trajectory.ts';
import { defaultDeadlines } from '../src/rollout/turns.ts';
import { generateWorld } from '../src/world/generate.ts';
import { trainingQuestions } from '../src/world/suites.ts';
import { KEY, type Peer, pythonOf, startHatchery } from './peer.ts';

const python = pythonOf('hatchery');
const QUESTIONS = 8;
const ROLLOUTS = 5;
/** The figures of docs/distributed.md are of 3. */
const BATCHES = 1;

describe.skipIf(python === undefined)('rollouts on hatchery', () => {
  let folder: string;
  let peer: Peer;
  const policies: TinkerPolicy[] = [];
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'hatchery-sampling-'));
    const model = path.join(folder, 'base');
    await cp(BASE_POLICY, model, { recursive: true });
    // The server pads batches, and makes up an id beyond the vocabulary where the tokenizer names none.
    const tokenizerConfig = '{"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"}';
    await writeFile(path.join(model, 'tokenizer_config.json'), tokenizerConfig);
    peer = await startHatchery(python!, { model });
    for (const joins of [true, false])
      policies.push(
        await openTinkerPolicy({
          ...{
            url: peer.url,
            key: KEY,
            profile: 'hatchery',
            overrides: { joins },
            baseModel: model,
            loraRank: 8,
            seed: 1,
          },
          ...{ contextLength: 512, pieces: (await loadTokenizer(BASE_POLICY)).pieces, concurrency: 64 },
        }),
      );
  });
  afterAll(async () => {
    for (const policy of policies) await policy.close();
    await peer?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('are sampled together by group, each with the log-probabilities that the trainer gives it', async () => {
    const world = generateWorld(3001);
    const environment = {
      tokenizer: await loadTokenizer(BASE_POLICY),
      retriever: new Bm25Index(world.passages, { analyzer: 'words' }),
      template: worldTemplate,
      limits: {
        ...{ searches: 2, invalidTurns: 2, turnTokens: 40, responseTokens: 110, observationTokens: 120 },
        ...{ contextTokens: 512, passages: 3 },
      },
      deadlines: defaultDeadlines,
      temperature: 1,
    };
    const questions = trainingQuestions(world, QUESTIONS);
    const [seconds, tokens] = [
      [0, 0],
      [0, 0],
    ];
    for (let step = 0; step < BATCHES; step++)
      for (const [i, policy] of policies.entries()) {
        const tasks = groupTasks(questions, ROLLOUTS, { seed: 1, stage: 'live', step });
        const began = performance.now();
        const found = valid(await rollOut(tasks, { ...environment, policy }));
        seconds[i]! += (performance.now() - began) / 1000;
        tokens[i]! += found.reduce((sum, { mask }) => sum + mask.filter((own) => own === 1).length, 0);
        expect(found).toHaveLength(QUESTIONS * ROLLOUTS);
        const scores = await policy.logprobs(
          found.map(({ prompt, ids }) => [...prompt, ...ids]),
          'present',
        );
        const gaps = found.flatMap(({ prompt, logprobs, mask }, n) =>
          logprobs.map((x, t) => (mask[t] === 1 ? Math.abs(x - scores[n]![prompt.length + t]!) : 0)),
        );
        expect(Math.max(...gaps)).toBeLessThan(1e-4);
      }
    console.log(
      `${BATCHES} x ${QUESTIONS} questions x ${ROLLOUTS} rollouts: joined ${seconds[0]!.toFixed(1)} s, ${tokens[0]} tokens; ` +
        `one by one ${seconds[1]!.toFixed(1)} s, ${tokens[1]} tokens`,
    );
    expect(seconds[0]!).toBeLessThan(seconds[1]!);
  });
});
