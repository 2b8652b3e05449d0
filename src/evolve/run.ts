/** What the stages of a run share: rolling out groups, checkpoints, the clock, and a few means. */

import { UserError } from '../base/errors.ts';
import type { Question } from '../base/question.ts';
import type { AdamWStep, CallOptions, TokenIds } from '../policy/policy.ts';
import { expertView } from '../protocol/expert.ts';
import type { Retriever } from '../retrieval/retriever.ts';
import { type BudgetedTask, budgetedTask } from '../rollout/budgets.ts';
import type { Reward } from '../rollout/reward.ts';
import { groupTasks, rollOut } from '../rollout/rollouts.ts';
import { isFailure, policyTokenCount, type Trajectory } from '../rollout/trajectory.ts';
import type { EvolveEvent, EvolveState, Journal } from './journal.ts';
import type { Timing } from './results.ts';
import type { Settings } from './settings.ts';
import type { QuestionSlices, Setup } from './setup.ts';

/** Of each question its rollouts. */
export type Groups = Trajectory[][];

/** How rollouts differ from plain training rollouts. */
export interface RollOutRequest {
  readonly questions: readonly Question[];
  /** Rollouts a question. */
  readonly perQuestion: number;
  /** Name the streams: same stage, step and question, same draws. */
  readonly stage: string;
  readonly step: number;
  /** Search budgets; every rollout is measured at each (budgets.ts). Default: rollout.searches alone. */
  readonly budgets?: readonly number[];
  /** Default 1, at which sampler and trainer speak of the same distribution; 0 = greedy. */
  readonly temperature?: number;
  /** Default: the student prompt. */
  readonly prompt?: (question: Question) => TokenIds;
  /** Room for a longer prompt, in tokens, beside rollout.contextTokens. Default 0. */
  readonly extraContext?: number;
}

export class Cancelled extends Error {
  override readonly name = 'Cancelled';
}

export class Run {
  readonly setup: Setup;
  readonly settings: Settings;
  readonly slices: QuestionSlices;
  readonly journal: Journal;
  readonly emit: (event: EvolveEvent) => void;
  readonly #signal: AbortSignal;
  readonly #clock: Clock;
  readonly #retriever: Pick<Retriever, 'search'>;
  /** Names the present stage, for events. */
  stage = '';

  constructor(run: {
    setup: Setup;
    settings: Settings;
    slices: QuestionSlices;
    journal: Journal;
    emit: (event: EvolveEvent) => void;
    signal: AbortSignal;
    clock: Clock;
  }) {
    this.setup = run.setup;
    this.settings = run.settings;
    this.slices = run.slices;
    this.journal = run.journal;
    this.emit = run.emit;
    this.#signal = run.signal;
    this.#clock = run.clock;
    this.#retriever = {
      search: (queries, k, signal) =>
        this.#clock.time('retrievalSeconds', () => run.setup.retriever.search(queries, k, signal)),
    };
  }

  throwIfCancelled(): void {
    if (this.#signal.aborted) throw new Cancelled('the run was interrupted');
  }

  /** Rollouts of one kind, at rollout.searches. Throws Cancelled when the run is interrupted. */
  async rollOut(
    questions: readonly Question[],
    request: Omit<RollOutRequest, 'questions' | 'budgets'>,
    reward?: Reward,
  ): Promise<Groups> {
    const [[groups]] = (await this.rollOutTogether([{ questions, ...request }], reward)) as [[Groups]];
    return groups;
  }

  /**
   * Rollouts of several kinds, all under way together, so that no kind waits for the last ones of another. Gives, by
   * request and by budget, the groups in the order of the questions. Throws Cancelled when the run is interrupted.
   * @param reward what the rollouts are worth to the round that trains on them; default exact match
   */
  async rollOutTogether(requests: readonly RollOutRequest[], reward?: Reward): Promise<Groups[][]> {
    const { rollout } = this.settings;
    const asked = requests.map((request) => this.#tasksOf(request));
    const tasks = asked.flatMap((each) => each.map(({ task }) => task));
    const environment = {
      policy: this.setup.policy,
      tokenizer: this.setup.tokenizer,
      retriever: this.#retriever,
      template: this.setup.template,
      limits: rollout,
      deadlines: { search: rollout.searchSeconds, sample: rollout.sampleSeconds },
      temperature: 1,
      ...(reward && { reward }),
    };
    let done = 0;
    const trajectories = await this.#clock.time('samplingSeconds', () =>
      rollOut(tasks, environment, {
        concurrency: rollout.concurrency,
        signal: this.#signal,
        onDone: (trajectory) => {
          done += 1;
          this.#clock.count(trajectory);
          this.emit({ kind: 'rollouts', stage: this.stage, done, total: tasks.length });
        },
      }),
    );
    this.throwIfCancelled();
    return requests.map(({ questions, perQuestion, stage, budgets = [rollout.searches] }, r) => {
      const own = trajectories.splice(0, asked[r]!.length);
      refuseManyFailures(own, stage);
      return budgets.map((budget) => {
        const all = own.map((trajectory, i) => asked[r]![i]!.at(budget, trajectory));
        return questions.map((_, i) => all.slice(i * perQuestion, (i + 1) * perQuestion));
      });
    });
  }

  #tasksOf(request: RollOutRequest): BudgetedTask[] {
    const { rollout, seed } = this.settings;
    const { questions, perQuestion, stage, step, prompt, temperature = 1, extraContext = 0 } = request;
    const limits = { ...rollout, contextTokens: rollout.contextTokens + extraContext };
    return groupTasks(questions, perQuestion, { seed, stage, step }).map((task) => {
      const own = { ...task, temperature, ...(prompt && { prompt: prompt(task.question) }) };
      return budgetedTask(own, limits, request.budgets ?? [rollout.searches]);
    });
  }

  /**
   * Times training work over the given sequences. The work gets what stops its calls and tells how far they are.
   * Throws Cancelled when the run is interrupted.
   */
  async training<T>(
    sequences: readonly { readonly length: number }[],
    work: (watch: CallOptions) => Promise<T>,
  ): Promise<T> {
    this.#clock.trained(sequences.reduce((sum, s) => sum + s.length, 0));
    const watch: CallOptions = {
      signal: this.#signal,
      onProgress: (done, total) => this.emit({ kind: 'training', stage: this.stage, done, total }),
    };
    try {
      return await this.#clock.time('trainingSeconds', () => work(watch));
    } catch (error) {
      if (error === this.#signal.reason) this.throwIfCancelled();
      throw error;
    }
  }

  checkpoint(state: EvolveState, keep?: string): Promise<void> {
    return this.journal.checkpoint({ ...state, timing: this.#clock.timing() }, this.setup.policy, keep);
  }
}

/** A single failure is data; when most rollouts fail, nothing can be learned or measured, and going on would hide it. */
function refuseManyFailures(trajectories: readonly Trajectory[], stage: string): void {
  const failed = trajectories.filter((t) => isFailure(t.stop));
  if (failed.length <= trajectories.length / 2) return;
  const first = failed[0]!;
  throw new UserError(
    `${stage}: ${failed.length} of ${trajectories.length} rollouts failed, the first one (${first.questionId}) by ${first.stop}: ${first.failure ?? 'no reason given'}`,
    { hint: 'Mend the retriever or the engine, then continue with --resume; what was finished is kept.' },
  );
}

type Activity = 'samplingSeconds' | 'retrievalSeconds' | 'trainingSeconds';

/** Adds up where the time goes, over all sittings of a run. */
export class Clock {
  readonly #before: Timing;
  readonly #start = performance.now();
  readonly #seconds = { samplingSeconds: 0, retrievalSeconds: 0, trainingSeconds: 0 };
  readonly #counts = { trajectories: 0, searches: 0, sampledTokens: 0, trainedTokens: 0 };
  /** Stages of this sitting: when each began, in milliseconds (it lasts until the next one), and what it sampled and trained on. */
  readonly #begun: { stage: string; at: number; sampledTokens: number; trainedTokens: number }[] = [];

  /** What the retriever's cache has answered since it was opened. */
  readonly #cacheHits: () => number;
  readonly #cacheHitsBefore: number;

  constructor(before: Timing, retriever: Pick<Retriever, 'statistics'> = {}) {
    this.#before = before;
    this.#cacheHits = () => retriever.statistics?.().cacheHits ?? 0;
    this.#cacheHitsBefore = this.#cacheHits();
  }

  async time<T>(activity: Activity, work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await work();
    } finally {
      this.#seconds[activity] += (performance.now() - start) / 1000;
    }
  }

  count(trajectory: Trajectory): void {
    this.#counts.trajectories += 1;
    this.#counts.searches += trajectory.searches.length;
    const tokens = policyTokenCount(trajectory);
    this.#counts.sampledTokens += tokens;
    const stage = this.#begun.at(-1);
    if (stage !== undefined) stage.sampledTokens += tokens;
  }

  trained(tokens: number): void {
    this.#counts.trainedTokens += tokens;
    const stage = this.#begun.at(-1);
    if (stage !== undefined) stage.trainedTokens += tokens;
  }

  begin(stage: string): void {
    this.#begun.push({ stage, at: performance.now(), sampledTokens: 0, trainedTokens: 0 });
  }

  /** Seconds and tokens of each stage, those of earlier sittings added. */
  #byStage(): Timing['byStage'] {
    const stages = new Map(this.#before.byStage.map((entry) => [entry.stage, entry]));
    this.#begun.forEach(({ stage, at, sampledTokens, trainedTokens }, i) => {
      const until = this.#begun[i + 1]?.at ?? performance.now();
      const before = stages.get(stage);
      stages.set(stage, {
        stage,
        seconds: (before?.seconds ?? 0) + (until - at) / 1000,
        sampledTokens: (before?.sampledTokens ?? 0) + sampledTokens,
        trainedTokens: (before?.trainedTokens ?? 0) + trainedTokens,
      });
    });
    return [...stages.values()];
  }

  timing(): Timing {
    const b = this.#before;
    const { samplingSeconds: rolling, retrievalSeconds: retrieving, trainingSeconds: training } = this.#seconds;
    const totalSeconds = b.totalSeconds + (performance.now() - this.#start) / 1000;
    // Searches run while rollouts are awaited: their time is taken out of the rollouts' time.
    const samplingSeconds = b.samplingSeconds + Math.max(0, rolling - retrieving);
    const retrievalSeconds = b.retrievalSeconds + retrieving;
    const trainingSeconds = b.trainingSeconds + training;
    return {
      totalSeconds,
      samplingSeconds,
      retrievalSeconds,
      trainingSeconds,
      otherSeconds: Math.max(0, totalSeconds - samplingSeconds - retrievalSeconds - trainingSeconds),
      trajectories: b.trajectories + this.#counts.trajectories,
      searches: b.searches + this.#counts.searches,
      cachedSearches: b.cachedSearches + this.#cacheHits() - this.#cacheHitsBefore,
      sampledTokens: b.sampledTokens + this.#counts.sampledTokens,
      trainedTokens: b.trainedTokens + this.#counts.trainedTokens,
      byStage: this.#byStage(),
    };
  }
}

export const noTime: Timing = {
  totalSeconds: 0,
  samplingSeconds: 0,
  retrievalSeconds: 0,
  trainingSeconds: 0,
  otherSeconds: 0,
  trajectories: 0,
  searches: 0,
  cachedSearches: 0,
  sampledTokens: 0,
  trainedTokens: 0,
  byStage: [],
};

/** The ids of an expert trajectory as the teacher is shown them. */
export function expertIds(run: Run, expert: Trajectory): number[] {
  const { expertView: view, expertTokens } = run.settings.distill;
  return expertView(run.setup.tokenizer, expert, view, expertTokens);
}

interface Schedule {
  readonly warmupSteps: number;
  readonly schedule: 'constant' | 'cosine';
}

/** AdamW of one step (from 1, of so many): η min(1, step / warmup), times ½ (1 + cos(π (step − 1) / steps)) for a cosine. */
export function optimizerStep(settings: AdamWStep & Schedule, step: number, steps: number): AdamWStep {
  const { learningRate, warmupSteps, schedule, ...rest } = settings;
  const { beta1, beta2, epsilon, weightDecay, clipNorm, minGradientNorm } = rest;
  const warm = warmupSteps === 0 ? 1 : Math.min(1, step / warmupSteps);
  const shape = schedule === 'constant' ? 1 : 0.5 * (1 + Math.cos((Math.PI * (step - 1)) / steps));
  return { learningRate: learningRate * warm * shape, beta1, beta2, epsilon, weightDecay, clipNorm, minGradientNorm };
}

/** Mean of a value over items; null for none. */
export function meanOf<T>(items: readonly T[], of: (item: T) => number): number | null {
  return items.length === 0 ? null : items.reduce((sum, item) => sum + of(item), 0) / items.length;
}
