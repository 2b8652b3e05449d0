/** Fetches benchmarks and corpora from the Hugging Face Hub into a folder, with a note of what came from where. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { writeFileAtomic } from '../base/files.ts';
import { type DownloadOptions, downloadHubFile, type HubFile, hubFileInfo, isHubContent } from '../base/hub-file.ts';
import { benchmarks } from './suites/all.ts';

/** Something that can be pulled. */
export interface Pullable {
  readonly name: string;
  readonly kind: 'questions' | 'corpus';
  readonly about: string;
  readonly file: HubFile;
  /** Where it goes, below the data folder. */
  readonly target: string;
}

const flashRag = { type: 'dataset', repository: 'RUC-NLPIR/FlashRAG_datasets', revision: 'main' } as const;

/** The seven benchmarks from FlashRAG's copies, and the corpus that Search-R1 and the works after it search. */
export const pullables: readonly Pullable[] = [
  ...benchmarks.map(({ name, title, flashRag: file }) => ({
    name,
    kind: 'questions' as const,
    about: title,
    file: { ...flashRag, path: file },
    target: file,
  })),
  {
    name: 'wiki-18',
    kind: 'corpus',
    about:
      'Wikipedia of December 2018 in 21 million passages of 100 words (Karpukhin et al. 2020), as Search-R1 uses it',
    file: { type: 'dataset', repository: 'PeterJinGo/wiki-18-corpus', revision: 'main', path: 'wiki-18.jsonl.gz' },
    target: 'wiki-18/wiki-18.jsonl.gz',
  },
];

export interface Pulled {
  readonly name: string;
  readonly file: string;
  readonly bytes: number;
  /** False when it was there already, with the Hub's size. */
  readonly fetched: boolean;
}

/**
 * Brings one of them into `folder`. Beside the file goes `<file>.source.json`: repository, path, checksum and date.
 * A file that is there with the right checksum is left alone; one that differs is replaced.
 */
export async function pull(what: Pullable, folder: string, options: DownloadOptions & { now: Date }): Promise<Pulled> {
  const target = path.join(folder, what.target);
  const info = await hubFileInfo(what.file, options.signal);
  const done = { name: what.name, file: target, bytes: info.bytes };
  if (existsSync(target) && (await isHubContent(target, info))) return { ...done, fetched: false };
  await downloadHubFile(what.file, info, target, options);
  const source = { schema: 1, ...what.file, ...info, fetched: options.now.toISOString() };
  await writeFileAtomic(`${target}.source.json`, `${JSON.stringify(source, null, 2)}\n`);
  return { ...done, fetched: true };
}
