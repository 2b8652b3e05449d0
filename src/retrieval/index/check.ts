/**
 * Whether the files of an index are an index. Checksums find accidents; these files may be someone else's, made to fit their
 * checksums. What a search relies on is held against the arrays once, when they are loaded: sizes before any is
 * allocated, then that counts, starts and positions go together. After that no search can run away or read what is not there.
 */
import { totalmem } from 'node:os';
import { UserError } from '../../base/errors.ts';
import { BLOCK, type IndexArrays } from './arrays.ts';
import { slotCount } from './dictionary.ts';
import { FILES, type FileName, type Manifest } from './manifest.ts';
import type { PassageTable } from './passage-store.ts';

const hint = 'Build the index again with `search-e1 index build`.';

/** Terms and postings are numbered in 32 bits, lengths in 31. */
const LARGEST_TERMS = 2 ** 30;
const LARGEST_LENGTH = 2 ** 31;

/** @throws UserError naming the file whose size cannot be that of so many passages, terms and postings; or when all are too large for this machine */
export function checkSizes({ passages: N, terms: T, postings: P, files }: Manifest, folder: string): void {
  const refuse = (name: string, reason: string) => {
    throw new UserError(`${folder}/${name}: damaged, ${reason}`, { hint });
  };
  if (T > LARGEST_TERMS || P >= 2 ** 32) refuse('manifest.json', `${T} terms and ${P} postings are no index`);
  const expected: [FileName, number][] = [
    [FILES.passageEnds, 8 * N],
    [FILES.passageSums, 4 * N],
    [FILES.lengths, 4 * N],
    [FILES.termEnds, 4 * T],
    [FILES.termSlots, 4 * slotCount(T)],
    [FILES.postingStarts, 4 * (T + 1)],
    [FILES.positions, 4 * P],
    [FILES.frequencies, P],
    [FILES.largeValues, files[FILES.largePostings].bytes],
    [FILES.thirdBest, 4 * T],
    [FILES.tenthBest, 4 * T],
  ];
  for (const [name, bytes] of expected)
    if (files[name].bytes !== bytes) refuse(name, `${files[name].bytes} bytes where ${bytes} belong`);
  for (const name of [FILES.largePostings, FILES.blockMaxima])
    if (files[name].bytes % 4 !== 0) refuse(name, `${files[name].bytes} bytes are no whole numbers`);
  const loaded = Object.entries(files).reduce(
    (sum, [name, { bytes }]) => (name === FILES.passages ? sum : sum + bytes),
    0,
  );
  if (loaded > totalmem())
    throw new UserError(
      `${folder}: its arrays take ${(loaded / 1e9).toFixed(1)} GB, this machine has ${(totalmem() / 1e9).toFixed(1)} GB`,
      { hint: 'Use a larger machine, or OpenSearch (docs/opensearch.md).' },
    );
}

/** @throws UserError naming the file whose contents do not go together with the others */
export function checkArrays(
  arrays: IndexArrays,
  lengths: Uint32Array,
  blockMaxima: Float32Array | undefined,
  folder: string,
): void {
  const { dictionary, postingStarts, blockStarts, positions, frequencies, largeFrequencies: large } = arrays;
  const refuse = (name: FileName, reason: string) => {
    throw new UserError(`${folder}/${name}: damaged, ${reason}`, { hint });
  };
  const terms = postingStarts.length - 1;
  if (postingStarts[0] !== 0 || !ascends(postingStarts, 1) || postingStarts[terms] !== positions.length)
    refuse(FILES.postingStarts, 'the terms do not share out the postings');
  if (!ascends(dictionary.ends, 1) || (dictionary.ends[terms - 1] ?? 0) !== dictionary.bytes.length)
    refuse(FILES.termEnds, 'the terms do not share out their bytes');
  if (!namesEach(dictionary.slots, terms)) refuse(FILES.termSlots, 'it does not name each term once');
  for (let t = 0; t < terms; t++)
    if (!ascendsWithin(positions, postingStarts[t]!, postingStarts[t + 1]!, arrays.passages))
      refuse(FILES.positions, `the passages of term ${t} are not in order`);
  if (!fits(frequencies, large.postings)) refuse(FILES.frequencies, 'it does not fit the frequencies of 255 and more');
  if (large.values.some((value) => value < 255)) refuse(FILES.largeValues, 'a frequency below 255');
  let sum = 0;
  for (const length of lengths) {
    if (length >= LARGEST_LENGTH) refuse(FILES.lengths, `a passage of ${length} terms`);
    sum += length;
  }
  if (sum !== arrays.totalTerms) refuse(FILES.lengths, `${sum} terms in all, ${arrays.totalTerms} in the manifest`);
  if (blockMaxima !== undefined && blockMaxima.length !== blockStarts[terms])
    refuse(FILES.blockMaxima, `${blockMaxima.length} bounds for ${blockStarts[terms]} blocks of ${BLOCK}`);
}

/** The largest line that a passage may have; a longer one is no text that could be read. */
const LONGEST_LINE = 2 ** 28;

/** @throws UserError when the table does not share out the bytes of the passages' file */
export function checkTable({ file, ends, sums }: PassageTable, passages: number, bytes: number): void {
  let [before, fine] = [0, ends.length === passages && sums.length === passages];
  for (let i = 0; i < ends.length && fine; i++) {
    const end = ends[i]!;
    fine = Number.isSafeInteger(end) && end > before && end - before <= LONGEST_LINE;
    before = end;
  }
  if (!fine || before !== bytes)
    throw new UserError(`${file}: damaged, its ${bytes} bytes are not shared out among ${passages} passages`, { hint });
}

/** Whether no entry from `from` on is below the one before it. */
function ascends(values: Uint32Array, from: number): boolean {
  for (let i = from; i < values.length; i++) if (values[i]! < values[i - 1]!) return false;
  return true;
}

/** Whether entries start ... end−1 ascend strictly, all below `limit`. */
function ascendsWithin(values: Uint32Array, start: number, end: number, limit: number): boolean {
  for (let i = start + 1; i < end; i++) if (values[i]! <= values[i - 1]!) return false;
  return start === end || values[end - 1]! < limit;
}

/** Whether the slots that are not empty hold 1 ... terms, each once: then there are empty ones too, which end every look-up. */
function namesEach(slots: Uint32Array, terms: number): boolean {
  const seen = new Uint8Array(terms + 1);
  let named = 0;
  for (const id of slots) {
    if (id === 0) continue;
    if (id > terms || seen[id] === 1) return false;
    seen[id] = 1;
    named += 1;
  }
  return named === terms;
}

/** Whether no frequency is 0, and those of 255 are the ones that are listed, in order. */
function fits(frequencies: Uint8Array, listed: Uint32Array): boolean {
  let next = 0;
  for (let i = 0; i < frequencies.length; i++) {
    const frequency = frequencies[i]!;
    if (frequency === 0 || (frequency === 255 && listed[next++] !== i)) return false;
  }
  return next === listed.length;
}
