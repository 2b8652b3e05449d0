/**
 * Loads a corpus into a new index of OpenSearch, ranked as ours: Lucene's EnglishAnalyzer over title and text, BM25 with the
 * given k1 and b. A passage's position is its document id, so that one that is sent twice is stored once, and a load that
 * was interrupted goes on behind the passages that the server has confirmed.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../../base/errors.ts';
import { makeFolder } from '../../base/files.ts';
import { Passing, patiently } from '../../base/retry.ts';
import { passageLine } from '../corpus.ts';
import type { Passage } from '../retriever.ts';
import { busyPatience, type Connection } from './connection.ts';
import {
  MANIFEST_FILE,
  type OpenSearchTarget,
  PROGRESS_FILE,
  readLoadProgress,
  writeLoadProgress,
  writeOpenSearchManifest,
} from './manifest.ts';

/** One bulk request: at most this many passages, and about this many bytes. */
const BULK_PASSAGES = 1000;
const BULK_BYTES = 4 << 20;

export interface OpenSearchLoad {
  /** Where the manifest goes, by which the index is opened afterwards. */
  readonly folder: string;
  readonly target: OpenSearchTarget;
  readonly connection: Connection;
  readonly corpus: AsyncIterable<Passage>;
  readonly onProgress?: (loaded: number) => void;
  readonly signal?: AbortSignal | undefined;
}

interface Numbered {
  readonly position: number;
  readonly passage: Passage;
}

/**
 * @returns the number of passages
 * @throws UserError when the index exists already and is none of ours, the corpus is another than that of the interrupted
 * load, or the server refuses a passage
 */
export async function loadIntoOpenSearch(load: OpenSearchLoad): Promise<number> {
  const { folder, target, connection, corpus, onProgress, signal } = load;
  if (existsSync(path.join(folder, MANIFEST_FILE)))
    throw new UserError(`${folder}: holds a finished index`, { hint: 'Choose another directory.' });
  await makeFolder(folder);
  const before = await begin(load);
  const hash = createHash('sha256');
  let position = 0;
  let batch: Numbered[] = [];
  let bytes = 0;
  const send = async () => {
    await sendBatch(connection, target.index, batch, signal);
    await writeLoadProgress(folder, { target, loaded: position, hash: hash.copy().digest('hex') });
    onProgress?.(position);
    batch = [];
    bytes = 0;
  };
  for await (const passage of corpus) {
    if (position === before.loaded && hash.copy().digest('hex') !== before.hash) throw anotherCorpus(folder);
    const line = passageLine(passage);
    hash.update(line);
    if (position++ < before.loaded) continue;
    batch.push({ position: position - 1, passage });
    bytes += line.length;
    if (batch.length < BULK_PASSAGES && bytes < BULK_BYTES) continue;
    await send();
  }
  if (position < before.loaded) throw anotherCorpus(folder);
  if (batch.length > 0) await send();
  const corpusHash = hash.digest('hex');
  await finish(load, position, corpusHash);
  await writeOpenSearchManifest(folder, { ...target, passages: position, corpusHash });
  await rm(path.join(folder, PROGRESS_FILE), { force: true });
  return position;
}

/** Creates the index, or takes up an interrupted load. */
async function begin({
  folder,
  target,
  connection,
  signal,
}: OpenSearchLoad): Promise<{ loaded: number; hash: string }> {
  const { index } = target;
  const exists = await connection.ask(z.boolean(), (client) => client.indices.exists({ index }), signal);
  if (existsSync(path.join(folder, PROGRESS_FILE)) && exists) {
    const progress = await readLoadProgress(folder);
    if (JSON.stringify(progress.target) === JSON.stringify(target)) return progress;
    throw new UserError(`${folder}: holds an unfinished load of other settings: ${JSON.stringify(progress.target)}`, {
      hint: 'Go on with the same options, or choose another directory.',
    });
  }
  if (exists)
    throw new UserError(`${target.url}: an index named ${index} exists already`, {
      hint: `Choose another name, or delete it: curl -X DELETE ${target.url}/${index}`,
    });
  const fresh = { loaded: 0, hash: createHash('sha256').digest('hex') };
  // Before the index, so that no end of this process leaves an index that nobody owns.
  await writeLoadProgress(folder, { target, ...fresh });
  await connection.ask(
    z.looseObject({}),
    (client) => client.indices.create({ index, body: indexBody(target) }),
    signal,
  );
  return fresh;
}

/** Settings and mapping of an index; the client's types know no similarities by name. */
function indexBody({ k1, b }: OpenSearchTarget): object {
  const stored = { type: 'keyword', index: false, doc_values: false };
  return {
    settings: {
      index: { similarity: { passages: { type: 'BM25', k1, b } } },
    },
    mappings: {
      dynamic: 'strict',
      // What is searched is made of title and text; there is no need to keep it twice.
      _source: { excludes: ['contents'] },
      properties: {
        position: { type: 'long' },
        id: stored,
        title: stored,
        text: stored,
        contents: { type: 'text', analyzer: 'english', similarity: 'passages' },
      },
    },
  };
}

const bulkSchema = z.looseObject({
  items: z.array(
    z.looseObject({
      index: z.looseObject({
        status: z.int(),
        error: z.looseObject({ type: z.string(), reason: z.string() }).optional(),
      }),
    }),
  ),
});

/** Sends passages until each of them is confirmed; those that a busy server rejects are sent again. */
async function sendBatch(
  connection: Connection,
  index: string,
  batch: readonly Numbered[],
  signal?: AbortSignal,
): Promise<void> {
  let waiting = batch;
  let busy = '';
  const send = async () => {
    const body = waiting.flatMap(({ position, passage: { id, title, text } }) => [
      { index: { _index: index, _id: String(position) } },
      { position, id, title, text, contents: `${title}\n${text}` },
    ]);
    const { items } = await connection.ask(bulkSchema, (client) => client.bulk({ body }), signal);
    if (items.length !== waiting.length)
      throw new UserError(`${connection.url}: ${waiting.length} passages were sent, ${items.length} confirmed`);
    const rejected: Numbered[] = [];
    for (const [i, { index: item }] of items.entries()) {
      if (item.error === undefined) continue;
      const { position, passage } = waiting[i]!;
      const refusal = `${connection.url}: refuses passage ${position} (${JSON.stringify(passage.id)}): ${item.error.reason}`;
      if (item.status !== 429) throw new UserError(refusal);
      rejected.push(waiting[i]!);
      busy = refusal;
    }
    waiting = rejected;
    if (rejected.length > 0) throw new Passing(busy);
  };
  await patiently(busyPatience, send, signal).catch((error: unknown) => {
    if (!(error instanceof Passing)) throw error;
    throw new UserError(error.message, { hint: 'The server is overloaded: wait for it.', continues: true });
  });
}

/** Makes everything searchable, counts it, and writes into the index what it holds. */
async function finish(
  { target, connection, signal }: OpenSearchLoad,
  passages: number,
  corpusHash: string,
): Promise<void> {
  const { index } = target;
  await connection.ask(z.looseObject({}), (client) => client.indices.refresh({ index }), signal);
  const { count } = await connection.ask(
    z.looseObject({ count: z.int() }),
    (client) => client.count({ index }),
    signal,
  );
  if (count !== passages)
    throw new UserError(`${target.url}: index ${index} holds ${count} passages, ${passages} were loaded`, {
      hint: 'Does something else write to it? Delete it and load again.',
    });
  const body = { _meta: { searchE1: { passages, corpusHash } } };
  await connection.ask(z.looseObject({}), (client) => client.indices.putMapping({ index, body }), signal);
}

function anotherCorpus(folder: string): UserError {
  return new UserError(`${folder}: the interrupted load was of another corpus`, {
    hint: 'Go on with the same corpus files, or choose another directory and index name.',
  });
}
