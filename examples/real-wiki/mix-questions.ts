/** Writes the training questions of this example: those of NQ and of HotpotQA, taken in turns, from two files of several sets. */
import { UserError } from '../../src/base/errors.ts';
import { readJsonLines, writeFileAtomic } from '../../src/base/files.ts';

const [nqFile, multiHopFile, out] = process.argv.slice(2);
if (!nqFile || !multiHopFile || !out)
  throw new UserError('usage: node mix-questions.ts NQ.jsonl.gz MULTIHOP.jsonl.gz OUT.jsonl');

async function linesOf(file: string, dataset: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const { value } of readJsonLines(file))
    if ((value as { dataset?: unknown }).dataset === dataset) lines.push(JSON.stringify(value));
  return lines;
}

const nq = await linesOf(nqFile, 'nq');
const hotpot = await linesOf(multiHopFile, 'hotpotqa');
const mixed = nq.slice(0, hotpot.length).flatMap((line, i) => [line, hotpot[i]!]);
await writeFileAtomic(out, `${mixed.join('\n')}\n`);
console.log(`${out}: ${mixed.length} questions`);
