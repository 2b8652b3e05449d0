import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../../base/errors.ts';
import { readModel } from '../model-directory.ts';
import { loadTokenizer } from '../tokenizer.ts';
import { GgufFile } from './file.ts';
import { VALUE_TYPES } from './metadata.ts';
import { STORAGE, type StorageType } from './storage-types.ts';

/** A pair as it stands in a file; `raw` as the bytes of its value. */
interface Pair {
  readonly key: string;
  readonly type: number;
  readonly value: Builder;
}
interface Tensor {
  readonly name: string;
  readonly dimensions: readonly number[];
  readonly type: number;
  readonly offset: number;
}
interface Layout {
  readonly magic?: string;
  readonly version?: number;
  readonly bigEndian?: boolean;
  readonly counts?: readonly [tensors: bigint | number, pairs: bigint | number];
  readonly pairs?: readonly Pair[];
  readonly tensors?: readonly Tensor[];
  readonly alignment?: number;
  readonly data?: Uint8Array;
}

/** Writes numbers one after another: independent of what the product writes with. */
class Builder {
  readonly #parts: Buffer[] = [];
  readonly #big: boolean;
  readonly #narrow: boolean;
  constructor(bigEndian = false, version = 3) {
    this.#big = bigEndian;
    this.#narrow = version === 1;
  }
  raw(bytes: Uint8Array): this {
    this.#parts.push(Buffer.from(bytes));
    return this;
  }
  u32(value: number): this {
    const bytes = Buffer.alloc(4);
    this.#big ? bytes.writeUInt32BE(value) : bytes.writeUInt32LE(value);
    return this.raw(bytes);
  }
  u64(value: bigint | number): this {
    const bytes = Buffer.alloc(8);
    this.#big ? bytes.writeBigUInt64BE(BigInt(value)) : bytes.writeBigUInt64LE(BigInt(value));
    return this.raw(bytes);
  }
  length(value: bigint | number): this {
    return this.#narrow ? this.u32(Number(value)) : this.u64(value);
  }
  text(value: string | Uint8Array): this {
    const bytes = Buffer.from(value);
    return this.length(bytes.length).raw(bytes);
  }
  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

function build(layout: Layout): Buffer {
  const { magic = 'GGUF', version = 3, bigEndian = false, pairs = [], tensors = [], alignment = 32, data } = layout;
  const header = new Builder(bigEndian, version).raw(Buffer.from(magic)).u32(version);
  const [tensorCount, pairCount] = layout.counts ?? [tensors.length, pairs.length];
  header.length(tensorCount).length(pairCount);
  for (const { key, type, value } of pairs) header.text(key).u32(type).raw(value.bytes());
  for (const { name, dimensions, type, offset } of tensors) {
    header.text(name).u32(dimensions.length);
    for (const length of dimensions) header.length(length);
    header.u32(type).u64(offset);
  }
  const bytes = header.bytes();
  return Buffer.concat([
    bytes,
    Buffer.alloc((alignment - (bytes.length % alignment)) % alignment),
    data ?? Buffer.alloc(0),
  ]);
}

const typeNumber = (name: (typeof VALUE_TYPES)[number]) => VALUE_TYPES.indexOf(name);
const textPair = (key: string, value: string): Pair => ({
  key,
  type: typeNumber('STRING'),
  value: new Builder().text(value),
});
const numberPair = (key: string, value: number): Pair => ({
  key,
  type: typeNumber('UINT32'),
  value: new Builder().u32(value),
});
const one: Tensor = { name: 't', dimensions: [4], type: 0, offset: 0 };
const sixteen = new Uint8Array(16);

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'search-e1-gguf-file-'));
  file = path.join(folder, 'x.gguf');
});
afterAll(() => rm(folder, { recursive: true }));

async function openBytes(bytes: Uint8Array): Promise<GgufFile> {
  await writeFile(file, bytes);
  return GgufFile.open(file);
}

/** The values of tensor "t". */
async function valuesOf(layout: Layout): Promise<number[]> {
  const opened = await openBytes(build(layout));
  try {
    return [...(await opened.values('t'))];
  } finally {
    await opened.close();
  }
}

const floats = Buffer.from(Float32Array.of(1, -2, 3.5, 1e-7).buffer);

describe('a GGUF file', () => {
  it('of every version, and of either order of bytes, says the same', async () => {
    const big = Buffer.from(floats).swap32();
    for (const [version, bigEndian, data] of [
      [1, false, floats],
      [2, false, floats],
      [3, false, floats],
      [3, true, big],
    ] as const) {
      const order = () => new Builder(bigEndian, version);
      const pairs: Pair[] = [
        { key: 'n', type: typeNumber('UINT32'), value: order().u32(7) },
        { key: 'long', type: typeNumber('UINT64'), value: order().u64(2n ** 60n) },
        {
          key: 'words',
          type: typeNumber('ARRAY'),
          value: order().u32(typeNumber('STRING')).length(2).text('a').text('\uFEFFé'),
        },
        { key: 'yes', type: typeNumber('BOOL'), value: order().raw(Uint8Array.of(1)) },
      ];
      const opened = await openBytes(build({ version, bigEndian, pairs, tensors: [one], data }));
      expect([
        opened.metadata.count('n', 10),
        opened.metadata.texts('words', 2),
        opened.metadata.boolean('yes'),
      ]).toEqual([7, ['a', '\uFEFFé'], true]);
      expect(() => opened.metadata.number('long')).toThrow(
        /x\.gguf: long: expected a number, found 1152921504606846976/,
      );
      expect([...(await opened.values('t'))]).toEqual([...Float32Array.of(1, -2, 3.5, 1e-7)]);
      await opened.close();
    }
  });

  it('of a big-endian machine has the numbers inside its blocks the other way round', async () => {
    const own = JSON.parse(readFileSync(path.join(import.meta.dirname, '..', 'testing', 'gguf-blocks.json'), 'utf8'));
    for (const [name, { bytes_base64, values_base64 }] of Object.entries<Record<string, string>>(own)) {
      const { id, elements, bytes: size, wide } = STORAGE[name as StorageType];
      const data = Buffer.from(bytes_base64!, 'base64');
      for (let block = 0; block < data.length; block += size)
        for (const [offset, length] of wide) data.subarray(block + offset, block + offset + length).reverse();
      const tensor = { name: 't', dimensions: [(data.length / size) * elements], type: id, offset: 0 };
      const found = await valuesOf({ bigEndian: true, tensors: [tensor], data });
      expect(Buffer.from(Float32Array.from(found).buffer)).toEqual(Buffer.from(values_base64!, 'base64'));
    }
  });

  it('has its data where the alignment says, in any order and with room between', async () => {
    const data = Buffer.alloc(64 + 16);
    floats.copy(data, 64);
    for (const alignment of [8, 64, 4096]) {
      const tensors = [
        { ...one, offset: alignment === 4096 ? 0 : 64 },
        { ...one, name: 'u', offset: alignment === 4096 ? 4096 : 0 },
      ];
      const far = alignment === 4096 ? Buffer.concat([floats, Buffer.alloc(4096)]) : data;
      const layout = { pairs: [numberPair('general.alignment', alignment)], alignment, tensors, data: far };
      expect(await valuesOf(layout)).toEqual([...Float32Array.of(1, -2, 3.5, 1e-7)]);
    }
  });

  const huge = 2n ** 63n;
  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', Buffer.alloc(0), /not a GGUF file: 0 bytes/],
    ['another magic', build({ magic: 'GGML' }), /begins with "GGML", expected "GGUF"/],
    ['another magic of odd bytes', Buffer.from([0, 255, 10, 27, 1, 2, 3, 4]), /begins with "\\u0000ÿ\\n\\u001b"/],
    ['version 0', build({ version: 0 }), /version 0 is unknown/],
    ['version 4', build({ version: 4 }), /version 4 is unknown/],
    ['a thousand million tensors', build({ counts: [1e9, 0] }), /1000000000 tensors, more than 100000/],
    ['2^63 pairs', build({ counts: [0, huge] }), /9223372036854776000 pairs, more than 100000/],
    ['more pairs than there are', build({ counts: [0, 3] }), /the key of pair 0|a number reaches to byte/],
    [
      'a key of 2^63 bytes',
      new Builder().raw(Buffer.from('GGUF')).u32(3).u64(0).u64(1).u64(huge).u32(4).bytes(),
      /the key of pair 0 has 9223372036854776000 bytes/,
    ],
    [
      'a text of 2^40 bytes',
      build({ pairs: [{ key: 'k', type: 8, value: new Builder().u64(2n ** 40n) }] }),
      /k has 1099511627776 bytes/,
    ],
    [
      'a list of 2^60 numbers',
      build({ pairs: [{ key: 'k', type: 9, value: new Builder().u32(4).u64(2n ** 60n) }] }),
      /k is a list of 1152921504606847000, more than/,
    ],
    [
      'a list of 2^60 texts',
      build({ pairs: [{ key: 'k', type: 9, value: new Builder().u32(8).u64(2n ** 60n) }] }),
      /k is a list of 1152921504606847000/,
    ],
    [
      'a list of lists',
      build({ pairs: [{ key: 'k', type: 9, value: new Builder().u32(9).u64(1) }] }),
      /k is a list of lists/,
    ],
    [
      'a list of unknown things',
      build({ pairs: [{ key: 'k', type: 9, value: new Builder().u32(77).u64(1) }] }),
      /k is a list of the unknown type 77/,
    ],
    [
      'a value of an unknown type',
      build({ pairs: [{ key: 'k', type: 13, value: new Builder() }] }),
      /k is of the unknown type 13/,
    ],
    [
      'a key that is not UTF-8',
      new Builder().raw(Buffer.from('GGUF')).u32(3).u64(0).u64(1).text(Uint8Array.of(0xff, 0xfe)).u32(4).u32(1).bytes(),
      /the key of pair 0 is not UTF-8/,
    ],
    ['a key twice', build({ pairs: [numberPair('k', 1), numberPair('k', 2)] }), /the key "k" stands there twice/],
    ['a tensor twice', build({ tensors: [one, one], data: sixteen }), /the tensor "t" stands there twice/],
    [
      'an alignment of 0',
      build({ pairs: [numberPair('general.alignment', 0)] }),
      /general\.alignment is 0, expected a power of two/,
    ],
    ['an alignment of 48', build({ pairs: [numberPair('general.alignment', 48)] }), /general\.alignment is 48/],
    [
      'an alignment in words',
      build({ pairs: [textPair('general.alignment', '32')] }),
      /general\.alignment is 32, expected/,
    ],
    [
      'an alignment of 2^31',
      build({ pairs: [numberPair('general.alignment', 2 ** 31)] }),
      /general\.alignment is 2147483648/,
    ],
    ['no dimensions', build({ tensors: [{ ...one, dimensions: [] }] }), /tensor "t" has 0 dimensions/],
    [
      'many dimensions',
      build({ tensors: [{ ...one, dimensions: new Array(500).fill(1) }] }),
      /tensor "t" has 500 dimensions/,
    ],
    ['an empty dimension', build({ tensors: [{ ...one, dimensions: [4, 0] }] }), /tensor "t" has dimensions \[4, 0\]/],
    [
      'dimensions whose product is beyond all measure',
      build({ tensors: [{ ...one, dimensions: [2 ** 50, 2 ** 50] }] }),
      /has dimensions/,
    ],
    [
      'a type that is not read',
      build({ tensors: [{ ...one, type: 16 }], data: sixteen }),
      /tensor "t": values of type IQ2_XXS are not read/,
    ],
    ['an unknown type', build({ tensors: [{ ...one, type: 999 }], data: sixteen }), /values of type number 999/],
    [
      'rows that are no whole blocks',
      build({ tensors: [{ ...one, type: 8 }], data: sixteen }),
      /rows of 4 values, which are no whole blocks of 32 \(Q8_0\)/,
    ],
    [
      'an offset off the alignment',
      build({ tensors: [{ ...one, offset: 4 }], data: sixteen }),
      /begins at 4, which is no multiple of the alignment \(32\)/,
    ],
    [
      'tensors that overlap',
      build({
        tensors: [
          { ...one, dimensions: [16] },
          { ...one, name: 'u', offset: 32 },
        ],
        data: new Uint8Array(64),
      }),
      /"t" and "u" overlap/,
    ],
    ['two tensors in one place', build({ tensors: [one, { ...one, name: 'u' }], data: sixteen }), /overlap/],
    ['data that are cut off', build({ tensors: [one], data: new Uint8Array(15) }), /cut off: tensor "t" ends at byte/],
    ['an offset far out', build({ tensors: [{ ...one, offset: 2 ** 52 }], data: sixteen }), /cut off: tensor "t"/],
    [
      'one of several files',
      build({ pairs: [{ key: 'split.count', type: 2, value: new Builder().raw(Uint8Array.of(3, 0)) }] }),
      /is one of 3 files of a model that is split/,
    ],
  ])('is refused in a sentence: %s', async (_, bytes, message) => {
    const opening = openBytes(bytes);
    await expect(opening).rejects.toThrow(UserError);
    await expect(opening).rejects.toThrow(message);
    await expect(opening).rejects.toThrow(file);
  });

  it('that is a bomb of short texts takes neither time nor memory', async () => {
    // A list of three million empty texts, and one of two million pairs' worth of nothing.
    const texts = build({
      pairs: [{ key: 'k', type: 9, value: new Builder().u32(8).u64(3_000_000).raw(new Uint8Array(24_000_000)) }],
    });
    const before = process.memoryUsage().rss;
    const opened = await openBytes(texts);
    expect(() => opened.metadata.texts('k', 2 ** 20)).toThrow(
      /k: expected a list of at most 1048576, found a list of 3000000/,
    );
    await opened.close();
    expect(process.memoryUsage().rss - before).toBeLessThan(300e6);
  });

  it('gives no model wherever it is cut', async () => {
    const whole = readFileSync(path.join(import.meta.dirname, '..', 'testing', 'qwen2.gguf'));
    for (let length = 0; length < whole.length; length += length < 6000 ? 97 : 1009) {
      await writeFile(file, whole.subarray(0, length));
      await expect(readModel(file)).rejects.toThrow(UserError);
    }
  });

  it('that was altered anywhere gives a model, or a sentence', async () => {
    const whole = readFileSync(path.join(import.meta.dirname, '..', 'testing', 'qwen3.gguf'));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(7000),
        fc.integer({ min: 1, max: 255 }),
        fc.constantFrom(1, 4),
        async (at, flip, length) => {
          const bytes = Buffer.from(whole);
          for (let i = 0; i < length; i++) bytes[at + i]! ^= flip;
          await writeFile(file, bytes);
          for (const read of [readModel, loadTokenizer])
            await read(file).catch((error: unknown) => expect(error).toBeInstanceOf(UserError));
        },
      ),
      { numRuns: 150 },
    );
  });
});
