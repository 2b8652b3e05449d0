/** A comparison as tables, and the tables as text, Markdown, and one HTML file. */
import { packageVersion } from '../runs/config-record.ts';
import { html } from '../runs/report/html.ts';
import { style } from '../runs/report/style.ts';
import { blockAsHtml } from '../runs/report/tables.ts';
import { blockAsMarkdown, blockAsText, estimateText, indented, NOTHING, type TableBlock } from '../runs/table.ts';
import { type Comparison, macroOf } from './compare.ts';
import { behaviour, behaviourNotes, score, signed, suiteOf, total } from './figures-text.ts';
import { type Caveat, caveats } from './published.ts';

/** Long names would widen every column. */
function short(suite: string): string {
  return suite === '2wikimultihopqa' ? '2wiki' : suite;
}

/** Scores, behaviour, paired differences. */
export function comparisonTables(comparison: Comparison): TableBlock[] {
  const { rows, differences } = comparison;
  return [
    scoreTable(comparison),
    behaviourTable(rows),
    ...(differences.length > 0 ? [differenceTable(comparison)] : []),
  ];
}

function scoreTable(comparison: Comparison): TableBlock {
  const { suites, rows, published } = comparison;
  const known = [...new Set(published.flatMap((row) => row.caveats))];
  const failures = rows.flatMap(({ label, row }) => {
    const count = total(row, 'failures');
    return count === 0 ? [] : [`${label}: ${count} questions failed and are left out.`];
  });
  return {
    title: 'Exact match ± standard error',
    header: [...suites.map(short), 'suites', 'questions'],
    rows: [
      ...rows.map((compared) => ({
        label: compared.label,
        cells: [
          ...suites.map((suite) => score(suiteOf(compared.row, suite)?.exactMatch)),
          score(macroOf(compared, suites)),
          score(compared.row.micro.exactMatch),
        ],
        rule: false,
      })),
      ...published.map(({ label, source, caveats: ofRow, model, exactMatch, macro }, i) => ({
        label: `${label}${marks(ofRow, known)}, ${model.replace('Qwen2.5-', '')} (${source})`,
        cells: [...suites.map((suite) => score(exactMatch[suite])), score(macro), NOTHING],
        rule: i === 0,
      })),
    ],
    notes: [
      'The last two columns are the mean of suites and the mean of questions.',
      ...failures,
      ...(published.length > 0
        ? ['Below the line: published rows, Qwen2.5 of the size named, as the source in brackets has them.']
        : []),
      ...known.map((caveat, i) => `${MARKS[i]} ${caveats[caveat]}`),
    ],
  };
}

const MARKS = ['¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹', '¹⁰'];

/** Marks of a published row's caveats, numbered by their place among those of all rows. */
function marks(ofRow: readonly Caveat[], known: readonly Caveat[]): string {
  return ofRow.map((caveat) => ` ${MARKS[known.indexOf(caveat)]}`).join('');
}

function behaviourTable(rows: Comparison['rows']): TableBlock {
  return {
    title: 'Behaviour, means of suites',
    header: [...behaviour.map(({ label }) => label), 'seconds', 'no answer', 'failed'],
    rows: rows.map((compared) => ({
      label: compared.label,
      cells: [
        ...behaviour.map(({ figure, decimals }) => estimateText(compared.row.macro[figure], decimals)),
        estimateText(compared.seconds, 2),
        String(total(compared.row, 'unanswered')),
        String(total(compared.row, 'failures')),
      ],
      rule: false,
    })),
    notes: behaviourNotes,
  };
}

function differenceTable({ suites, differences }: Comparison): TableBlock {
  const shown = (d: Comparison['differences'][number]['all']) =>
    d === null ? NOTHING : `${signed(d.difference)} [${signed(d.low)}, ${signed(d.high)}]`;
  return {
    title: `Difference to ${differences[0]!.against} in exact match, the same questions, with 95 % bootstrap interval`,
    header: [...suites.map(short), 'all'],
    rows: differences.map((difference) => ({
      label: difference.label,
      cells: [...suites.map((suite) => shown(difference.suites[suite] ?? null)), shown(difference.all)],
      rule: false,
    })),
    notes: [
      'Questions that failed on either side are left out; – where both sides have none in common.',
      ...differences.flatMap(({ label, notes }) => notes.map((note) => `${label}: ${note}.`)),
    ],
  };
}

export function comparisonText(comparison: Comparison, width: number): string {
  const tables = comparisonTables(comparison).map((block) => blockAsText(block, width));
  const warnings = comparison.warnings.map((warning) => indented('  ! ', warning, width));
  return [...tables, ...(warnings.length > 0 ? [`Read with care\n${warnings.join('\n')}\n`] : [])].join('\n');
}

export function comparisonMarkdown(comparison: Comparison): string {
  const warnings = comparison.warnings.map((warning) => `- ${warning}`);
  return [
    ...comparisonTables(comparison).map(blockAsMarkdown),
    ...(warnings.length > 0 ? ['**Read with care**', '', ...warnings, ''] : []),
  ].join('\n');
}

/** One file without script or network. */
export function comparisonHtml(comparison: Comparison): string {
  const title = `search-e1: ${[...new Set(comparison.rows.map(({ evaluation }) => evaluation))].join(', ')}`;
  return `<!doctype html>\n${
    html`<html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>${style}</style></head><body class="wide">
<h1>${title}</h1>
<p class="soft">search-e1 ${packageVersion()}</p>
<section><h2>Results</h2>${comparisonTables(comparison).map(blockAsHtml)}</section>
${
  comparison.warnings.length > 0 &&
  html`<section><h2>Read with care</h2><ul>${comparison.warnings.map((warning) => html`<li>${warning}</li>`)}</ul></section>`
}
</body></html>`.text
  }\n`;
}
