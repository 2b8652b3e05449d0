/**
 * The whole loop on the embedded world and its base policy, at toy size: what it leaves behind, and that breaking it off
 * anywhere changes nothing. (interruption.test.ts breaks off every single file operation, cli/ kills the process.)
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../base/files.ts';
import { evolve } from '../evolve/evolve.ts';
import type { EvolveEvent, Journal } from '../evolve/journal.ts';
import { openSetup } from '../evolve/open.ts';
import { presets } from '../evolve/presets.ts';
import type { Results } from '../evolve/results.ts';
import type { Settings } from '../evolve/settings.ts';
import { presentVersions } from './config-record.ts';
import { RunDirectory } from './run-directory.ts';

const { smoke } = presets;
const toy: Settings = {
  ...smoke,
  world: { seed: 11, trainingQuestions: 40, hops: [1, 2, 3], size: 1 },
  rollout: { ...smoke.rollout, concurrency: 32, searches: 2 },
  grpo: { ...smoke.grpo, steps: [3], questionsPerStep: 3, groupSize: 3 },
  pool: { ...smoke.pool, questions: 8, rollouts: 4 },
  gate: { ...smoke.gate, questions: 2 },
  distill: { ...smoke.distill, epochs: 2, pairsPerStep: 1, maxSteps: 3, adapter: { rank: 4, alpha: 8 } },
  evaluation: { questions: 1, samples: 1, searches: [1], decoding: ['sampled', 'greedy'] },
  guards: { ...smoke.guards, heldOutQuestions: 2, every: 2 },
};
const inputs = {
  questions: null,
  corpus: null,
  tokenizer: null,
  model: null,
  template: null,
  evaluate: [],
  threads: 2,
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'search-e1-evolve-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** One sitting on a run directory; `wrap` may break the journal. */
async function sit(
  name: string,
  wrap: (journal: Journal) => Journal = (j) => j,
  onEvent?: (e: EvolveEvent) => void,
): Promise<Results> {
  const { setup, hashes, engine } = await openSetup(inputs, toy);
  const place = path.join(folder, name);
  const config = {
    schema: 1 as const,
    preset: 'toy',
    settings: toy,
    inputs,
    hashes,
    engine,
    versions: presentVersions(),
  };
  const fresh = !(await readdir(folder)).includes(name);
  const directory = fresh ? await RunDirectory.create(place, config) : await RunDirectory.open(place);
  try {
    return (await evolve(setup, toy, wrap(directory), onEvent ? { onEvent } : {})).results;
  } finally {
    await directory.close();
    await setup.policy.close();
  }
}

/** Hashes of everything in a run directory that must be reproducible. */
async function contents(name: string): Promise<Record<string, string>> {
  const root = path.join(folder, name);
  const out: Record<string, string> = {};
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    // Times differ, and so do the numbers of checkpoints when some were written twice.
    if (!entry.isFile() || entry.name === 'timing.json' || file.includes(`${path.sep}checkpoints${path.sep}`)) continue;
    out[path.relative(root, file)] = sha256(await readFile(file));
  }
  for (const checkpoint of await readdir(path.join(root, 'checkpoints'))) {
    const kept = /^\d+-(.+)$/.exec(checkpoint)?.[1];
    if (kept) out[kept] = sha256(await readFile(path.join(root, 'checkpoints', checkpoint, 'model.safetensors')));
  }
  return out;
}

/** A journal that breaks at its n-th call, before or after doing it. */
function breaking(journal: Journal, n: number): Journal {
  let left = n;
  return new Proxy(journal, {
    get(target, property) {
      const method = Reflect.get(target, property) as (...args: unknown[]) => Promise<unknown>;
      return async (...args: unknown[]) => {
        left -= 1;
        if (left < 0) throw new Error('broken off');
        const result = await method.apply(target, args);
        if (left === 0 && n % 2 === 0) throw new Error('broken off');
        return result;
      };
    },
  });
}

describe('evolve', () => {
  let results: Results;
  let whole: Record<string, string>;
  const events: EvolveEvent[] = [];
  beforeAll(async () => {
    results = await sit('whole', undefined, (event) => events.push(event));
    whole = await contents('whole');
  });

  it('measures every stage in every mode, and says how each stage ended', () => {
    const measured = results.measurements.map((m) => `${m.stage} ${m.mode.decoding}`);
    expect(measured).toEqual(['base', 'grpo-1', 'e1-1'].flatMap((stage) => [`${stage} sampled`, `${stage} greedy`]));
    expect(results.measurements.every((m) => m.suites.length === 7)).toBe(true);
    expect(results.outcomes.map((o) => o.stage)).toEqual(['grpo-1', 'e1-1']);
    expect(results.pools[0]).toMatchObject({ questions: 8, rollouts: 32 });
    expect(results.pools[0]!.pairs).toBeGreaterThan(0);
  });

  it('trains: each stage leaves other weights', () => {
    expect(new Set([whole.base, whole['grpo-1'], whole['e1-1']]).size).toBe(3);
  });

  it('keeps every training trajectory and every pair', () => {
    const files = Object.keys(whole);
    expect(files.filter((f) => f.startsWith(path.join('trajectories', 'grpo-1-step')))).toHaveLength(3);
    expect(files.some((f) => f.startsWith(path.join('pairs', 'e1-1-')))).toBe(true);
  });

  it('starts each update where the sampler was: ρ is 1', () => {
    const steps = events.flatMap((e) => (e.kind === 'step' && e.stage === 'grpo-1' ? [e.metrics] : []));
    expect(steps).toHaveLength(3);
    for (const metrics of steps) expect(metrics.ratioDeviation).toBeLessThan(1e-4);
  });

  it('reports progress that only grows', () => {
    const fractions = events.flatMap((e) => (e.kind === 'progress' ? [e.fraction] : []));
    for (let i = 1; i < fractions.length; i++) expect(fractions[i]).toBeGreaterThanOrEqual(fractions[i - 1]!);
    expect(fractions.at(-1)).toBeGreaterThan(0.97);
  });

  it('leaves the same bits when it is broken off again and again', async () => {
    const brokenIn = new Set<string>();
    for (let sitting = 0; sitting < 40; sitting++) {
      let stage = '';
      const follow = (event: EvolveEvent) => {
        if (event.kind === 'stage') stage = event.stage;
      };
      try {
        await sit('broken', (journal) => breaking(journal, 7 + ((sitting * 3) % 11)), follow);
        break;
      } catch (error) {
        if (!(error instanceof Error && error.message === 'broken off')) throw error;
        brokenIn.add(stage.replace(/-.*/, ''));
      }
    }
    expect(await contents('broken')).toEqual(whole);
    // Of every kind of stage at least one.
    expect([...brokenIn].sort()).toEqual(['e1', 'evaluate', 'gate', 'grpo', 'pool']);
  }, 240_000);
});
