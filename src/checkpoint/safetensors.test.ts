import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../base/errors.ts';
import { readSafetensors, safetensorsBytes, safetensorsParts, type Tensor } from './safetensors.ts';
import { referenceModels } from './shared.testing.ts';

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'search-e1-safetensors-'));
  file = path.join(folder, 'x.safetensors');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A file made by hand: header as text, then the data's bytes. */
function fileBytes(header: string, data: Uint8Array, headerLength = Buffer.byteLength(header)): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(headerLength));
  return Buffer.concat([length, Buffer.from(header), data]);
}

async function read(bytes: Uint8Array) {
  await writeFile(file, bytes);
  return readSafetensors(file);
}

const shortBytes = (...values: number[]) => new Uint8Array(Uint16Array.from(values).buffer);
const one = (dtype: string, shape: number[], bytes: number) =>
  JSON.stringify({ x: { dtype, shape, data_offsets: [0, bytes] } });

describe('reading', () => {
  it('reads a file laid out by hand, in the order of its bytes', async () => {
    const header = `{"b":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]},
      "__metadata__":{"format":"pt"}, "a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},
      "empty":{"dtype":"F32","shape":[0,3],"data_offsets":[12,12]}}   `;
    const data = Buffer.alloc(12);
    [1.5, -2, 0.1].forEach((value, i) => {
      data.writeFloatLE(value, 4 * i);
    });
    const tensors = await read(fileBytes(header, data));
    expect([...tensors]).toEqual([
      ['a', { dtype: 'F32', shape: [], data: Float32Array.of(1.5) }],
      ['b', { dtype: 'F32', shape: [2, 1], data: Float32Array.of(-2, 0.1) }],
      ['empty', { dtype: 'F32', shape: [0, 3], data: new Float32Array() }],
    ]);
  });

  it('widens bfloat16', async () => {
    const known: [number, number][] = [
      [0x3f80, 1],
      [0xc000, -2],
      [0x3fc0, 1.5],
      [0x4049, 3.140625],
      [0x7f7f, 3.3895313892515355e38],
      [0x0080, 2 ** -126],
      [0x0001, 2 ** -133],
      [0x8000, -0],
      [0x7f80, Number.POSITIVE_INFINITY],
      [0xff80, Number.NEGATIVE_INFINITY],
      [0x7fc0, Number.NaN],
    ];
    const data = shortBytes(...known.map(([bits]) => bits));
    const tensor = (await read(fileBytes(one('BF16', [known.length], data.length), data))).get('x')!;
    expect(tensor.dtype).toBe('BF16');
    expect([...tensor.data]).toEqual(known.map(([, value]) => value));
  });

  it('widens float16', async () => {
    const known: [number, number][] = [
      [0x3c00, 1],
      [0xc000, -2],
      [0x3555, 0.333251953125],
      [0x7bff, 65504],
      [0x0400, 2 ** -14],
      [0x03ff, 6.097555160522461e-5],
      [0x0001, 2 ** -24],
      [0x8000, -0],
      [0x7c00, Number.POSITIVE_INFINITY],
      [0xfc00, Number.NEGATIVE_INFINITY],
      [0x7e00, Number.NaN],
    ];
    const data = shortBytes(...known.map(([bits]) => bits));
    const tensor = (await read(fileBytes(one('F16', [known.length], data.length), data))).get('x')!;
    expect(tensor.dtype).toBe('F16');
    expect([...tensor.data]).toEqual(known.map(([, value]) => value));
  });
});

describe('damaged files', () => {
  const four = new Uint8Array(4);
  const entry = (begin: number, end: number, shape = [1]) => ({ dtype: 'F32', shape, data_offsets: [begin, end] });
  const pair = (a: unknown, b: unknown) => JSON.stringify({ a, b });

  it.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(), /0 bytes/],
    ['a cut length', new Uint8Array(7), /7 bytes/],
    ['a header longer than the file', fileBytes('{}', four, 7), /header of 7 bytes in a file of 14/],
    ['an absurd header', fileBytes('{}', four, 2 ** 40), /at most 100000000/],
    ['a header that is not JSON', fileBytes('{"x":', four), /not JSON/],
    ['a header that is not UTF-8', Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0x22, 0xff]), /not JSON/],
    ['a header that is a list', fileBytes('[]', four), /not a JSON object/],
    ['an entry without a shape', fileBytes('{"x":{"dtype":"F32","data_offsets":[0,4]}}', four), /tensor "x": shape/],
    ['a negative dimension', fileBytes(one('F32', [-1], 4), four), /tensor "x": shape\.0/],
    ['integers', fileBytes(one('I64', [1], 8), new Uint8Array(8)), /tensor "x": values of type I64/],
    [
      'a shape that does not fit',
      fileBytes(one('F32', [2], 4), four),
      /tensor "x": shape \[2\] of F32 takes 8 .*hold 4/,
    ],
    ['reversed offsets', fileBytes(pair(entry(4, 0), entry(0, 4)), four), /tensor "a": .*hold -4/],
    ['an overlap', fileBytes(pair(entry(0, 8, [2]), entry(4, 8)), new Uint8Array(8)), /tensor "b" begins .*overlap/],
    ['a gap', fileBytes(pair(entry(0, 4), entry(8, 12)), new Uint8Array(12)), /tensor "b" begins at byte 8.*"a".*gap/],
    ['a gap at the start', fileBytes(JSON.stringify({ a: entry(4, 8) }), new Uint8Array(8)), /the header ends.*gap/],
    ['cut data', fileBytes(one('F32', [2], 8), four), /tensor "x" ends at byte 8.*holds 4/],
    ['bytes left over', fileBytes(one('F32', [1], 4), new Uint8Array(6)), /2 bytes follow the end of tensor "x"/],
    [
      'a name that stands twice',
      fileBytes(`{"x":${JSON.stringify(entry(0, 4))},"x":${JSON.stringify(entry(4, 8))}}`, new Uint8Array(8)),
      /gap/,
    ],
  ])('refuses %s', async (_, bytes, message) => {
    const reading = read(bytes);
    await expect(reading).rejects.toThrow(UserError);
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toThrow(file);
  });

  it('says that a file is missing or a folder', async () => {
    await expect(readSafetensors(path.join(folder, 'none'))).rejects.toThrow(/none: no such file/);
    await expect(readSafetensors(folder)).rejects.toThrow(UserError);
  });

  it('never gives tensors for a cut file, wherever it is cut', async () => {
    const whole = Buffer.concat(safetensorsBytes(new Map([['x', { shape: [2], data: Float32Array.of(1, 2) }]])));
    for (let length = 0; length < whole.length; length++)
      await expect(read(whole.subarray(0, length))).rejects.toThrow(UserError);
    expect((await read(whole)).get('x')?.data).toEqual(Float32Array.of(1, 2));
  });
});

describe('writing', () => {
  const anyTensor: fc.Arbitrary<Tensor> = fc
    .array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 })
    .chain((shape) => {
      const size = shape.reduce((product, length) => product * length, 1);
      return fc.tuple(fc.constant(shape), fc.float32Array({ minLength: size, maxLength: size }));
    })
    .map(([shape, data]) => ({ shape, data }));

  it('is read back bit for bit, names and metadata of any text', async () => {
    const tensorMaps = fc
      .uniqueArray(
        fc.tuple(
          fc.string({ unit: 'grapheme', maxLength: 12 }).filter((name) => name !== '__metadata__'),
          anyTensor,
        ),
        { selector: ([name]) => name, maxLength: 6 },
      )
      .map((entries) => new Map(entries));
    await fc.assert(
      fc.asyncProperty(
        tensorMaps,
        fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }),
        async (tensors, metadata) => {
          const found = await read(Buffer.concat(safetensorsBytes(tensors, metadata)));
          expect(found.size).toBe(tensors.size);
          for (const [name, { shape, data }] of tensors) {
            expect(found.get(name)?.shape).toEqual(shape);
            const bits = (values: Float32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
            expect(bits(found.get(name)!.data)).toEqual(bits(data));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('writes views into a larger array, and data that begin at a multiple of eight bytes', () => {
    const flat = Float32Array.of(9, 1, 2, 9);
    const bytes = Buffer.concat(safetensorsBytes(new Map([['a.b', { shape: [2], data: flat.subarray(1, 3) }]])));
    const headerLength = Number(bytes.readBigUInt64LE());
    expect(headerLength % 8).toBe(0);
    expect(JSON.parse(bytes.toString('utf8', 8, 8 + headerLength))).toEqual({
      __metadata__: { format: 'pt' },
      'a.b': { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
    });
    expect([bytes.readFloatLE(8 + headerLength), bytes.readFloatLE(12 + headerLength)]).toEqual([1, 2]);
    expect(bytes.length).toBe(16 + headerLength);
  });

  it('refuses data that do not fill the shape, and the reserved name', () => {
    const data = new Float32Array(3);
    expect(() => safetensorsBytes(new Map([['x', { shape: [2, 2], data }]]))).toThrow(
      /"x": shape \[2, 2\] needs 4.* 3/,
    );
    expect(() => safetensorsBytes(new Map([['__metadata__', { shape: [3], data }]]))).toThrow(RangeError);
  });
});

describe.each(referenceModels)('a file written by the reference library: %s', (_, folder) => {
  it('is read, and survives writing and reading', async () => {
    const published = await readSafetensors(path.join(folder, 'model.safetensors'));
    expect(published.size).toBeGreaterThan(20);
    const [hidden, intermediate] = published.get('model.layers.1.mlp.down_proj.weight')!.shape;
    expect(published.get('model.layers.1.mlp.up_proj.weight')!.shape).toEqual([intermediate, hidden]);
    expect(await read(Buffer.concat(safetensorsBytes(published)))).toEqual(published);
  });
});

describe('narrower types', () => {
  it('are written piece by piece and read back, across the border of a piece', async () => {
    const data = Float32Array.from({ length: 2 ** 20 + 3 }, (_, i) => (i % 512) - 256);
    const tensors = new Map<string, Tensor>([
      ['long', { shape: [data.length], data }],
      ['short', { shape: [2], data: Float32Array.of(1, 0.3) }],
    ]);
    for (const [dtype, third] of [
      ['F16', 0.300048828125],
      ['BF16', 0.30078125],
    ] as const) {
      const parts: Buffer[] = [];
      for (const part of safetensorsParts(tensors, dtype)) parts.push(Buffer.from(part));
      const found = await read(Buffer.concat(parts));
      expect(found.get('long')!.dtype).toBe(dtype);
      expect(Buffer.from(found.get('long')!.data.buffer).equals(Buffer.from(data.buffer))).toBe(true);
      expect(found.get('short')!.data).toEqual(Float32Array.of(1, third));
    }
  });

  it('refuse what they cannot hold', () => {
    const tensors = new Map([['w', { shape: [2], data: Float32Array.of(1, -70_000) }]]);
    expect(() => [...safetensorsParts(tensors, 'F16')]).toThrow(/tensor "w" holds -70000, more than float16 can/);
  });
});
