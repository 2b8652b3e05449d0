/** A worker thread of the build: analyses the texts of one segment after the other and writes their postings. */
import { parentPort, workerData } from 'node:worker_threads';
import { type AnalyzerName, createAnalyzer } from '../analyzer.ts';
import { PostingsBuilder } from './postings.ts';
import { type SegmentRecord, writeSegment } from './segment.ts';

/** The texts of the next passages of the present segment; or its end, and where it goes. */
export type ToBuildWorker =
  | { readonly kind: 'texts'; readonly texts: readonly string[] }
  | { readonly kind: 'end'; readonly file: string; readonly first: number };

export type FromBuildWorker =
  | { readonly kind: 'analysed'; readonly passages: number }
  | { readonly kind: 'written'; readonly segment: Omit<SegmentRecord, 'prefixHash'> };

const analyze = createAnalyzer((workerData as { analyzer: AnalyzerName }).analyzer);
let builder = new PostingsBuilder(analyze);
const send = (message: FromBuildWorker) => parentPort!.postMessage(message);

parentPort!.on('message', async (message: ToBuildWorker) => {
  if (message.kind === 'texts') {
    for (const text of message.texts) builder.add(text);
    send({ kind: 'analysed', passages: message.texts.length });
  } else {
    const postings = builder.finish();
    // Texts of the next segment may arrive while this one is being written.
    builder = new PostingsBuilder(analyze);
    send({ kind: 'written', segment: await writeSegment(message.file, postings, message.first) });
  }
});
