/** How long a warm-up will take on this machine: a few steps of each phase are run in a temporary folder. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Policy } from '../policy/policy.ts';
import type { ExampleSource } from './examples.ts';
import type { Recipe } from './recipe.ts';
import { warmUp } from './warm-up.ts';

/** Steps run of each phase; the first is left out of the count, since graphs are compiled in it. */
const STEPS = 4;

/** Seconds of training and number of parameters. Phases that differ in their steps alone are measured once. */
export async function estimateWarmUp(
  recipe: Recipe,
  source: ExampleSource,
  openPolicy: (folder: string) => Promise<Policy>,
  signal?: AbortSignal,
): Promise<{ readonly seconds: number; readonly parameters: number | null }> {
  const kindOf = ({ steps: _, ...phase }: Recipe['phases'][number]) => JSON.stringify({ ...phase, restart: undefined });
  const kinds = [...new Map(recipe.phases.map((phase) => [kindOf(phase), phase])).values()];
  const folder = await mkdtemp(path.join(tmpdir(), 'search-e1-estimate-'));
  const times: number[] = [];
  let parameters: number | null = null;
  try {
    const { measure: _, ...examples } = source;
    const short = { ...recipe, phases: kinds.map((phase) => ({ ...phase, steps: STEPS })) };
    await warmUp({ ...short, checkpointEvery: STEPS * kinds.length }, examples, folder, {
      versions: {},
      openPolicy,
      onEvent: (event) => {
        if (event.kind === 'start') parameters = event.parameters;
        if (event.kind === 'step') times.push(performance.now() / 1000);
      },
      signal,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const paces = new Map(
    kinds.map((phase, i) => {
      const [first, last] = [times[i * STEPS]!, times[(i + 1) * STEPS - 1]!];
      return [kindOf(phase), (last - first) / (STEPS - 1)];
    }),
  );
  const seconds = recipe.phases.reduce((sum, phase) => sum + phase.steps * paces.get(kindOf(phase))!, 0);
  return { seconds, parameters };
}
