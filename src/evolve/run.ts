/** What the stages of a run share: rolling out groups, timed training, checkpoints, and the word to stop. */

import type { Question } from '../base/question.ts';
import { streamKey } from '../base/random.ts';
import type { CallOptions, TokenIds } from '../policy/policy.ts';
import type { AuthoredIds } from '../protocol/authors.ts';
import { expertView } from '../protocol/expert.ts';
import type { Retriever } from '../retrieval/retriever.ts';
import { type BudgetedTask, budgetedTask } from '../rollout/budgets.ts';
import {
  type CompleteRollOutOptions,
  MOST_FAILED_OF_MEASURED,
  MOST_FAILED_OF_TRAINING,
  rollOutCompletely,
} from '../rollout/complete-rollouts.ts';
import type { Reward } from '../rollout/reward.ts';
import type { RolloutTask } from '../rollout/rollout.ts';
import { groupTasks } from '../rollout/rollouts.ts';
import type { Trajectory } from '../rollout/trajectory.ts';
import type { Clock } from './clock.ts';
import type { EvolveEvent, EvolveState, Journal } from './journal.ts';
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
  /** They are measured, not trained on: hardly any may fail. Default false. */
  readonly measured?: boolean;
  /** Search budgets; every rollout is measured at each (budgets.ts). Default: rollout.searches alone. */
  readonly budgets?: readonly number[];
  /** Default 1, at which sampler and trainer speak of the same distribution; 0 = greedy. */
  readonly temperature?: number;
  /** Share of searches that are answered badly (rollout/noise.ts). Default 0. */
  readonly noise?: number;
  /** Default: the student prompt. */
  readonly prompt?: (question: Question) => TokenIds;
  /** Room for a longer prompt, in tokens, beside rollout.contextTokens. Default 0. */
  readonly extraContext?: number;
}

/** Several sets of rollouts of one training step. */
export interface TrainingSets extends Pick<RollOutRequest, 'stage' | 'step' | 'noise'> {
  readonly total: number;
}

/** Rolls out tasks to their ends, in their order. */
export type RollOutSet = (tasks: readonly RolloutTask[]) => Promise<Trajectory[]>;

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
    const shares = requests.flatMap(({ measured }, r) =>
      asked[r]!.map(() => (measured ? MOST_FAILED_OF_MEASURED : MOST_FAILED_OF_TRAINING)),
    );
    const progress = { done: 0, total: tasks.length };
    const name = requests[0]!.stage;
    const trajectories = await this.#complete(tasks, { name, mostFailed: (i) => shares[i]!, progress, reward });
    return requests.map(({ questions, perQuestion, budgets = [rollout.searches] }, r) => {
      const own = trajectories.splice(0, asked[r]!.length);
      return budgets.map((budget) => {
        const all = own.map((trajectory, i) => asked[r]![i]!.at(budget, trajectory));
        return questions.map((_, i) => all.slice(i * perQuestion, (i + 1) * perQuestion));
      });
    });
  }

  /**
   * Training rollouts that come one set after another, since later ones depend on earlier ones. Whatever keeps failing
   * is refused within its set.
   * @param total rollouts of all sets
   */
  inSets({ stage, step, noise = 0, total }: TrainingSets, reward?: Reward): RollOutSet {
    const progress = { done: 0, total };
    return (tasks) =>
      this.#complete(
        tasks.map((task) => ({ ...task, ...this.#noise(task, stage, step, noise) })),
        { name: stage, mostFailed: () => MOST_FAILED_OF_TRAINING, progress, reward },
      );
  }

  /** @param progress of all that are under way together; it is counted up */
  async #complete(
    tasks: readonly RolloutTask[],
    {
      progress,
      reward,
      ...how
    }: Pick<CompleteRollOutOptions, 'name' | 'mostFailed'> & {
      readonly progress: { done: number; readonly total: number };
      readonly reward: Reward | undefined;
    },
  ): Promise<Trajectory[]> {
    const { rollout } = this.settings;
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
    return this.#clock.time('samplingSeconds', () =>
      rollOutCompletely(tasks, environment, {
        ...how,
        onAgain: (text) => this.emit({ kind: 'note', text }),
        concurrency: rollout.concurrency,
        signal: this.#signal,
        onDone: (trajectory) => {
          progress.done += 1;
          this.#clock.count(trajectory);
          this.emit({ kind: 'rollouts', stage: this.stage, ...progress });
        },
      }).catch((error: unknown) => {
        this.throwIfCancelled();
        throw error;
      }),
    );
  }

  #tasksOf(request: RollOutRequest): BudgetedTask[] {
    const { rollout, seed } = this.settings;
    const { questions, perQuestion, stage, step, prompt, temperature = 1, extraContext = 0, noise = 0 } = request;
    const limits = { ...rollout, contextTokens: rollout.contextTokens + extraContext };
    return groupTasks(questions, perQuestion, { seed, stage, step }).map((task) => {
      const own = {
        ...task,
        temperature,
        ...(prompt && { prompt: prompt(task.question) }),
        ...this.#noise(task, stage, step, noise),
      };
      return budgetedTask(own, limits, request.budgets ?? [rollout.searches]);
    });
  }

  #noise({ question, rollout }: RolloutTask, stage: string, step: number, share: number): Pick<RolloutTask, 'noise'> {
    if (share === 0) return {};
    return { noise: { share, key: streamKey(this.settings.seed, stage, step, question.id, rollout, 'noise') } };
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

  /** Generated and trained in a stage so far, over all sittings of the run. */
  tokensOf(stage: string): number {
    const found = this.#clock.timing().byStage.find((one) => one.stage === stage);
    return found === undefined ? 0 : found.sampledTokens + found.trainedTokens;
  }

  checkpoint(state: EvolveState, keep?: string): Promise<void> {
    return this.journal.checkpoint({ ...state, timing: this.#clock.timing() }, this.setup.policy, keep);
  }
}

/** The ids of an expert trajectory as the teacher is shown them. */
export function expertIds(run: Run, expert: AuthoredIds): number[] {
  const { expertView: view, expertTokens } = run.settings.distill;
  return expertView(run.setup.tokenizer, expert, view, expertTokens);
}
