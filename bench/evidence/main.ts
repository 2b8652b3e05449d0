/**
 * Makes docs/evidence.md, README's paragraph, the picture, and the verdicts and intervals in docs/evidence/*.json anew from the seeds'
 * values in those files. When all is true, the tree is as it was.
 *
 *     npm run evidence [-- --check]        --check: writes nothing, and ends with 1 when something is not true
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { renderPicture } from '../../src/experiment/report/picture.ts';
import { recordLines } from '../../src/experiment/summary.ts';
import { type Document, decided, Findings, summaryOf } from './findings.ts';
import { CONDITIONS, type Evidence, evidencePage, readmeParagraph } from './page.ts';

const isCheck = process.argv.includes('--check');
const root = path.join(import.meta.dirname, '..', '..');
const at = (...names: string[]) => path.join(root, ...names);

const names = ['claims', 'variants', ...CONDITIONS.map(([name]) => name)];
const found: Record<string, Findings> = {};
for (const name of names) {
  const file = at('docs', 'evidence', `${name}.json`);
  const document = decided(JSON.parse(await readFile(file, 'utf8')) as Document);
  await write(file, recordLines({ ...document }));
  found[name] = new Findings(document);
}
const evidence: Evidence = {
  claims: found.claims!,
  variants: found.variants!,
  conditions: found as Evidence['conditions'],
  pretrained: JSON.parse(await readFile(at('docs', 'evidence', 'smollm2.json'), 'utf8')),
  beside: JSON.parse(await readFile(at('docs', 'evidence', 'beside.json'), 'utf8')),
};
await write(at('docs', 'evidence.md'), evidencePage(evidence));
await write(at('docs', 'evidence', 'claims.svg'), renderPicture(summaryOf(evidence.claims.document)));
const readme = await readFile(at('README.md'), 'utf8');
const [begin, end] = ['<!-- evidence: made by npm run evidence -->\n', '\n<!-- end -->'];
const [from, to] = [readme.indexOf(begin), readme.indexOf(end)];
if (from < 0 || to < from) throw new Error(`README.md: the lines ${begin.trim()} and ${end.trim()} are missing`);
await write(at('README.md'), readme.slice(0, from) + begin + readmeParagraph(evidence) + readme.slice(to));

async function write(file: string, text: string): Promise<void> {
  const had = await readFile(file, 'utf8');
  if (had === text) return;
  if (isCheck) process.exitCode = 1;
  else await writeFile(file, text);
  console.log(`${path.relative(root, file)} ${isCheck ? 'is not what its figures say' : 'changed'}`);
}
