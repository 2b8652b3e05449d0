/** A filtered set for other programs: a line of JSON for each rollout, with its texts, or a table as CSV. */

import { hasMark, keyOf, marks, type Row } from '../runs/rows/row.ts';
import type { Ask } from './api.ts';
import type { TrajectoryDetail } from './wire.ts';

/** What stands in both. */
function recordOf(row: Row) {
  const { place, about, rollout, answer, reward, advantage, searches, tokens, stop, grounded, retrieved } = row;
  return {
    key: keyOf(row),
    ...{ stage: place.stage, part: place.part, step: place.step, mode: place.mode, suite: about.suite },
    ...{ questionId: about.id, rollout, question: about.question, gold: about.gold, answer },
    ...{ reward, advantage, searches, policyTokens: tokens, stop, grounded, retrieved },
    marks: marks.filter(({ name }) => hasMark(row, name)).map(({ name }) => name),
  };
}

export async function* jsonLines(rows: readonly Row[], source: string, ask: Ask): AsyncGenerator<string> {
  for (const row of rows) {
    const query = new URLSearchParams({ source, key: keyOf(row) });
    const { prompt, turns, failure } = (await ask('rollout', query)) as TrajectoryDetail;
    const response = turns.map(({ author, text, search }) => ({ author, text, ...(search && { search }) }));
    yield `${JSON.stringify({ ...recordOf(row), failure, prompt, response })}\n`;
  }
}

/** RFC 4180. Text that a spreadsheet would compute begins with an apostrophe. */
export function* csvLines(rows: readonly Row[]): Generator<string> {
  let isFirst = true;
  for (const row of rows) {
    const record = recordOf(row);
    if (isFirst) yield `${Object.keys(record).join(',')}\r\n`;
    isFirst = false;
    yield `${Object.values(record).map(cell).join(',')}\r\n`;
  }
}

function cell(value: unknown): string {
  if (value === null) return '';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const text = Array.isArray(value) ? value.join(' | ') : String(value);
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
