/** A run without an engine: a policy whose only weight is a number, raised by one at each step, and a journal in memory. */
import { uniformAt } from '../../base/random.ts';
import { type Capabilities, DIVERGENCES, type LossBatch, NonFiniteError, type Policy } from '../../policy/policy.ts';
import { worldTemplate } from '../../protocol/templates.ts';
import { findsAll, question, tokenizer } from '../../rollout/testing/environment.ts';
import { fakePolicy, type Script } from '../../rollout/testing/fake-policy.ts';
import type { Trajectory } from '../../rollout/trajectory.ts';
import { fromLine, toLine } from '../../rollout/trajectory-file.ts';
import { metricSchema, pairFromLine, pairToLine, parseAs, stateSchema } from '../../runs/schemas.ts';
import { Clock, noTime } from '../clock.ts';
import type { EvolveEvent, EvolveState, Journal, MetricRecord, PairRecord } from '../journal.ts';
import { presets } from '../presets.ts';
import { Run } from '../run.ts';
import type { Settings } from '../settings.ts';
import { type Suite, sliceQuestions } from '../setup.ts';

export interface ToyOptions {
  /**
   * What the policy writes, by its weight and the context so far; `turn` counts all turns, `luck` is the turn's own random number,
   * the same in every run.
   */
  readonly says: (weight: number, context: string, turn: number, luck: number) => string;
  /** Entropy that the engine reports. Default 1. */
  readonly entropy?: number;
  /** The engine reports nothing that it need not: no entropy, nothing by token, no gradient norm. */
  readonly isBare?: boolean;
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
  const says: Script = (context, { key, offset = 0 }) => options.says(weight, context, draws++, uniformAt(key, offset));
  const speaker = fakePolicy(tokenizer, says, {
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
      const bare = { loss: 1, tokens: 1, metrics: {} };
      if (options.isBare) return { losses: batches.map(() => bare), update: { gradientNorm: null, skipped: false } };
      return {
        losses: batches.map((batch) => ({
          ...bare,
          metrics: { entropy: options.entropy ?? 1 },
          ...('pairs' in batch && { perToken: batch.pairs.map(({ mask }) => Float32Array.from(mask)) }),
        })),
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
    () => ({ weight, adapter }),
    (saved) => {
      ({ weight, adapter } = saved);
    },
  );
  journal.kept.set('base', UNTRAINED).set('grpo-1', UNTRAINED);
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
    events,
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

interface Saved {
  readonly weight: number;
  readonly adapter: boolean;
}

/** What a checkpoint has before anything is trained. */
export const UNTRAINED: Saved = { weight: 0, adapter: false };

/** What comes back from a file. */
const asRead = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** Keeps what a run directory would give back: everything goes through the forms and schemas of runs/. */
class MemoryJournal implements Journal {
  readonly kept = new Map<string, Saved>();
  readonly metrics: MetricRecord[] = [];
  readonly states: EvolveState[] = [];
  readonly pairs = new Map<string, readonly PairRecord[]>();
  readonly trajectories = new Map<string, readonly Trajectory[]>();
  readonly #save: () => Saved;
  readonly #restore: (saved: Saved) => void;
  #newest: { readonly saved: Saved; readonly metricLines: number } | undefined;

  constructor(save: () => Saved, restore: (saved: Saved) => void) {
    this.#save = save;
    this.#restore = restore;
  }

  async metric(record: MetricRecord) {
    this.metrics.push(parseAs(metricSchema, asRead(record), 'metric'));
  }
  async writeTrajectories(shard: string, trajectories: readonly Trajectory[]) {
    this.trajectories.set(
      shard,
      trajectories.map((one) => fromLine(JSON.parse(toLine(one)), shard)),
    );
  }
  async readTrajectories(shard: string) {
    const found = this.trajectories.get(shard);
    return found && [...found];
  }
  async writePairs(shard: string, pairs: readonly PairRecord[]) {
    this.pairs.set(
      shard,
      pairs.map((pair) => pairFromLine(JSON.parse(pairToLine(pair)), shard)),
    );
  }
  async readPairs(shard: string) {
    const found = this.pairs.get(shard);
    return found && [...found];
  }
  async checkpoint(state: EvolveState, _: Policy, keep?: string) {
    this.states.push(parseAs(stateSchema, asRead({ schema: 1, metricLines: 0, state }), 'state').state);
    this.#newest = { saved: this.#save(), metricLines: this.metrics.length };
    if (keep !== undefined) this.kept.set(keep, this.#save());
  }
  async restoreKept(name: string) {
    this.#restore(this.kept.get(name)!);
  }
  async restoreLatest() {
    if (this.#newest !== undefined) {
      this.#restore(this.#newest.saved);
      this.metrics.splice(this.#newest.metricLines);
    }
    return this.states.at(-1);
  }
  async writeResults() {}
}
