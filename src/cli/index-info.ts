/** `search-e1 index info`: what an index directory holds, and whether it is whole. */
import { Command } from 'commander';
import { megabytes } from '../base/bytes.ts';
import { UserError } from '../base/errors.ts';
import { verifyIndex } from '../retrieval/index/load.ts';
import { BM25_KIND, type Manifest, readManifest } from '../retrieval/index/manifest.ts';
import { indexKind, openRetriever } from '../retrieval/open-retriever.ts';
import { trustOption } from './arguments.ts';
import type { Io } from './widgets/io.ts';

interface Options {
  readonly verify?: boolean;
  readonly trustServer: readonly string[];
  readonly json?: boolean;
}

const examples = `
Examples:
  search-e1 index info wiki
  search-e1 index info wiki --verify
  search-e1 index info wiki --json | jq .corpusHash
`;

export function indexInfoCommand(io: Io): Command {
  return new Command('info')
    .description('What an index holds: counts, settings, hashes, sizes.')
    .argument('<dir>', 'a directory made by `index build`')
    .option('--verify', 'read every byte and hold it against the checksums; exit code 2 when one differs')
    .addOption(trustOption())
    .option('--json', 'print the manifest as one JSON document')
    .addHelpText('after', examples)
    .action(async (folder: string, { verify, trustServer: trust, json }: Options) => {
      const kind = await indexKind(folder);
      if (kind !== undefined && kind !== BM25_KIND) {
        if (verify)
          throw new UserError(`${folder}: --verify is for BM25 indexes`, {
            hint: 'The others hold every block and line against its checksum when it is first read.',
          });
        return otherInfo(folder, trust, json === true, io);
      }
      const manifest = await readManifest(folder);
      if (verify) await verifyIndex(folder);
      io.out.write(json ? `${JSON.stringify(manifest, null, 2)}\n` : describe(folder, manifest, verify === true));
    });
}

/** Of dense, hybrid and OpenSearch indexes: what a score of theirs depends on. Opens the index, its model or server too. */
async function otherInfo(folder: string, trust: readonly string[], json: boolean, io: Io): Promise<void> {
  const retriever = await openRetriever(folder, { trust });
  const { kind, passages, corpusHash, settings } = retriever.info;
  await retriever.close();
  const rows = Object.entries({ kind, passages, ...settings, corpus: `sha256 ${corpusHash}` });
  io.out.write(
    json
      ? `${JSON.stringify(retriever.info, null, 2)}\n`
      : `${folder}\n${rows.map(([name, value]) => `  ${name.padEnd(16)}${value}\n`).join('')}`,
  );
}

function describe(folder: string, manifest: Manifest, verified: boolean): string {
  const { analyzer, k1, b, length, passages, terms, postings, totalTerms, corpusHash, fingerprint, files } = manifest;
  const count = (n: number) => n.toLocaleString('en');
  const text = files['passages.jsonl'].bytes;
  const arrays = Object.values(files).reduce((sum, file) => sum + file.bytes, 0) - text;
  const rows = [
    ['passages', `${count(passages)}, ${(totalTerms / passages).toFixed(1)} terms each`],
    ['terms', count(terms)],
    ['postings', count(postings)],
    ['analyzer', analyzer],
    ['BM25', `k1 ${k1}, b ${b}, ${length} length`],
    ['on disk', `${megabytes(text)} passages, ${megabytes(arrays)} index (what a search holds in memory)`],
    ['corpus', `sha256 ${corpusHash}`],
    ['fingerprint', fingerprint],
    ...(verified ? [['verified', `${Object.keys(files).length} files, every byte`]] : []),
  ];
  return `${folder}\n${rows.map(([name, value]) => `  ${name!.padEnd(12)}${value}\n`).join('')}`;
}
