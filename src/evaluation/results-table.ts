/** One evaluation as a table: suites down, baselines across. */
import { baselineTitle } from '../baselines/all.ts';
import { estimateText, type TableBlock } from '../runs/table.ts';
import type { ScoredAnswer } from './answer.ts';
import { behaviour, behaviourNotes, suiteOf, total } from './figures-text.ts';
import { secondsOf } from './measure.ts';
import { notesOfAll } from './reply-notes.ts';
import type { EvaluationResults } from './results.ts';
import { weightNote } from './warnings.ts';

/** @param answers for the seconds and for notes, which results do not hold */
export function resultsTable(
  { rows, conditions }: EvaluationResults,
  answers: ReadonlyMap<string, ScoredAnswer>,
): TableBlock {
  const sizes = conditions.suites.map(({ questions, of }) =>
    questions === of ? `${questions}` : `${questions} of ${of}`,
  );
  const asked = new Set(sizes).size === 1 ? sizes[0]! : sizes.join(', ');
  return {
    title: `Exact match ± standard error: ${conditions.model.name}`,
    header: rows.map(({ baseline }) => baselineTitle(baseline)),
    rows: [
      ...conditions.suites.map(({ name }) => ({
        label: name,
        cells: rows.map((row) => estimateText(suiteOf(row, name)?.exactMatch, 3)),
        rule: false,
      })),
      { label: 'mean of suites', cells: rows.map((row) => estimateText(row.macro.exactMatch, 3)), rule: true },
      { label: 'mean of questions', cells: rows.map((row) => estimateText(row.micro.exactMatch, 3)), rule: false },
      ...behaviour.map(({ label, figure, decimals }, i) => ({
        label,
        cells: rows.map((row) => estimateText(row.macro[figure], decimals)),
        rule: i === 0,
      })),
      { label: 'seconds', cells: rows.map((row) => estimateText(secondsOf(row, answers), 2)), rule: false },
      { label: 'no answer', cells: rows.map((row) => String(total(row, 'unanswered'))), rule: false },
      { label: 'failed', cells: rows.map((row) => String(total(row, 'failures'))), rule: false },
    ],
    notes: [
      `Questions a suite: ${asked}. From F1 on, means of suites.`,
      ...behaviourNotes,
      ...weightNote(rows[0]!),
      ...notesOfAll(answers.values()),
    ],
  };
}
