/** An evaluation as it is told on its page. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { readJson } from '../base/files.ts';
import { shellCommand } from '../base/shell-command.ts';
import { baselineTitle } from '../baselines/all.ts';
import { conditionsSchema } from '../evaluation/conditions.ts';
import { readEvaluation } from '../evaluation/evaluation-directory.ts';
import { resultsTable } from '../evaluation/results-table.ts';
import { isInUse } from '../runs/lock.ts';
import { hasMark } from '../runs/rows/row.ts';
import { parseAs } from '../runs/schemas.ts';
import { estimateText } from '../runs/table.ts';
import type { Collection } from './collection.ts';
import { typedPath } from './run-view.ts';
import type { Overview, SourceLine, Table } from './wire.ts';

export async function evaluationOverview(
  folder: string,
  source: SourceLine,
  collection: Collection,
): Promise<Overview> {
  const file = path.join(folder, 'conditions.json');
  const conditions = parseAs(conditionsSchema, await readJson(file), file);
  const asked = conditions.suites.reduce((sum, suite) => sum + suite.questions, 0);
  const finished = existsSync(path.join(folder, 'results.json')) ? await readEvaluation(folder) : undefined;
  const state = finished ? 'finished' : (await isInUse(folder)) ? 'running' : 'stopped';
  const counted = collection.rows.filter((row) => !hasMark(row, 'failed'));
  const right = counted.filter((row) => hasMark(row, 'right')).length;
  const sentence = finished
    ? `${conditions.model.name}: ${finished.results.rows.map((row) => `${baselineTitle(row.baseline)} ${estimateText(row.macro.exactMatch, 3)}`).join(', ')} exact match, mean of ${conditions.suites.length} suites.`
    : `${state === 'running' ? 'Under way' : 'Stopped before its end'}: ${collection.rows.length} answers so far to ${asked} questions a baseline, ${right} of ${counted.length} right.`;
  return {
    source,
    state,
    sentence,
    facts: [
      { name: 'model', value: conditions.model.name },
      {
        name: 'questions',
        value: String(asked),
        means: conditions.suites.map(({ name, questions, of }) => `${name} ${questions} of ${of}`).join(', '),
      },
      {
        name: 'searching',
        value: `${conditions.retriever.kind}, ${conditions.retriever.passages.toLocaleString('en')} passages`,
      },
    ],
    next:
      state === 'finished'
        ? [
            {
              command: shellCommand('search-e1', 'compare', typedPath(folder), 'OTHER'),
              means: 'put it beside another evaluation and the published figures',
            },
          ]
        : [],
    stages: [],
    tables: finished ? [tableOf(finished)] : [],
    curves: [],
    notes: state === 'stopped' ? ['The same `search-e1 evaluate` command goes on where it stopped.'] : [],
    settings: JSON.stringify(conditions, null, 2),
    pairStages: [],
  };
}

function tableOf({ results, answers }: Awaited<ReturnType<typeof readEvaluation>>): Table {
  const { title, header, rows, notes } = resultsTable(results, answers);
  const suites = new Set(results.conditions.suites.map(({ name }) => name));
  return {
    title,
    header,
    notes,
    rows: rows.map(({ label, cells, rule }) => ({
      label,
      rule,
      cells: cells.map((text, i) => {
        const query = new URLSearchParams({ stage: results.rows[i]!.baseline });
        if (suites.has(label)) query.set('suite', label);
        return { text, query: query.toString() };
      }),
    })),
  };
}
