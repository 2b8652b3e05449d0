/**
 * A GRPO step of the embedded world's model, end to end: sampling, reference log-probabilities, loss, update. Once with
 * prompts of 100 random tokens and 5 samples of up to 45 tokens each, as trainers without tools do it; and the real one,
 * with searches, on the world.
 */
import { policyGradientBatch } from '../../src/algorithms/grpo.ts';
import { streamKey } from '../../src/base/random.ts';
import { BASE_POLICY } from '../../src/checkpoint/base-policy.ts';
import type { Model } from '../../src/checkpoint/model-directory.ts';
import { readModel } from '../../src/checkpoint/model-directory.ts';
import { openPolicy } from '../../src/engines/onnx/engine.ts';
import { openSetup } from '../../src/evolve/open.ts';
import { presets } from '../../src/evolve/presets.ts';
import { sliceQuestions } from '../../src/evolve/setup.ts';
import { groupTasks, rollOut } from '../../src/rollout/rollouts.ts';
import { median, type Row, seconds, timed } from './measure.ts';
import { randomSequences } from './shapes.ts';
import { adamW } from './training.ts';

const REPEATS = 7;

export async function measureGrpo(threads: number): Promise<Row[]> {
  const work = { questions: 16, group: 5, prompt: 100, fresh: 45, repeats: REPEATS };
  return [
    await withoutTools(await readModel(BASE_POLICY), work, { threads, decodeBits: 32 }),
    await withSearches(threads),
  ];
}

/** What a step without tools is made of; `prompt` and `fresh` are tokens, `fresh` of every sample: there is no stop token. */
export interface StepWork {
  readonly questions: number;
  readonly group: number;
  readonly prompt: number;
  readonly fresh: number;
  readonly repeats: number;
}

/** Sampling, reference, π_old where the sampler is approximate, and one update with k3 and KL coefficient 0.001. */
export async function withoutTools(
  { config, weights }: Pick<Model, 'config' | 'weights'>,
  work: StepWork,
  { threads, decodeBits }: { readonly threads: number; readonly decodeBits: 32 | 8 },
): Promise<Row> {
  const pieces = new Array<string>(config.vocabulary).fill('');
  const policy = await openPolicy({ config, weights, pieces, threads, decodeBits });
  const prompts = randomSequences(config, new Array(work.questions).fill(work.prompt), streamKey('bench', 'prompts'));
  await policy.freeze();
  let round = 0;
  const parts = { sampling: [] as number[], scoring: [] as number[], update: [] as number[] };
  const step = async () => {
    round += 1;
    const started = performance.now();
    const samples = await Promise.all(
      prompts.flatMap((prompt, question) =>
        Array.from({ length: work.group }, (_, rollout) =>
          policy.sample({
            prompt,
            maxTokens: work.fresh,
            temperature: 1,
            stop: [],
            stopTokens: [],
            key: streamKey('bench', round, question, rollout),
          }),
        ),
      ),
    );
    const sampled = performance.now();
    const sequences = samples.map(({ ids, logprobs }, n) => {
      const prompt = prompts[Math.floor(n / work.group)]!;
      const stream = (fill: number, values: ArrayLike<number>) => {
        const whole = new Float32Array(prompt.length + ids.length).fill(fill);
        whole.set(values, prompt.length);
        return whole;
      };
      return {
        ids: [...prompt, ...ids],
        mask: Uint8Array.from({ length: prompt.length + ids.length }, (_, t) => (t < prompt.length ? 0 : 1)),
        // One right answer in five, whichever: the work is the same.
        advantages: stream(0, new Float32Array(ids.length).fill(n % work.group === 0 ? 2 : -0.5)),
        oldLogprobs: stream(0, logprobs),
      };
    });
    const ids = sequences.map((sequence) => sequence.ids);
    const reference = await policy.logprobs(ids, 'frozen');
    const old = policy.capabilities.sampler === 'exact' ? undefined : await policy.logprobs(ids, 'present');
    const scored = performance.now();
    const batch = {
      loss: 'policy-gradient' as const,
      sequences: sequences.map((sequence, n) => ({
        ...sequence,
        oldLogprobs: old?.[n] ?? sequence.oldLogprobs,
        referenceLogprobs: reference[n]!,
      })),
      clipLow: 0.2,
      clipHigh: 0.2,
      klCoefficient: 0.001,
      denominator: work.questions * work.group * work.fresh,
    };
    await policy.train([batch], adamW);
    const updated = performance.now();
    parts.sampling.push((sampled - started) / 1000);
    parts.scoring.push((scored - sampled) / 1000);
    parts.update.push((updated - scored) / 1000);
  };
  await step();
  for (const times of Object.values(parts)) times.length = 0;
  const times = await timed(work.repeats, step);
  await policy.close();
  const part = (name: keyof typeof parts) => `${name} ${median(parts[name]).toFixed(2)} s`;
  return {
    what: stepName(work),
    who: decodeBits === 32 ? 'search-e1' : `search-e1, ${decodeBits} bits`,
    tokensPerSecond: stepTokens(work) / median(times.seconds),
    ...times,
    note: `${part('sampling')}, ${part('scoring')}, ${part('update')}`,
  };
}

export const stepName = ({ questions, group, fresh, prompt }: StepWork) =>
  `GRPO step, ${questions} x ${group} samples of ${fresh} tokens after ${prompt}`;

export const stepTokens = ({ questions, group, fresh, prompt }: StepWork) => questions * group * (prompt + fresh);

/** The default run's step on the world: 16 questions x 5 rollouts with up to 4 searches each. */
async function withSearches(threads: number): Promise<Row> {
  const settings = presets.default;
  const none = { questions: null, corpus: null, tokenizer: null, model: null, template: null, evaluate: [] };
  const { setup, close } = await openSetup({ ...none, threads }, settings);
  const { rollout, grpo, seed } = settings;
  const questions = sliceQuestions(setup.trainingQuestions, settings).training.slice(0, grpo.questionsPerStep);
  await setup.policy.freeze();
  let step = 0;
  let trajectories = 0;
  const parts = { sampling: [] as number[], retrieval: [] as number[], training: [] as number[] };
  const times = await seconds(REPEATS, async () => {
    step += 1;
    let retrieval = 0;
    const started = performance.now();
    const tasks = groupTasks(questions, grpo.groupSize, { seed, stage: 'bench', step });
    const done = await rollOut(
      tasks,
      {
        ...setup,
        retriever: {
          search: async (...args) => {
            const asked = performance.now();
            const found = await setup.retriever.search(...args);
            retrieval += performance.now() - asked;
            return found;
          },
        },
        limits: rollout,
        deadlines: { search: rollout.searchSeconds, sample: rollout.sampleSeconds },
        temperature: 1,
      },
      { concurrency: rollout.concurrency },
    );
    const rolled = performance.now();
    trajectories = done.length;
    const sequences = done.map(({ prompt, ids }) => [...prompt, ...ids]);
    const reference = await setup.policy.logprobs(sequences, 'frozen');
    const weighted = done.map((trajectory, n) => ({ trajectory, advantage: n % grpo.groupSize === 0 ? 2 : -0.5 }));
    await setup.policy.train([policyGradientBatch(weighted, reference, grpo)], { ...adamW, learningRate: 1e-6 });
    parts.sampling.push((rolled - started - retrieval) / 1000);
    parts.retrieval.push(retrieval / 1000);
    parts.training.push((performance.now() - rolled) / 1000);
  });
  await close();
  const part = (name: keyof typeof parts) => `${name} ${median(parts[name]).toFixed(2)} s`;
  return {
    what: `GRPO step on the world, ${grpo.questionsPerStep} x ${grpo.groupSize} rollouts with searches`,
    who: 'search-e1',
    seconds: times,
    note: `${(trajectories / median(times)).toFixed(1)} trajectories/s; ${part('sampling')}, ${part('retrieval')}, ${part('training')}`,
  };
}
