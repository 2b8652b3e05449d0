/**
 * The end of a run, on one screen: what came out and whether it is more than chance, a small table, what happened on the way, and
 * the commands that come next. The whole table is `renderTable`'s.
 */
import path from 'node:path';
import { clock } from '../base/clock.ts';
import type { Results, StageMeasurement, StageOutcome, Timing } from '../evolve/results.ts';
import { commandsFor } from '../runs/commands.ts';
import { estimateMean, headline, mainMeasurements } from '../runs/headline.ts';
import {
  blockAsText,
  estimateText,
  indented,
  modeLabel,
  stageLabel,
  stageNotes,
  type TableBlock,
} from '../runs/table.ts';

/** Rows of the small table: the base and the last stages. */
const ROWS = 6;
/** Notes on stages that did not go as planned; the report has all. */
const NOTES = 2;

/** @param learned false: no rollout of the whole run was right (`neverRight`) */
export function summaryText(results: Results, timing: Timing, folder: string, width: number, learned: boolean): string {
  const main = mainMeasurements(results);
  const base = main[0];
  const last = main.at(-1);
  const report = path.join(folder, 'report.html');
  const next = commandsFor(folder);
  const parts = [
    base === undefined || last === undefined
      ? 'Nothing was measured.'
      : learned
        ? headline(base, last)
        : 'Nothing was learned: not one rollout of this run was right.',
    ...(base === undefined ? [] : [blockAsText(smallTable(main), width).trimEnd()]),
    [...eventsOf(results), timeText(timing)].map((line) => indented('', line, width)).join('\n'),
    [
      `Next (every suite and stage: ${report}, or --details):`,
      ...[next.view, next.ask, next.export].map((command) => `  ${command}`),
    ].join('\n'),
  ];
  return `${parts.map((part, i) => (i === 0 ? indented('', part, width) : part)).join('\n\n')}\n`;
}

function smallTable(main: readonly StageMeasurement[]): TableBlock {
  const shown = main.length <= ROWS ? main : [main[0]!, ...main.slice(-(ROWS - 1))];
  const { mode, suites } = main[0]!;
  const questions = suites.reduce((sum, suite) => sum + suite.questions, 0);
  const trained = new Set(main.map(({ stage }) => stage.split('-')[0]!));
  return {
    title: `${questions} questions${suites.length > 1 ? ` in ${suites.length} suites` : ''}, ${modeLabel(mode)}`,
    header: ['exact match', 'searches', 'tokens', 'well formed'],
    rows: shown.map(({ stage, mean }) => ({
      label: stageLabel(stage),
      cells: [
        estimateText(mean.exactMatch, 3),
        estimateText(mean.searches, 2),
        estimateMean(mean.policyTokens, 1),
        estimateMean(mean.wellFormed, 3),
      ],
      rule: false,
    })),
    notes: [
      [
        ...(trained.has('grpo') ? ['GRPO n: after round n of reinforcement learning.'] : []),
        ...(trained.has('e1') ? ['E1 n: of self-distillation.'] : []),
        'Well formed: every turn thinks, then searches or answers.',
      ].join(' '),
    ],
  };
}

/** What did not go as planned: stages that were stopped or left out. */
function eventsOf(results: Results): string[] {
  const isPlain = ({ stoppedBy }: StageOutcome) => stoppedBy === 'steps';
  const notes = stageNotes({ ...results, outcomes: results.outcomes.filter((outcome) => !isPlain(outcome)) });
  return notes.length <= NOTES
    ? notes
    : [...notes.slice(0, NOTES - 1), `${notes.length - NOTES + 1} more such notes: see the report.`];
}

function timeText({ totalSeconds, samplingSeconds, trainingSeconds, trajectories }: Timing): string {
  const parts = `sampling ${clock(samplingSeconds)}, training ${clock(trainingSeconds)}`;
  return `Time ${clock(totalSeconds)} (${parts}), ${trajectories.toLocaleString('en')} trajectories.`;
}

/** Why a run in which nothing was right could learn nothing, and what to try. */
export function nothingLearned(results: Results): { message: string; hint: string } {
  const base = mainMeasurements(results)[0];
  const formed = base?.mean.wellFormed?.mean ?? 0;
  const form = `the base policy kept the form (think, then search or answer, in tags) in ${Math.round(100 * formed)} % of its rollouts`;
  return {
    message: `no rollout was right, so that no step had anything to reinforce and no pair could be made; ${form}`,
    hint:
      formed < 0.5
        ? 'Start from an instruction-tuned model, from `search-e1 warmup` on your own questions, or try another --template; `search-e1 ask` shows what the policy writes.'
        : 'The form is there, the answers are wrong: are gold answers short, and do the passages hold them? `search-e1 ask` shows what the policy finds.',
  };
}
