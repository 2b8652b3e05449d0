/** A committed findings.json, and every figure that a page takes from it: means of stages, paired differences, verdicts. */
import { readFile } from 'node:fs/promises';
import { mean } from '../../src/benchmarks/statistics.ts';
import { round } from '../../src/experiment/collect.ts';
import { RESAMPLES, seedInterval, seedP } from '../../src/experiment/intervals.ts';
import { type Difference, measures, type Summary, type Verdict } from '../../src/experiment/schema.ts';
import { decideClaims } from '../../src/experiment/verdicts.ts';

type Values = readonly (number | null)[];
type Measure = 'exactMatch' | 'searches';

interface StageRow {
  readonly arm: string;
  readonly stage: string;
  readonly exactMatch: Readonly<Record<string, Values>>;
  readonly searches: Readonly<Record<string, Values>>;
}

export interface Document {
  readonly name: string;
  readonly arms: readonly string[];
  readonly seeds: readonly string[];
  readonly bases: readonly string[];
  readonly verdicts: readonly Verdict[];
  readonly differences: readonly {
    readonly arm: string;
    readonly reference: string;
    readonly measure: Measure;
    readonly mode: string;
    readonly bySeed: Values;
  }[];
  readonly lastStage: readonly { readonly arm: string; readonly measure: Measure; readonly mode: string }[];
  readonly stages: readonly StageRow[];
  readonly suites: readonly Readonly<Record<string, string | number>>[];
  readonly gates: readonly { readonly arm: string; readonly stage: string; readonly exactMatchGap: Values }[];
  readonly laws: readonly {
    readonly mode: string;
    readonly fit: {
      readonly correlation: number;
      readonly correlationInterval: { readonly low: number; readonly high: number } | null;
    } | null;
  }[];
  readonly spent: readonly { readonly arm: string; readonly tokens: Values; readonly seconds: Values }[];
}

const modeOf = (key: string): Difference['mode'] => {
  const [decoding, searches] = key.split('-') as ['sampled' | 'greedy', string];
  return { decoding, searches: Number(searches) };
};

/** A stage's name in an arm: `last` is the arm's last; stages that all arms share are found under any arm. */
export class Findings {
  readonly document: Document;

  constructor(document: Document) {
    this.document = document;
  }

  static async read(file: string): Promise<Findings> {
    return new Findings(JSON.parse(await readFile(file, 'utf8')) as Document);
  }

  /** By seed. */
  values(arm: string, stage: string, mode: string, measure: Measure = 'exactMatch'): Values {
    const own = this.document.stages.filter((row) => row.arm === arm);
    const row =
      stage === 'last'
        ? own.at(-1)
        : (own.find((one) => one.stage === stage) ??
          this.document.stages.find((one) => one.arm === 'shared' && one.stage === stage));
    const values = row?.[measure][mode];
    if (values === undefined) throw new Error(`${this.document.name}: no ${mode} of ${arm} ${stage}`);
    return values;
  }

  mean(arm: string, stage: string, mode: string, measure: Measure = 'exactMatch'): number {
    return mean(this.values(arm, stage, mode, measure).filter((value) => value !== null));
  }

  /** Of the last stages, arm − reference, by seed; of the seeds that have both, and of those that `of` takes. */
  differences(
    arm: string,
    reference: string,
    mode: string,
    measure: Measure = 'exactMatch',
    of: (seed: number) => boolean = () => true,
  ): number[] {
    const [a, b] = [this.values(arm, 'last', mode, measure), this.values(reference, 'last', mode, measure)];
    return a.flatMap((value, i) => (value !== null && b[i] != null && of(i) ? [value - b[i]] : []));
  }

  /** Seeds on the n-th base. */
  onBase(n: number): (seed: number) => boolean {
    const bases = [...new Set(this.document.bases)];
    return (seed) => this.document.bases[seed] === bases[n];
  }

  suite(arm: string, mode: string, suite: string): number {
    return this.document.suites.find((one) => one.arm === arm && one.mode === mode)![suite] as number;
  }

  gaps(arm: string, stage: string): number[] {
    const found = this.document.gates.find((gate) => gate.arm === arm && gate.stage === stage);
    return found!.exactMatchGap.filter((gap) => gap !== null);
  }

  law(mode: string) {
    return this.document.laws.find((law) => law.mode === mode)!.fit!;
  }

  /** Tokens or seconds of an arm by seed, in shares of `e1`'s. */
  spent(arm: string, of: 'tokens' | 'seconds'): number[] {
    const [own, e1] = [arm, 'e1'].map((name) => this.document.spent.find((one) => one.arm === name)![of]);
    return own!.map((value, i) => value! / e1![i]!);
  }

  verdict(claim: string, part: string): Verdict {
    const found = this.document.verdicts.find((one) => one.claim.startsWith(claim) && one.claim.includes(part));
    if (found === undefined) throw new Error(`${this.document.name}: no verdict on ${claim} (${part})`);
    return found;
  }
}

/** Paired differences in the form of a summary, with intervals by today's rules. */
function differencesOf({ differences, seeds }: Document): Difference[] {
  return differences.map(({ arm, reference, measure, mode, bySeed }) => {
    const values = bySeed.flatMap((value, i) => (value === null ? [] : [{ seed: seeds[i]!, value }]));
    const { estimate, low, high } = seedInterval(values.map(({ value }) => value));
    const interval = { estimate: round(estimate), low: round(low), high: round(high), bySeed: values };
    return { arm, reference, measure, mode: modeOf(mode), ...interval };
  });
}

/** The document with intervals and verdicts by today's rules, from the seeds' values that it holds. */
export function decided(document: Document): Document {
  const differences = differencesOf(document);
  const findings = new Findings(document);
  return {
    ...document,
    verdicts: [
      ...decideClaims(
        document.arms.filter((arm) => arm !== 'same-prompt'),
        [],
        differences,
      ),
      // Losses stand in the run directories alone.
      ...document.verdicts.filter(({ claim }) => claim === 'The same prompt on both sides teaches nothing'),
    ],
    differences: document.differences.map((one, i) => {
      const { estimate, low, high } = differences[i]!;
      return { ...one, estimate, low, high };
    }),
    lastStage: document.lastStage.map((one) => {
      const values = findings.values(one.arm, 'last', one.mode, one.measure).filter((value) => value !== null);
      const { estimate, low, high } = seedInterval(values);
      const most = one.measure === 'searches' ? Number.POSITIVE_INFINITY : 1;
      return { ...one, estimate: round(estimate), low: round(Math.max(0, low)), high: round(Math.min(most, high)) };
    }),
  };
}

/** As much of the experiment's summary as its picture shows. */
export function summaryOf(document: Document): Summary {
  const { name, arms, seeds, verdicts } = document;
  const unknown = Object.fromEntries(measures.map((measure) => [measure, null])) as Record<
    (typeof measures)[number],
    null
  >;
  const runs = arms.flatMap((arm) =>
    seeds.map((seed, i) => ({
      ...{ seed, arm, seconds: null, trainingSeconds: null, trainingTokens: null, gates: [], pools: [], training: [] },
      stages: document.stages
        .filter((row) => row.arm === arm || row.arm === 'shared')
        .flatMap(({ stage, exactMatch, searches }) =>
          Object.keys(exactMatch).map((mode) => ({
            ...{ stage, mode: modeOf(mode), suites: {} },
            mean: { ...unknown, exactMatch: exactMatch[mode]![i]!, searches: searches[mode]![i]! },
          })),
        ),
    })),
  );
  return {
    ...{ schema: 1, name, arms: [...arms], seeds: [...seeds], worlds: [], bases: [...document.bases], missing: [] },
    ...{ resamples: RESAMPLES, runs, means: [], suites: [], laws: [], verdicts: [...verdicts] },
    differences: differencesOf(document),
  };
}

/** ".729", "−.020": shares without the zero before the point. */
export function share(value: number, decimals = 3): string {
  const text = Math.abs(value).toFixed(decimals).replace(/^0/, '');
  return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}

/** "+.166", "−.42". */
export function plus(value: number, decimals = 3): string {
  return value < 0 ? share(value, decimals) : `+${share(value, decimals)}`;
}

/** "+.166 (+.108 to +.224)". */
export function withInterval(values: readonly number[], decimals = 3): string {
  const { estimate, low, high } = seedInterval(values);
  return `${plus(estimate, decimals)} (${plus(low, decimals)} to ${plus(high, decimals)})`;
}

/** "p .005", "p < .001". */
export function pText(values: readonly number[]): string {
  const p = seedP(values);
  return p < 0.0005 ? 'p < .001' : `p ${share(p)}`;
}

/** "43 %". */
export function percent(value: number): string {
  return `${Math.round(100 * value)} %`;
}
