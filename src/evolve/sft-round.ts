/**
 * One round of supervised fine-tuning of all weights: the training baselines of the paper's table.
 *
 *   rejection sampling  the policy's own correct trajectories from the pool (Search-R1, arXiv 2503.09516, appendix)
 *   sft                 question and gold answer, without reasoning or search, or a perfect agent's demonstration
 */
import { acceptedTrajectories, crossEntropyBatch, type Response } from '../algorithms/sft.ts';
import { streamKey } from '../base/random.ts';
import { encodeTurn } from '../protocol/encode-turn.ts';
import { studentPrompt } from '../protocol/prompts.ts';
import { demonstrated } from './demonstrated.ts';
import { itemsOfStep, type Passes, stepsOfPasses } from './epochs.ts';
import type { EvolveState } from './journal.ts';
import { readPool } from './pool.ts';
import type { Run } from './run.ts';
import type { Settings } from './settings.ts';
import type { StageKind, TrainingStage } from './stage.ts';
import { thatFit, trainingRound, withOutcome } from './training-round.ts';

/** Share of the pool's rollouts that are right, before it is known. */
const EXPECTED_CORRECT = 0.4;

export interface SftStage extends TrainingStage {
  readonly kind: 'sft';
  readonly on: 'answers' | 'correct-trajectories';
}

export const sftKind: StageKind<SftStage> = {
  names: { sft: 'SFT', rejection: 'rejection sampling' },
  decides: ({ sft, pool }, { on }) => (on === 'answers' ? { sft } : { sft, pool }),
  work({ on }, { trainingQuestions }, { pool, sft }) {
    const responses = on === 'answers' ? trainingQuestions : pool.questions * pool.rollouts * EXPECTED_CORRECT;
    const steps = stepsOfPasses(responses, passesOf(sft));
    return { rollouts: 0, trained: steps * sft.sequencesPerStep, steps };
  },
  load: () => ({ title: 'fine-tuning', adapterRank: null, freezes: false, extraTokens: 0 }),
  kept: ({ name }) => [name],
  stepsAreRollouts: false,
  run: sftRound,
};

export async function sftRound(run: Run, stage: SftStage, start: EvolveState): Promise<EvolveState> {
  const { sft, seed } = run.settings;
  const all =
    stage.on === 'correct-trajectories'
      ? acceptedTrajectories(await readPool(run, stage.cycle))
      : sft.on === 'answers'
        ? goldAnswers(run)
        : demonstrations(run);
  const responses = thatFit(run, stage.name, 'responses', all, ({ prompt, ids }) => prompt.length + ids.length);
  const reason = 'there is no response to learn from';
  if (responses.length === 0) return withOutcome(start, stage, { steps: 0, stoppedBy: 'no-data', reason, keptStep: 0 });

  return trainingRound(run, stage, start, {
    steps: stepsOfPasses(responses.length, passesOf(sft)),
    optimizer: sft,
    freezes: false,
    adapter: null,
    keep: 'last',
    prepare(step) {
      const key = (epoch: number) => streamKey(seed, stage.name, 'epoch', epoch);
      const batch = crossEntropyBatch(itemsOfStep(responses, step, passesOf(sft), key));
      return {
        read: batch.sequences.map(({ ids }) => ids),
        batches: () => [batch],
        record: ([result]) => ({ metrics: { loss: result!.loss } }),
      };
    },
  });
}

const passesOf = ({ epochs, sequencesPerStep: perStep, maxSteps }: Settings['sft']): Passes => ({
  epochs,
  perStep,
  maxSteps,
});

/** Each training question with a perfect agent's work on it, searches and all. */
function demonstrations(run: Run): Response[] {
  const { tokenizer, template } = run.setup;
  return run.slices.training.map((question) => {
    const prompt = studentPrompt(tokenizer, template, question.question);
    return { prompt, ...demonstrated(run, question, prompt) };
  });
}

/** Each training question with its first gold answer, as a response of one turn. */
function goldAnswers(run: Run): Response[] {
  const { tokenizer, template } = run.setup;
  return run.slices.training.map(({ question, answers }) => {
    const ids = encodeTurn(tokenizer, `<answer> ${answers[0]} </answer>`);
    return { prompt: studentPrompt(tokenizer, template, question), ids, mask: ids.map(() => 1 as const) };
  });
}
