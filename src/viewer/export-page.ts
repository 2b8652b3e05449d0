/** One file to send: the page with the rollouts that were chosen in it. It asks nobody, and its own policy forbids it to. */
import { createHash } from 'node:crypto';
import { UserError } from '../base/errors.ts';
import { keyOf } from '../runs/rows/row.ts';
import type { Ask } from './api.ts';
import { type Filter, queryOf } from './filter.ts';
import type { Library } from './library.ts';
import type { Page } from './page-files.ts';
import type { Overview, TrajectoryDetail } from './wire.ts';
import { withoutPlaces } from './without-places.ts';

/** Beyond so many rollouts tokens are left out, which take most of the room; and so many bytes are no file to send. */
const MOST_WITH_TOKENS = 300;
const MOST_BYTES = 50e6;

export interface ExportedPage {
  readonly html: string;
  readonly rollouts: number;
  readonly of: number;
  readonly withTokens: boolean;
}

/** @throws UserError where nothing is chosen, or more than a file should hold */
export async function exportPage(
  library: Library,
  id: string,
  filter: Filter,
  page: Page,
  ask: Ask,
): Promise<ExportedPage> {
  const { collection } = library.open(id);
  await collection.refresh();
  const rows = collection.select(filter);
  if (rows.length === 0) throw new UserError('no rollout is like that', { hint: 'Take something out of --filter.' });
  const withTokens = rows.length <= MOST_WITH_TOKENS;
  const told = (await ask('overview', new URLSearchParams({ source: id }))) as Overview;
  const { overview, detail: cleaned } = withoutPlaces(told, [library.source(id).folder, process.cwd()]);
  const parts: string[] = [];
  let bytes = 0;
  for (const row of rows) {
    const whole = (await ask('rollout', new URLSearchParams({ source: id, key: keyOf(row) }))) as TrajectoryDetail;
    const detail = { ...cleaned(whole), raw: '', ...(!withTokens && { tokens: null, promptIds: null }) };
    const text = harmless(JSON.stringify(detail));
    bytes += Buffer.byteLength(text);
    if (bytes > MOST_BYTES)
      throw new UserError(
        `${rows.length.toLocaleString('en')} rollouts are more than a file of ${MOST_BYTES / 1e6} MB holds (${parts.length.toLocaleString('en')} fit)`,
        {
          hint: 'Choose fewer with --filter, e.g. --filter "stage=base&mark=misread"; --json and --csv have no limit.',
        },
      );
    parts.push(text);
  }
  const chosen = queryOf(filter).toString();
  const part =
    rows.length === collection.rows.length
      ? ''
      : ` This page holds ${rows.length.toLocaleString('en')} of ${collection.rows.length.toLocaleString('en')} rollouts${chosen === '' ? '' : `: ${decodeURIComponent(chosen.replaceAll('+', ' '))}`}.`;
  const head = harmless(JSON.stringify({ ...overview, sentence: overview.sentence + part, pairStages: [] }));
  const data = `{"overview":${head},"of":${collection.rows.length},"rollouts":[${parts.join(',')}]}`;
  return {
    html: htmlOf(page, `${overview.source.name}, ${rows.length} rollouts`, data),
    rollouts: rows.length,
    of: collection.rows.length,
    withTokens,
  };
}

/** No text can end the element that it stands in. */
const harmless = (json: string) =>
  json.replaceAll('<', '\\u003c').replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');

function htmlOf({ script, style }: Page, title: string, data: string): string {
  const code = script.replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--');
  const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src ${hash(code)}; style-src ${hash(style)}; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,"><style>${style}</style></head>
<body><div id="app"></div><noscript>This page needs JavaScript.</noscript>
<script type="application/json" id="exported">${data}</script><script>${code}</script></body></html>
`;
}
