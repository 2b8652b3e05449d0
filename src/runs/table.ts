/** The results as a table: suites by stages, a block for each way of evaluating. As text for the terminal and as Markdown. */
import type { Estimate } from '../benchmarks/statistics.ts';
import type {
  EvaluationMode,
  MeanMeasurement,
  Results,
  StageMeasurement,
  SuiteMeasurement,
} from '../evolve/results.ts';
import { stageNamed } from '../evolve/stages.ts';

/** One block: a grid of texts. Rows with `rule` begin a new part. */
export interface TableBlock {
  readonly title: string;
  /** Labels of the columns, without the first. */
  readonly header: readonly string[];
  readonly rows: readonly { readonly label: string; readonly cells: readonly string[]; readonly rule: boolean }[];
  readonly notes: readonly string[];
}

export const NOTHING = '–';

/** "grpo-1" as a person says it: "GRPO 1". */
export function stageLabel(stage: string): string {
  return stageNamed(stage)?.label ?? stage;
}

export function modeLabel({ decoding, searches }: EvaluationMode): string {
  return `${decoding} answers, at most ${searches} ${searches === 1 ? 'search' : 'searches'}`;
}

/** "0.384 ±0.012" with the given number of decimals; a dash for nothing. */
export function estimateText(estimate: Estimate | null | undefined, decimals: number): string {
  if (!estimate) return NOTHING;
  const error = estimate.standardError === null ? '' : ` ±${estimate.standardError.toFixed(decimals)}`;
  return `${estimate.mean.toFixed(decimals)}${error}`;
}

const behaviour: readonly {
  label: string;
  decimals: number;
  of: (measured: MeanMeasurement) => Estimate | null;
}[] = [
  { label: 'F1', decimals: 3, of: (measured) => measured.f1 },
  { label: 'searches', decimals: 2, of: (measured) => measured.searches },
  { label: 'policy tokens', decimals: 1, of: (measured) => measured.policyTokens },
  { label: 'well formed', decimals: 3, of: (measured) => measured.wellFormed },
  { label: 'grounded', decimals: 3, of: (measured) => measured.grounded },
];

/** A block for each mode, in the order of evaluation. */
export function tableBlocks(results: Results): TableBlock[] {
  const stages = distinct(results.measurements.map((measurement) => measurement.stage));
  const modes = new Map(results.measurements.map(({ mode }) => [modeLabel(mode), mode]));
  return [...modes].map(([title, mode]) => {
    const measured = results.measurements.filter((measurement) => modeLabel(measurement.mode) === modeLabel(mode));
    return blockOf(title, stages, measured);
  });
}

function blockOf(title: string, stages: readonly string[], measured: readonly StageMeasurement[]): TableBlock {
  // A measurement without suites says nothing, its means included.
  const byStage = stages.map((stage) => measured.find((one) => one.stage === stage && one.suites.length > 0));
  const suites = distinct(measured.flatMap((measurement) => measurement.suites.map(({ suite }) => suite)));
  const suiteRows = suites.map((suite) => ({
    label: suite,
    cells: byStage.map((stage) => estimateText(suiteOf(stage, suite)?.exactMatch, 3)),
    rule: false,
  }));
  const meanRow = { label: 'mean', cells: byStage.map((stage) => estimateText(stage?.mean.exactMatch, 3)), rule: true };
  const behaviourRows = behaviour.map(({ label, decimals, of }, index) => ({
    label,
    cells: byStage.map((stage) => estimateText(stage && of(stage.mean), decimals)),
    rule: index === 0,
  }));
  return {
    title: `Exact match ± standard error: ${title}`,
    header: stages.map(stageLabel),
    rows: [...suiteRows, meanRow, ...behaviourRows],
    notes: notesOf(measured),
  };
}

function notesOf(measured: readonly StageMeasurement[]): string[] {
  const all = measured.flatMap((measurement) => measurement.suites);
  const sizes = distinct(
    all.map(({ questions, samplesPerQuestion: samples }) =>
      samples === 1 ? `${questions}` : `${questions} (${samples} samples each)`,
    ),
  );
  const failures = all.reduce((sum, suite) => sum + suite.failures, 0);
  const notes = [`Questions a suite: ${sizes.join(', ')}. In the mean and below it each suite weighs the same.`];
  if (failures > 0) notes.push(`${failures} rollouts failed for outside reasons and are left out.`);
  return notes;
}

function suiteOf(stage: StageMeasurement | undefined, suite: string): SuiteMeasurement | undefined {
  return stage?.suites.find((measurement) => measurement.suite === suite);
}

/** How each stage ended, a line each. */
export function stageNotes(results: Results): string[] {
  return results.outcomes.map((outcome) => {
    const label = stageLabel(outcome.stage);
    const steps = `${outcome.steps} ${outcome.steps === 1 ? 'step' : 'steps'}`;
    const kept = outcome.keptStep === outcome.steps ? '' : `, weights of step ${outcome.keptStep} kept`;
    const reason = outcome.reason === undefined ? '' : `: ${outcome.reason}`;
    if (outcome.stoppedBy === 'gate' || outcome.stoppedBy === 'no-pairs' || outcome.stoppedBy === 'no-data')
      return `${label}: skipped${reason}`;
    if (outcome.stoppedBy === 'guard') return `${label}: stopped by a guard after ${steps}${kept}${reason}`;
    return `${label}: ${steps}${kept}${reason}`;
  });
}

/** Plain text, at most `width` columns: stages that do not fit side by side follow below. */
export function renderTable(results: Results, width = 100): string {
  const blocks = tableBlocks(results).map((block) => blockAsText(block, width));
  const notes = stageNotes(results);
  return [...blocks, ...(notes.length > 0 ? [`Stages\n${notes.map((note) => `  ${note}`).join('\n')}\n`] : [])].join(
    '\n',
  );
}

/** One block as plain text, at most `width` columns: columns that do not fit side by side follow below. */
export function blockAsText(block: TableBlock, width: number): string {
  const labelWidth = Math.max(...block.rows.map((row) => row.label.length)) + 2;
  const cellWidth = 2 + Math.max(...block.header.map(length), ...block.rows.flatMap((row) => row.cells.map(length)));
  const perPart = Math.max(1, Math.floor((width - labelWidth) / cellWidth));
  const lines = [indented('', block.title, width)];
  for (let from = 0; from < block.header.length; from += perPart) {
    const line = (label: string, cells: readonly string[]) =>
      `  ${label}`.padEnd(labelWidth) +
      cells
        .slice(from, from + perPart)
        .map((cell) => cell.padStart(cellWidth))
        .join('');
    const header = line('', block.header);
    const rule = `  ${'─'.repeat(header.length - 2)}`;
    lines.push(header, rule);
    for (const row of block.rows) {
      if (row.rule) lines.push(rule);
      lines.push(line(row.label, row.cells));
    }
  }
  return [...lines, ...block.notes.map((note) => indented('  ', note, width)), ''].join('\n');
}

/** A sentence behind a mark, at most `width` columns where its words allow it; further lines stand below the first. */
export function indented(mark: string, text: string, width: number): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const longer = lines.length === 0 ? mark + word : `${lines.at(-1)} ${word}`;
    if (lines.length === 0) lines.push(longer);
    else if (longer.length <= width) lines[lines.length - 1] = longer;
    else lines.push(' '.repeat(mark.length) + word);
  }
  return lines.join('\n');
}

/** Markdown for a README or an issue. */
export function renderMarkdown(results: Results): string {
  const blocks = tableBlocks(results).map(blockAsMarkdown);
  return [...blocks, ...stageNotes(results).map((note) => `- ${note}`)].join('\n');
}

export function blockAsMarkdown({ title, header, rows, notes }: TableBlock): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escapeCell).join(' | ')} |`;
  return [
    `**${title}**`,
    '',
    line(['', ...header]),
    `|---|${'---:|'.repeat(header.length)}`,
    ...rows.map((row) => line([row.label, ...row.cells])),
    '',
    ...notes,
    '',
  ].join('\n');
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function length(text: string): number {
  return text.length;
}

function distinct<T>(items: readonly T[]): T[] {
  return [...new Set(items)];
}
