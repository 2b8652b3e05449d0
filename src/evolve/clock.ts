/** Where the time of a run goes, by kind of work and by stage; the only thing of a run that is not reproducible. */
import type { Retriever } from '../retrieval/retriever.ts';
import { ownWork, type Trajectory } from '../rollout/trajectory.ts';
import type { Timing } from './results.ts';

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
    // What a branch shares with the rollout that it goes on from was sampled and searched for once.
    const { policyTokens: tokens, searches } = ownWork(trajectory);
    this.#counts.trajectories += 1;
    this.#counts.searches += searches;
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
