/**
 * WebAssembly from TypeScript: expressions and statements as bytes, and the module around them. Only what
 * attention-kernel.ts needs; the binary format is that of webassembly.github.io/spec/core/binary.
 *
 * Types are i32 (addresses and counts, in bytes), f32, and v128: four floats side by side.
 */

/** Code that leaves one value, or none for a statement. */
export type Code = readonly number[];
export type ValueType = 'i32' | 'f32' | 'v128';

const TYPES = { i32: 0x7f, f32: 0x7d, v128: 0x7b } as const;

function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  const low = value & 0x7f;
  const rest = value >> 7;
  const done = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
  return done ? [low] : [low | 0x80, ...signed(rest)];
}

const floatBytes = (value: number) => [...new Uint8Array(Float32Array.of(value).buffer)];
const vector = (items: readonly Code[]) => [...unsigned(items.length), ...items.flat()];
const binary = (opcode: number) => (a: Code, b: Code) => [...a, ...b, opcode];
const simd = (opcode: number) => [0xfd, ...unsigned(opcode)];
const simdBinary = (opcode: number) => (a: Code, b: Code) => [...a, ...b, ...simd(opcode)];
const simdUnary = (opcode: number) => (a: Code) => [...a, ...simd(opcode)];
/** Alignment is a hint: 4 bytes. */
const memory = (offset: number) => [2, ...unsigned(offset)];

export const i32 = {
  of: (value: number): Code => [0x41, ...signed(value)],
  add: binary(0x6a),
  and: binary(0x71),
  shiftLeft: binary(0x74),
  shiftRight: binary(0x76),
  lessThan: binary(0x48),
  load: (address: Code, offset = 0): Code => [...address, 0x28, ...memory(offset)],
  /** a when the condition is not 0, else b. */
  select: (a: Code, b: Code, condition: Code): Code => [...a, ...b, ...condition, 0x1b],
};

export const f32 = {
  of: (value: number): Code => [0x43, ...floatBytes(value)],
  add: binary(0x92),
  divide: binary(0x95),
  max: binary(0x97),
  store: (address: Code, value: Code, offset = 0): Code => [...address, ...value, 0x38, ...memory(offset)],
};

export const v128 = {
  of: (value: number): Code => [...simd(0x0c), ...[0, 0, 0, 0].flatMap(() => floatBytes(value))],
  ofIntegers: (value: number): Code => {
    const bytes = [...new Uint8Array(Int32Array.of(value).buffer)];
    return [...simd(0x0c), ...[0, 0, 0, 0].flatMap(() => bytes)];
  },
  load: (address: Code, offset = 0): Code => [...address, ...simd(0x00), ...memory(offset)],
  /** One float in all four places. */
  loadSplat: (address: Code, offset = 0): Code => [...address, ...simd(0x09), ...memory(offset)],
  store: (address: Code, value: Code, offset = 0): Code => [...address, ...value, ...simd(0x0b), ...memory(offset)],
  splat: simdUnary(0x13),
  lane: (value: Code, lane: 0 | 1 | 2 | 3): Code => [...value, ...simd(0x1f), lane],
  add: simdBinary(0xe4),
  sub: simdBinary(0xe5),
  mul: simdBinary(0xe6),
  divide: simdBinary(0xe7),
  max: simdBinary(0xe9),
  and: simdBinary(0x4e),
  atLeast: simdBinary(0x46),
  nearest: simdUnary(0x6a),
  toIntegers: simdUnary(0xf8),
  addIntegers: simdBinary(0xae),
  shiftLeft: (value: Code, bits: number): Code => [...value, ...i32.of(bits), ...simd(0xab)],
  /** a ∘ b + c, rounded once where the processor can, else twice. */
  multiplyAdd: (a: Code, b: Code, c: Code): Code => [...a, ...b, ...c, ...simd(0x105)],
};

/** One function without a result: its parameters and variables, then its statements. */
export class FunctionBody {
  readonly #parameters: number;
  readonly #types: ValueType[];

  constructor(parameters: readonly ValueType[]) {
    this.#parameters = parameters.length;
    this.#types = [...parameters];
  }

  /** A new variable, 0 at first. */
  variable(type: ValueType): number {
    return this.#types.push(type) - 1;
  }

  /** Bytes of the function's type and of its code. */
  build(statements: readonly Code[]): { readonly type: Code; readonly code: Code } {
    const parameters = this.#types.slice(0, this.#parameters).map((type) => [TYPES[type]]);
    const variables = this.#types.slice(this.#parameters).map((type) => [1, TYPES[type]]);
    const code = [...vector(variables), ...statements.flat(), 0x0b];
    return { type: [0x60, ...vector(parameters), 0], code: [...unsigned(code.length), ...code] };
  }
}

export const get = (variable: number): Code => [0x20, ...unsigned(variable)];
export const set = (variable: number, value: Code): Code => [...value, 0x21, ...unsigned(variable)];

/** Runs the body when the condition is not 0. */
export function when(condition: Code, body: readonly Code[]): Code {
  return [...condition, 0x04, 0x40, ...body.flat(), 0x0b];
}

/** Runs the body for index = from, from + step, ... below `end`; at least once. */
export function loop(index: number, from: Code, end: Code, step: number, body: readonly Code[]): Code {
  const next = set(index, i32.add(get(index), i32.of(step)));
  const again = [...i32.lessThan(get(index), end), 0x0d, 0];
  return [...set(index, from), 0x03, 0x40, ...body.flat(), ...next, ...again, 0x0b];
}

/** Node's, whose types are those of browsers and not loaded here. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

export interface WasmMemory {
  /** Replaced by every `grow`. */
  readonly buffer: ArrayBuffer;
  /** Adds pages of 64 KiB. Throws RangeError when there is no memory for them. */
  grow(pages: number): number;
}

/** A compiled module: each call makes an instance with a memory of its own. */
export type Instantiate = () => { readonly run: (...args: number[]) => void; readonly memory: WasmMemory };

/** A module that exports one function, `run`, and its memory, which is empty at first. */
export function compile({ type, code }: { readonly type: Code; readonly code: Code }): Instantiate {
  const name = (text: string) => vector([...new TextEncoder().encode(text)].map((byte) => [byte]));
  const section = (id: number, items: readonly Code[]) => {
    const content = vector(items);
    return [id, ...unsigned(content.length), ...content];
  };
  const bytes = Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [type]),
    ...section(3, [[0]]),
    ...section(5, [[0, 0]]),
    ...section(7, [
      [...name('run'), 0, 0],
      [...name('memory'), 2, 0],
    ]),
    ...section(10, [code]),
  ]);
  const module = new WebAssembly.Module(bytes);
  return () => new WebAssembly.Instance(module).exports as ReturnType<Instantiate>;
}
