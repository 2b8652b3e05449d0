/** Reads what mutate.ts has changed, and says what came of it. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { UserError } from '../../src/base/errors.ts';
import { readCorpus } from '../../src/retrieval/corpus.ts';
import { DenseRetriever } from '../../src/retrieval/dense/dense-retriever.ts';
import { readJudgedQueries } from '../../src/retrieval/evaluation/judgements.ts';
import { openRetriever } from '../../src/retrieval/open-retriever.ts';

interface Task {
  readonly how: 'corpus' | 'index' | 'qrels' | 'queries';
  readonly place: string;
  readonly folder: string;
}

async function read({ how, place, folder }: Task): Promise<unknown> {
  if (how === 'queries') return judged(place, undefined);
  if (how === 'qrels') return judged(path.join(folder, 'queries.jsonl'), place);
  if (how === 'corpus') {
    const passages: unknown[] = [];
    for await (const passage of readCorpus([place])) passages.push(passage);
    return passages;
  }
  const dense = path.basename(place) === 'dense';
  const retriever = dense
    ? await DenseRetriever.open(place, { embedder: path.join(folder, 'model'), threads: 1 })
    : await openRetriever(place);
  try {
    // Everything is looked at: all words, to the last passage.
    return await retriever.search(['oslo fjord', 'paris seine café', 'rome tiber river', 'often title'], 1000);
  } finally {
    await retriever.close();
  }
}

async function judged(queries: string, qrels: string | undefined): Promise<unknown> {
  const { judged } = await readJudgedQueries(queries, qrels);
  return judged.map(({ id, text, grades }) => [id, text, [...grades]]);
}

process.on('message', async (task: Task) => {
  const answer = await read(task).then(
    (result) => ({ outcome: 'read', result: createHash('sha256').update(JSON.stringify(result)).digest('hex') }),
    (error: unknown) => ({
      outcome: error instanceof UserError ? 'refused' : 'crash',
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    }),
  );
  process.send!(answer);
});
