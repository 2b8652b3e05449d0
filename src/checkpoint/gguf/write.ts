/** Writes a GGUF file, version 3, little-endian; see header.ts for the format. */
import { UserError } from '../../base/errors.ts';
import { writeFileAtomic } from '../../base/files.ts';
import { float32ToBfloat16, float32ToFloat16 } from '../../base/half-floats.ts';
import { sizeOf, type Tensor } from '../safetensors.ts';
import { VALUE_TYPES } from './metadata.ts';
import { toQ4_0, toQ4_1, toQ8_0 } from './quantize.ts';
import { STORAGE } from './storage-types.ts';

export type WrittenType = 'F32' | 'F16' | 'BF16' | 'Q8_0' | 'Q4_0' | 'Q4_1';

/** A value and its type in the file. */
export type TypedValue =
  | { readonly type: 'STRING'; readonly value: string }
  | { readonly type: 'BOOL'; readonly value: boolean }
  | { readonly type: 'UINT32' | 'FLOAT32'; readonly value: number }
  | { readonly type: 'STRINGS'; readonly value: readonly string[] }
  | { readonly type: 'INT32S'; readonly value: readonly number[] };

export interface WrittenTensor extends Tensor {
  readonly name: string;
  readonly type: WrittenType;
}

const ALIGNMENT = 32;
/** Values that are converted at a time. */
const PIECE = 2 ** 20;

/** Writes the whole file or nothing. @throws UserError for a value that float16 cannot hold, or that is no number */
export async function writeGgufFile(
  file: string,
  metadata: ReadonlyMap<string, TypedValue>,
  tensors: readonly WrittenTensor[],
): Promise<void> {
  await writeFileAtomic(file, parts(metadata, tensors));
}

function* parts(metadata: ReadonlyMap<string, TypedValue>, tensors: readonly WrittenTensor[]): Generator<Uint8Array> {
  const header = headerBytes(metadata, tensors);
  yield header;
  yield new Uint8Array(padding(header.length));
  for (const tensor of tensors) {
    yield* tensorParts(tensor);
    yield new Uint8Array(padding(bytesOf(tensor)));
  }
}

function headerBytes(metadata: ReadonlyMap<string, TypedValue>, tensors: readonly WrittenTensor[]): Uint8Array {
  const chunks: Uint8Array[] = [Buffer.from('GGUF')];
  const uint32 = (value: number) => chunks.push(numberBytes(4, (view) => view.setUint32(0, value, true)));
  const uint64 = (value: number) => chunks.push(numberBytes(8, (view) => view.setBigUint64(0, BigInt(value), true)));
  const text = (value: string) => {
    const bytes = Buffer.from(value, 'utf8');
    uint64(bytes.length);
    chunks.push(bytes);
  };
  const type = (name: (typeof VALUE_TYPES)[number]) => uint32(VALUE_TYPES.indexOf(name));
  uint32(3);
  uint64(tensors.length);
  uint64(metadata.size);
  for (const [key, typed] of metadata) {
    text(key);
    switch (typed.type) {
      case 'STRINGS':
        type('ARRAY');
        type('STRING');
        uint64(typed.value.length);
        for (const each of typed.value) text(each);
        break;
      case 'INT32S':
        type('ARRAY');
        type('INT32');
        uint64(typed.value.length);
        chunks.push(Buffer.from(Int32Array.from(typed.value).buffer));
        break;
      case 'STRING':
        type('STRING');
        text(typed.value);
        break;
      case 'BOOL':
        type('BOOL');
        chunks.push(Uint8Array.of(typed.value ? 1 : 0));
        break;
      case 'UINT32':
        type('UINT32');
        uint32(typed.value);
        break;
      case 'FLOAT32':
        type('FLOAT32');
        chunks.push(numberBytes(4, (view) => view.setFloat32(0, typed.value, true)));
    }
  }
  let offset = 0;
  for (const tensor of tensors) {
    text(tensor.name);
    uint32(tensor.shape.length);
    for (const length of [...tensor.shape].reverse()) uint64(length);
    uint32(STORAGE[tensor.type].id);
    uint64(offset);
    offset += bytesOf(tensor) + padding(bytesOf(tensor));
  }
  return Buffer.concat(chunks);
}

function numberBytes(length: number, set: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(length);
  set(new DataView(bytes.buffer));
  return bytes;
}

function bytesOf({ type, shape }: WrittenTensor): number {
  const { elements, bytes } = STORAGE[type];
  return (sizeOf(shape) / elements) * bytes;
}

function padding(length: number): number {
  return (ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT;
}

function* tensorParts({ name, type, data }: WrittenTensor): Generator<Uint8Array> {
  for (let done = 0; done < data.length; done += PIECE) {
    const values = data.subarray(done, done + PIECE);
    checkNumbers(name, type, values);
    yield encode(type, values);
  }
}

function checkNumbers(name: string, type: WrittenType, values: Float32Array): void {
  // F32 and BF16 hold whatever a float32 may be.
  if (type === 'F32' || type === 'BF16') return;
  const bad = values.find((value) => !Number.isFinite(value) || Math.abs(value) >= 65_520);
  if (bad !== undefined)
    throw new UserError(`tensor "${name}" holds ${bad}, which ${type.toLowerCase()} cannot (up to 65504)`, {
      hint: 'Use --type bf16 or f32.',
    });
}

function encode(type: WrittenType, values: Float32Array): Uint8Array {
  if (type === 'F32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  if (type === 'F16' || type === 'BF16') {
    const halves = new Uint16Array(values.length);
    (type === 'F16' ? float32ToFloat16 : float32ToBfloat16)(values, halves);
    return new Uint8Array(halves.buffer);
  }
  const { elements, bytes: size } = STORAGE[type];
  const bytes = new Uint8Array((values.length / elements) * size);
  const quantize = { Q8_0: toQ8_0, Q4_0: toQ4_0, Q4_1: toQ4_1 }[type];
  for (let from = 0, at = 0; from < values.length; from += elements, at += size) quantize(values, from, bytes, at);
  return bytes;
}
