/** A worker process of the build: reads the passages of one segment after the other from the index, and writes their postings. */
import { setImmediate } from 'node:timers/promises';
import { UserError } from '../../base/errors.ts';
import { type AnalyzerName, createAnalyzer } from '../analyzer.ts';
import { searchedText } from '../corpus.ts';
import { collectGarbage } from './collect-garbage.ts';
import { readPassageLines } from './passage-lines.ts';
import { PostingsBuilder } from './postings.ts';
import { type SegmentRecord, writeSegment } from './segment.ts';

/** The passages of a segment are bytes `from` ... `to` − 1 of the file `passages`, the first one at position `first` of the corpus. */
export interface SegmentTask {
  readonly passages: string;
  readonly from: number;
  readonly to: number;
  readonly first: number;
  /** The file to write. */
  readonly file: string;
}

export type FromBuildWorker =
  | { readonly kind: 'analysed'; readonly passages: number }
  | { readonly kind: 'written'; readonly segment: Omit<SegmentRecord, 'prefixHash'> }
  | { readonly kind: 'failed'; readonly user: boolean; readonly message: string; readonly hint?: string | undefined };

const analyze = createAnalyzer(process.argv[2] as AnalyzerName);
const send = (message: FromBuildWorker) => process.send!(message);

async function makeSegment({ passages, from, to, first, file }: SegmentTask): Promise<void> {
  const builder = new PostingsBuilder(analyze);
  for (const batch of readPassageLines(passages, from, to)) {
    for (const passage of batch) builder.add(searchedText(passage));
    send({ kind: 'analysed', passages: batch.length });
    // Lets the end of the build be noticed.
    await setImmediate();
  }
  send({ kind: 'written', segment: await writeSegment(file, builder.finish(), first) });
}

process.on('message', async (task: SegmentTask) => {
  try {
    await makeSegment(task);
  } catch (error) {
    const { message } = error as Error;
    send({
      kind: 'failed',
      user: error instanceof UserError,
      message,
      ...(error instanceof UserError && { hint: error.hint }),
    });
  }
  collectGarbage();
});
// Ctrl-C reaches all processes of a terminal; the main one decides, and its end, however it comes, is the worker's.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit());
