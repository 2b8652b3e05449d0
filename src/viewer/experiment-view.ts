/** An experiment as it is told on its page: verdicts, arms, differences with their intervals, and its runs. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { saysOfArm } from '../experiment/arms.ts';
import { readExperiment } from '../experiment/record.ts';
import type { Summary } from '../experiment/schema.ts';
import { readSummary, summarizeExperiment } from '../experiment/summary.ts';
import { modeLabel } from '../runs/table.ts';
import type { Experiment, SourceLine, Table } from './wire.ts';

const MEASURES: Readonly<Record<string, readonly [label: string, decimals: number]>> = {
  exactMatch: ['exact match', 3],
  searches: ['searches', 2],
  policyTokens: ['policy tokens', 1],
  wellFormed: ['well formed', 3],
  grounded: ['grounded', 3],
};

/** @param runs those that were found in its folder */
export async function experimentView(
  folder: string,
  source: SourceLine,
  runs: readonly SourceLine[],
): Promise<Experiment> {
  const { arms, own, seeds, name } = await readExperiment(folder);
  const file = path.join(folder, 'summary.json');
  // Its own summary when it has ended; before that, of the runs that have.
  const summary = existsSync(file) ? await readSummary(file) : await summarizeExperiment(folder).catch(() => undefined);
  const reference = summary?.differences[0]?.reference ?? arms[0]!;
  const done = summary?.runs.length ?? 0;
  const missing = summary ? summary.missing.length : arms.length * seeds.length;
  return {
    source,
    sentence: `${name}: ${arms.length} ${arms.length === 1 ? 'arm' : 'arms'}, ${seeds.length} ${seeds.length === 1 ? 'seed' : 'seeds'}, ${done} runs finished${missing > 0 ? `, ${missing} not yet; what is not finished counts nowhere` : ''}. Every arm is compared with “${reference}”.`,
    verdicts: summary?.verdicts ?? [],
    tables: summary ? [armsTable(summary)] : [],
    differences: (summary?.differences ?? []).map(({ arm, measure, mode, estimate, low, high }) => ({
      ...{ arm, measure, estimate, low, high },
      label: MEASURES[measure]![0],
      means: saysOfArm(arm, own),
      mode: modeLabel(mode),
    })),
    reference,
    arms: arms.map((arm) => ({ name: arm, means: saysOfArm(arm, own) })),
    runs,
  };
}

/** The last stage of each arm, mean over seeds with its 95 % interval, in the mode that stands first. */
function armsTable({ arms, means }: Summary): Table {
  const mode = means[0]?.mode;
  const measures = [...new Set(means.map(({ measure }) => measure))];
  const isMain = (one: (typeof means)[number]) => mode !== undefined && modeLabel(one.mode) === modeLabel(mode);
  return {
    title: mode ? `Last stage of each arm: ${modeLabel(mode)}` : 'Nothing has been measured yet',
    header: measures.map((measure) => MEASURES[measure]![0]),
    notes: [
      'Mean over seeds, with its 95 % interval by Student’s t over seeds; of one seed, by resampling its questions.',
    ],
    rows: arms.map((arm) => ({
      label: arm,
      rule: false,
      cells: measures.map((measure) => {
        const found = means.find((one) => isMain(one) && one.arm === arm && one.measure === measure);
        const decimals = MEASURES[measure]![1];
        return {
          text: found
            ? `${found.estimate.toFixed(decimals)} [${found.low.toFixed(decimals)}, ${found.high.toFixed(decimals)}]`
            : '–',
        };
      }),
    })),
  };
}
