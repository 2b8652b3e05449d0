/** Reads the files of an index directory, each checked against its manifest. */
import path from 'node:path';
import { readArray, verifyFile, verifySize } from './array-files.ts';
import { blockStartsOf, type Impacts, type IndexArrays, type LengthForm } from './arrays.ts';
import { checkArrays, checkSizes, checkTable } from './check.ts';
import { computeImpacts } from './impacts.ts';
import { encodeLengths } from './lengths.ts';
import { FILES, type FileName, type Manifest, readManifest } from './manifest.ts';
import type { PassageTable } from './passage-store.ts';

/** Passages are read through on opening up to this size; of larger ones each line is checked when it is read. */
const CHECKED_PASSAGES_BYTES = 1 << 27;

/** k1, b and length form to open an index with; those that it was built with where not given. */
export interface Scoring {
  readonly k1?: number;
  readonly b?: number;
  readonly length?: LengthForm;
}

export interface LoadedIndex {
  readonly manifest: Manifest;
  readonly arrays: IndexArrays;
  readonly impacts: Impacts;
  readonly table: PassageTable;
}

/** Opens an index directory: reads and checks all arrays (check.ts). @throws UserError naming the file that is absent, truncated or otherwise damaged */
export async function loadIndex(folder: string, scoring: Scoring = {}): Promise<LoadedIndex> {
  const manifest = await readManifest(folder);
  checkSizes(manifest, folder);
  const file = (name: FileName) => path.join(folder, name);
  const sum = (name: FileName) => manifest.files[name];
  const u8 = (name: FileName) => readArray(Uint8Array, file(name), sum(name));
  const u32 = (name: FileName) => readArray(Uint32Array, file(name), sum(name));
  const f32 = (name: FileName) => readArray(Float32Array, file(name), sum(name));

  const passages = sum(FILES.passages);
  const check = passages.bytes <= CHECKED_PASSAGES_BYTES ? verifyFile : verifySize;
  check(file(FILES.passages), passages);

  const length = scoring.length ?? manifest.length;
  const postingStarts = u32(FILES.postingStarts);
  const lengths = u32(FILES.lengths);
  const arrays: IndexArrays = {
    passages: manifest.passages,
    totalTerms: manifest.totalTerms,
    ...encodeLengths(lengths, length),
    dictionary: { bytes: u8(FILES.termBytes), ends: u32(FILES.termEnds), slots: u32(FILES.termSlots) },
    postingStarts,
    blockStarts: blockStartsOf(postingStarts),
    positions: u32(FILES.positions),
    frequencies: u8(FILES.frequencies),
    largeFrequencies: { postings: u32(FILES.largePostings), values: u32(FILES.largeValues) },
  };
  const { k1 = manifest.k1, b = manifest.b } = scoring;
  const asBuilt = k1 === manifest.k1 && b === manifest.b && length === manifest.length;
  const blockMaxima = asBuilt ? f32(FILES.blockMaxima) : undefined;
  checkArrays(arrays, lengths, blockMaxima, folder);
  const impacts = blockMaxima
    ? { k1, b, blockMaxima, thirdBest: f32(FILES.thirdBest), tenthBest: f32(FILES.tenthBest) }
    : computeImpacts(arrays, k1, b);
  const table = {
    file: file(FILES.passages),
    ends: readArray(Float64Array, file(FILES.passageEnds), sum(FILES.passageEnds)),
    sums: u32(FILES.passageSums),
  };
  checkTable(table, manifest.passages, passages.bytes);
  return { manifest, arrays, impacts, table };
}

/** Reads every byte of every file. @throws UserError naming the first damaged one */
export async function verifyIndex(folder: string): Promise<void> {
  const manifest = await readManifest(folder);
  for (const [name, sum] of Object.entries(manifest.files)) verifyFile(path.join(folder, name), sum);
}
