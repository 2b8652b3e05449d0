/** Prometheus' text format, version 0.0.4: families of samples, and histograms of seconds. */

export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4';

/** @param samples lines without the prefix, e.g. `requests_total{status="200"} 7` */
export function family(
  name: string,
  type: 'counter' | 'gauge' | 'histogram',
  help: string,
  samples: readonly string[],
): string[] {
  return [
    `# HELP search_e1_${name} ${help}`,
    `# TYPE search_e1_${name} ${type}`,
    ...samples.map((sample) => `search_e1_${sample}`),
  ];
}

/** A family of one sample without labels. */
export function single(name: string, type: 'counter' | 'gauge', help: string, value: number): string[] {
  return family(name, type, help, [`${name} ${value}`]);
}

/** A counter by the values of one label. */
export class LabelledCounter {
  readonly #label: string;
  readonly #counts = new Map<string, number>();

  constructor(label: string) {
    this.#label = label;
  }

  add(value: string, count = 1): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + count);
  }

  family(name: string, help: string): string[] {
    const samples = [...this.#counts].map(([value, count]) => `${name}{${this.#label}="${value}"} ${count}`);
    return family(name, 'counter', help, samples);
  }
}

export class Histogram {
  readonly #ends: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  /** @param ends upper ends of the buckets, in seconds, growing */
  constructor(ends: readonly number[]) {
    this.#ends = ends;
    this.#counts = ends.map(() => 0);
  }

  observe(seconds: number): void {
    this.#count += 1;
    this.#sum += seconds;
    const bucket = this.#ends.findIndex((end) => seconds <= end);
    if (bucket >= 0) this.#counts[bucket]! += 1;
  }

  family(name: string, help: string): string[] {
    let below = 0;
    const buckets = this.#ends.map((end, i) => {
      below += this.#counts[i]!;
      return `${name}_bucket{le="${end}"} ${below}`;
    });
    return family(name, 'histogram', help, [
      ...buckets,
      `${name}_bucket{le="+Inf"} ${this.#count}`,
      `${name}_sum ${this.#sum}`,
      `${name}_count ${this.#count}`,
    ]);
  }
}
