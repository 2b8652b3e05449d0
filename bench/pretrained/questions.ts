/** Writes the training questions of the recipe: all of several files that name passages of the corpus as evidence (gold_ids). */
import { UserError } from '../../src/base/errors.ts';
import { readJsonLines, writeFileAtomic } from '../../src/base/files.ts';

const [out, ...files] = process.argv.slice(2);
if (!out || files.length === 0) throw new UserError('usage: node questions.ts OUT.jsonl FILE.jsonl.gz …');

const lines: string[] = [];
for (const file of files)
  for await (const { value } of readJsonLines(file)) {
    const { gold_ids: gold } = value as { gold_ids?: readonly string[] };
    if (gold !== undefined && gold.length > 0) lines.push(JSON.stringify(value));
  }
await writeFileAtomic(out, `${lines.join('\n')}\n`);
console.log(`${out}: ${lines.length} questions with gold passages`);
