/** A run without an engine: a policy whose only weight is a number, raised by one at each step, and a journal in memory. */
import { type Capabilities, DIVERGENCES, type LossBatch, NonFiniteError, type Policy } from '../../policy/policy.ts';
import { worldTemplate } from '../../protocol/templates.ts';
import { findsAll, question, tokenizer } from '../../rollout/testing/environment.ts';
import { fakePolicy } from '../../rollout/testing/fake-policy.ts';
import type { Trajectory } from '../../rollout/trajectory.ts';
import { Clock, noTime } from '../clock.ts';
import type { EvolveEvent, EvolveState, Journal, MetricRecord, PairRecord } from '../journal.ts';
import { Run } from '../run.ts';
import { presets, type Settings } from '../settings.ts';
import { type Suite, sliceQuestions } from '../setup.ts';

export interface ToyOptions {
  /** What the policy writes, by its weight and the context so far. */
  readonly says: (weight: number, context: string, draw: number) => string;
  /** Entropy that the engine reports. */
  readonly entropy?: number;
  /** Weight at which the loss is no number. */
  readonly breaksAt?: number;
  readonly contextLength?: number;
  readonly settings?: Partial<Settings>;
  readonly suites?: readonly Suite[];
}

const toyCapabilities: Capabilities = {
  deterministic: true,
  sampler: 'exact',
  dryRun: false,
  divergences: DIVERGENCES,
  pointwiseClip: true,
  softTargets: 'none',
  topLogprobs: 0,
  frozen: 'any',
  adapter: 'attachable',
  optimizer: { fresh: true, clip: true, betasPerStep: true, gradientNorm: true },
  checkpoints: 'files',
};

export function toyRun(options: ToyOptions) {
  let weight = 0;
  let adapter = false;
  const losses: LossBatch[] = [];
  let draws = 0;
  const speaker = fakePolicy(tokenizer, (context) => options.says(weight, context, draws++), {
    contextLength: options.contextLength ?? 100_000,
  });
  const policy: Policy = {
    ...speaker,
    capabilities: toyCapabilities,
    logprobs: async (sequences) => sequences.map((s) => new Float32Array(s.length)),
    topLogprobs: () => {
      throw new Error('the toy has no distributions');
    },
    train: async (batches) => {
      if (weight === options.breaksAt) throw new NonFiniteError('losses of sequence 0 is NaN');
      losses.push(...batches);
      weight += 1;
      return {
        losses: batches.map(() => ({ loss: 1, tokens: 1, metrics: { entropy: options.entropy ?? 1 } })),
        update: { gradientNorm: 1, skipped: false },
      };
    },
    freeze: async () => {},
    attachAdapter: async () => {
      adapter = true;
    },
    mergeAdapter: async () => {
      adapter = false;
    },
    save: async () => {},
    restore: async () => {},
    discard: async () => {},
    close: async () => {},
  };

  const settings: Settings = { ...presets.smoke, ...options.settings };
  const questions = Array.from({ length: 60 }, (_, i) => question(`q${i}`));
  const setup = {
    policy,
    tokenizer,
    template: worldTemplate,
    retriever: { ...findsAll, info: toyRetriever },
    trainingQuestions: questions,
    suites: options.suites ?? [],
  };
  const journal = new MemoryJournal(
    () => weight,
    (kept) => {
      weight = kept;
      adapter = false;
    },
  );
  journal.kept.set('base', 0).set('grpo-1', 0);
  const events: EvolveEvent[] = [];
  const run = new Run({
    setup,
    settings,
    slices: sliceQuestions(questions, settings),
    journal,
    signal: new AbortController().signal,
    clock: new Clock(noTime),
    emit: (event) => events.push(event),
  });
  const notes = () => events.flatMap((e) => (e.kind === 'note' ? [e.text] : []));
  return {
    run,
    journal,
    losses,
    notes,
    asked: () => speaker.calls.length,
    weight: () => weight,
    hasAdapter: () => adapter,
  };
}

export const start: EvolveState = {
  stage: 1,
  step: 0,
  best: null,
  recent: [],
  results: { schema: 1, measurements: [], pools: [], gates: [], outcomes: [] },
  timing: noTime,
};

const toyRetriever = { kind: 'toy', passages: 2, corpusHash: '', settings: {} };

class MemoryJournal implements Journal {
  readonly kept = new Map<string, number>();
  readonly metrics: MetricRecord[] = [];
  readonly states: EvolveState[] = [];
  readonly pairs = new Map<string, readonly PairRecord[]>();
  readonly #trajectories = new Map<string, readonly Trajectory[]>();
  readonly #weight: () => number;
  readonly #restore: (weight: number) => void;

  constructor(weight: () => number, restore: (weight: number) => void) {
    this.#weight = weight;
    this.#restore = restore;
  }

  async metric(record: MetricRecord) {
    this.metrics.push(record);
  }
  async writeTrajectories(shard: string, trajectories: readonly Trajectory[]) {
    this.#trajectories.set(shard, trajectories);
  }
  async readTrajectories(shard: string) {
    const found = this.#trajectories.get(shard);
    return found && [...found];
  }
  async writePairs(shard: string, pairs: readonly PairRecord[]) {
    this.pairs.set(shard, pairs);
  }
  async readPairs(shard: string) {
    const found = this.pairs.get(shard);
    return found && [...found];
  }
  async checkpoint(state: EvolveState, _: Policy, keep?: string) {
    this.states.push(state);
    if (keep !== undefined) this.kept.set(keep, this.#weight());
  }
  async restoreKept(name: string) {
    this.#restore(this.kept.get(name)!);
  }
  async restoreLatest() {
    return this.states.at(-1);
  }
  async writeResults() {}
}
