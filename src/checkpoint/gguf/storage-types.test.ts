import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { lacks, shared } from '../shared.testing.ts';
import { dequantize, nameOfType, STORAGE, type StorageType, storageTypeOf } from './storage-types.ts';

interface Case {
  readonly type: number;
  readonly block_elements: number;
  readonly block_bytes: number;
  readonly bytes_base64: string;
  readonly values_base64?: string;
  readonly values?: readonly number[];
}

function check(name: string, found: Case): void {
  const type = name as StorageType;
  const { id, elements, bytes } = STORAGE[type];
  expect([id, elements, bytes]).toEqual([found.type, found.block_elements, found.block_bytes]);
  const stored = Uint8Array.from(Buffer.from(found.bytes_base64, 'base64'));
  const truth = found.values
    ? Buffer.from(Float32Array.from(found.values).buffer)
    : Buffer.from(found.values_base64!, 'base64');
  const values = new Float32Array(truth.length / 4);
  expect(stored.length / bytes).toBe(values.length / elements);
  dequantize(type, stored, values);
  expect(Buffer.from(values.buffer)).toEqual(truth);
}

/** Random blocks, and what the gguf package reads from them; see testing/make-blocks.py. */
const own = JSON.parse(readFileSync(path.join(import.meta.dirname, '..', 'testing', 'gguf-blocks.json'), 'utf8'));

describe('every storage type is read as the gguf package reads it, to the bit', () => {
  it.each(Object.entries<Case>(own))('%s', check);

  it('and there is a case for each', () => {
    expect(Object.keys(own).sort()).toEqual(Object.keys(STORAGE).sort());
  });
});

describe.skipIf(lacks('cases', 'gguf'))('blocks of the shared cases', () => {
  const cases: Record<string, Case> = lacks('cases', 'gguf')
    ? {}
    : JSON.parse(readFileSync(shared('cases', 'gguf', 'blocks.json'), 'utf8'));
  it.each(Object.entries(cases))('%s', check);
});

it('types are known by number and name', () => {
  for (const [name, { id }] of Object.entries(STORAGE))
    expect([storageTypeOf(id), nameOfType(id)]).toEqual([name, name]);
  expect([storageTypeOf(16), nameOfType(16)]).toEqual([undefined, 'IQ2_XXS']);
  expect([storageTypeOf(4096), nameOfType(4096)]).toEqual([undefined, 'number 4096']);
});
