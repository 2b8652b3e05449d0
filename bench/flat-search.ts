/** Queries a second of the flat index: random unit vectors, by type, batch, and whether they are kept in memory. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openFlatIndex } from '../src/retrieval/dense/flat-index.ts';
import { emptyLayout, VectorWriter, vectorTypes } from '../src/retrieval/dense/vector-file.ts';

const [COUNT, DIMENSION, K, SECONDS] = [69_550, 768, 10, 2.5];

function unitVectors(count: number): Float32Array<ArrayBuffer> {
  const rows = Float32Array.from({ length: count * DIMENSION }, () => Math.random() - 0.5);
  for (let start = 0; start < rows.length; start += DIMENSION) {
    const row = rows.subarray(start, start + DIMENSION);
    const norm = Math.hypot(...row);
    for (let j = 0; j < DIMENSION; j++) row[j]! /= norm;
  }
  return rows;
}

const folder = await mkdtemp(path.join(tmpdir(), 'flat-search-'));
const figures: object[] = [];
for (const type of vectorTypes) {
  const file = path.join(folder, type);
  const writer = await VectorWriter.open(file, emptyLayout(DIMENSION, type));
  while (writer.count < COUNT) await writer.append(unitVectors(Math.min(1000, COUNT - writer.count)));
  const layout = await writer.finish();
  for (const memory of [1 << 30, 0]) {
    const index = await openFlatIndex(file, layout, { memory });
    for (const batch of [1, 32, 256]) {
      const queries = unitVectors(batch);
      await index.search(queries, K);
      const start = performance.now();
      let searches = 0;
      while (performance.now() - start < 1000 * SECONDS) {
        await index.search(queries, K);
        searches += 1;
      }
      const perSecond = Math.round((searches * batch * 1000) / (performance.now() - start));
      figures.push({ type, vectors: memory > 0 ? 'kept' : 'read', batch, perSecond });
    }
    await index.close();
  }
}
await rm(folder, { recursive: true });
console.table(figures);
