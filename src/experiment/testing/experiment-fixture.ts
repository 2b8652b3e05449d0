/** A made-up experiment for tests: run directories of the right form, whose answers are drawn with given probabilities. */
import path from 'node:path';
import { writeFileAtomic } from '../../base/files.ts';
import { Random, streamKey } from '../../base/random.ts';
import type { Tokenizer } from '../../checkpoint/tokenizer.types.ts';
import { evaluationModes } from '../../evolve/evaluate.ts';
import type { MetricRecord } from '../../evolve/journal.ts';
import { meanOfSuites, measureSuite } from '../../evolve/measure.ts';
import { presets } from '../../evolve/presets.ts';
import type { Results, StageMeasurement } from '../../evolve/results.ts';
import type { Settings } from '../../evolve/settings.ts';
import { planStages } from '../../evolve/stages.ts';
import type { Trajectory } from '../../rollout/trajectory.ts';
import { toLine } from '../../rollout/trajectory-file.ts';
import { presentVersions } from '../../runs/config-record.ts';
import { RunFiles } from '../../runs/run-files.ts';
import { pairToLine } from '../../runs/schemas.ts';
import { shardFile, writeShard } from '../../runs/shards.ts';
import { fixtureResults, fixtureTiming, smallConfig } from '../../runs/testing/run-fixture.ts';
import type { ArmName } from '../arms.ts';
import { seedsOf } from '../definition.ts';
import type { ExperimentRecord } from '../record.ts';

export interface MadeUpArm {
  readonly name: ArmName;
  /** Exact match gained over the first round by the last stage, at most 4 and at most 2 searches. */
  readonly gain: readonly [number, number];
  readonly searches: number;
  readonly change?: Partial<Settings['distill']>;
  readonly method?: Settings['method'];
}

export const fixtureArms: readonly MadeUpArm[] = [
  { name: 'e1', gain: [0.06, 0.22], searches: 1.9 },
  { name: 'grpo-tokens', gain: [0.05, 0.02], searches: 2.4, method: 'grpo' },
  {
    name: 'same-prompt',
    gain: [0, 0],
    searches: 2.4,
    change: { teacherSees: 'nothing', teacherTemperature: 1 },
  },
  { name: 'other-question', gain: [-0.08, 0.12], searches: 1.6, change: { teacherSees: 'other-question' } },
  { name: 'skeleton', gain: [0.05, 0.2], searches: 1.95, change: { expertView: 'searches-and-answer' } },
];

const SUITES = ['nq', 'hotpotqa', 'musique'];

export interface MadeUpExperiment {
  readonly arms?: readonly MadeUpArm[];
  readonly seeds?: number;
  readonly questions?: number;
  /** Encodes the texts of the example pairs. */
  readonly tokenizer: Pick<Tokenizer, 'encode'>;
}

export async function writeMadeUpExperiment(
  folder: string,
  { arms = fixtureArms, seeds = 3, questions = 12, tokenizer }: MadeUpExperiment,
): Promise<void> {
  const record: ExperimentRecord = {
    schema: 1,
    data: null,
    name: 'made up',
    arms: arms.map(({ name }) => name),
    // The last seed has a base of its own.
    seeds: seedsOf(seeds).map((seed, i) =>
      i === seeds - 1 && i > 0 ? { ...seed, base: { model: 'other', weights: 'another' } } : seed,
    ),
    preset: 'default',
    settings: presets.default,
    model: null,
    weights: 'made up',
    versions: presentVersions(),
  };
  await writeFileAtomic(path.join(folder, 'experiment.json'), JSON.stringify(record));
  for (const { name: seed } of record.seeds)
    for (const arm of arms)
      await writeRun(new RunFiles(path.join(folder, seed, arm.name)), seed, arm, questions, tokenizer);
}

async function writeRun(
  files: RunFiles,
  seed: string,
  arm: MadeUpArm,
  questions: number,
  tokenizer: Pick<Tokenizer, 'encode'>,
): Promise<void> {
  const config = smallConfig();
  const evaluation: Settings['evaluation'] = {
    questions,
    samples: 2,
    searches: [4, 2],
    decoding: ['sampled', 'greedy'],
  };
  const { distill } = config.settings;
  const settings: Settings = {
    ...config.settings,
    method: arm.method ?? 'search-e1',
    distill: { ...distill, ...arm.change },
    evaluation,
  };
  const stages = planStages(settings).flatMap((stage) => (stage.kind === 'evaluate' ? [stage.of] : []));
  const measurements: StageMeasurement[] = [];
  for (const [index, of] of stages.entries())
    for (const mode of evaluationModes(evaluation)) {
      const answered = SUITES.map((suite, row) => {
        const progress =
          index === 0 ? -0.25 : arm.gain[mode.searches === 4 ? 0 : 1] * ((index - 1) / (stages.length - 2));
        const chance = 0.75 - 0.18 * row - (mode.searches === 2 ? 0.2 : 0) + progress + seedLuck(seed);
        return answers(suite, seed, arm, {
          questions,
          chance,
          samples: mode.decoding === 'greedy' ? 1 : 2,
          stage: `${of}-${mode.searches}`,
        });
      });
      if (index === stages.length - 1)
        await writeShard(
          shardFile(files.file('trajectories'), `${of}-${mode.decoding}-${mode.searches}`),
          answered.flat().map(toLine),
        );
      const suites = SUITES.map((suite, i) =>
        measureSuite(
          suite,
          answered[i]!.map(({ questionId: id }) => ({ id, dataset: suite, question: '', answers: ['x'] })),
          answered[i]!,
        ),
      );
      measurements.push({ stage: of, mode, suites, mean: meanOfSuites(suites) });
    }
  const distills = settings.method === 'search-e1';
  const made = fixtureResults();
  const luck = seedLuck(seed);
  const results: Results = {
    schema: 1,
    measurements,
    pools: distills ? made.pools : [],
    gates: distills
      ? made.gates.map((gate) => ({ ...gate, exactMatchGap: { mean: 0.2 + 2 * luck, standardError: 0.05 } }))
      : [],
    outcomes: stages.slice(1).map((stage) => ({ stage, steps: 2, stoppedBy: 'steps', keptStep: 2 })),
  };
  const same = arm.change?.teacherSees === 'nothing';
  const metrics = stages.slice(1).flatMap((stage) =>
    [1, 2].map(
      (step): MetricRecord =>
        stage.startsWith('grpo')
          ? { stage, step, loss: -0.01, entropy: 0.5 }
          : {
              stage,
              step,
              loss: same ? 0 : 0.2 / step,
              skipped: same ? 1 : 0,
              clipFraction: 0.01,
              entropy: 0.4,
              'kl.think': 0.1,
              'kl.search': 0.3,
              'kl.answer': step === 1 ? 0.5 : null,
              'kl.tag': 0.02,
            },
    ),
  );
  await writeFileAtomic(files.file('config.json'), JSON.stringify({ ...config, settings }));
  await writeFileAtomic(files.file('results.json'), JSON.stringify(results));
  await writeFileAtomic(files.file('timing.json'), JSON.stringify({ schema: 1, ...fixtureTiming }));
  await writeFileAtomic(files.file('metrics.jsonl'), metrics.map((record) => `${JSON.stringify(record)}\n`).join(''));
  if (arm.name === 'e1') await writePairs(files, tokenizer);
}

/** Differs from seed to seed, the same for all arms. */
function seedLuck(seed: string): number {
  return 0.04 * (new Random(streamKey('made-up', seed)).uniform() - 0.5);
}

function answers(
  suite: string,
  seed: string,
  arm: MadeUpArm,
  { questions, chance, samples, stage }: { questions: number; chance: number; samples: number; stage: string },
): Trajectory[] {
  // Easy and hard questions, the same for all arms.
  const ease = new Random(streamKey('made-up', seed, suite));
  return Array.from({ length: questions }, (_, q) => {
    const own = chance + 0.3 * (ease.uniform() - 0.5);
    const random = new Random(streamKey('made-up', seed, suite, arm.name, stage, q));
    return Array.from({ length: samples }, (_, rollout) => {
      const right = random.chance(own);
      const count = Math.floor(arm.searches) + (random.chance(arm.searches % 1) ? 1 : 0);
      return trajectory(`${seed}/${suite}/${q}`, suite, rollout, right ? 1 : 0, Math.min(count, Number(stage.at(-1))));
    });
  }).flat();
}

function trajectory(
  questionId: string,
  dataset: string,
  rollout: number,
  correct: 0 | 1,
  searches: number,
): Trajectory {
  return {
    questionId,
    dataset,
    rollout,
    correct,
    reward: correct,
    prompt: [1],
    ids: [2, 3, 4],
    mask: [1, 0, 1],
    logprobs: [-1, 0, -1],
    searches: Array.from({ length: searches }, () => ({ query: 'who', passages: [] })),
    stop: 'answered',
    answer: 'x',
    wellFormed: true,
    grounded: correct === 1,
  };
}

/** Four questions of different difficulty, each with an expert and a student. */
async function writePairs(files: RunFiles, { encode }: Pick<Tokenizer, 'encode'>): Promise<void> {
  const question = encode("question : what is book fakir gozun 's author ?");
  const said = encode(
    '<search> fakir gozun author </search> <information> book fakir gozun . author : nimal </information> <answer> nimal </answer>',
  );
  const mask = said.map((_, i) => (i < 5 || i >= said.length - 3 ? 1 : 0));
  const groups = [0, 1, 2, 3].map((q) =>
    [0, 1, 2, 3, 4].map((rollout) => ({
      ...trajectory(`pool/${q}`, 'hotpotqa', rollout, rollout <= q ? 1 : 0, 1),
      prompt: question,
      ids: said,
      mask: mask.map((m) => m as 0 | 1),
      logprobs: mask.map((m) => -0.5 * m),
    })),
  );
  await writeShard(shardFile(files.file('trajectories'), 'pool-1-0000'), groups.flat().map(toLine));
  const pairs = groups.map((group, q) => ({
    questionId: `pool/${q}`,
    expert: { questionId: `pool/${q}`, rollout: 0 },
    student: { rollout: 4, correct: false },
    teacherPrompt: [...question, ...group[0]!.ids],
    studentPrompt: question,
    ids: said,
    mask: mask.map((m) => m as 0 | 1),
    kl: mask.map((m, t) => m * ((t * 7) % 5) * 0.1),
  }));
  await writeShard(shardFile(files.file('pairs'), 'e1-1-0001'), pairs.map(pairToLine));
}
