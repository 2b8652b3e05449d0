/** The key-value pairs of a GGUF header. What they are is checked where they are asked for, with the key in the error. */
import { UserError } from '../../base/errors.ts';
import { shown } from '../../base/text.ts';

/** The format's types, in the order of their numbers. */
export const VALUE_TYPES = [
  ...['UINT8', 'INT8', 'UINT16', 'INT16', 'UINT32', 'INT32', 'FLOAT32', 'BOOL', 'STRING', 'ARRAY'],
  ...['UINT64', 'INT64', 'FLOAT64'],
] as const;

/** Numbers beyond 2^53 stay bigints. */
export type Scalar = number | bigint | boolean | string;

/** Read when it is first asked for: the vocabulary of a large model is a hundred thousand texts. */
export interface LazyArray {
  readonly length: number;
  /** @throws UserError for texts that are not UTF-8 */
  values(): Scalar[];
}

export type Value = Scalar | LazyArray;

export class Metadata {
  readonly #file: string;
  readonly #values: ReadonlyMap<string, Value>;

  /** @param file named in errors */
  constructor(file: string, values: ReadonlyMap<string, Value>) {
    this.#file = file;
    this.#values = values;
  }

  get keys(): readonly string[] {
    return [...this.#values.keys()];
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  /** A value for an error's text. */
  describe(key: string): string {
    const value = this.#values.get(key);
    return typeof value === 'object' ? `a list of ${value.length}` : shown(value);
  }

  /** @throws UserError when it is there and no text */
  text(key: string): string | undefined {
    const value = this.#values.get(key);
    if (value === undefined || typeof value === 'string') return value;
    throw this.#wrong(key, 'a text');
  }

  boolean(key: string): boolean | undefined {
    const value = this.#values.get(key);
    if (value === undefined || typeof value === 'boolean') return value;
    throw this.#wrong(key, 'true or false');
  }

  /** A finite number. */
  number(key: string): number | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw this.#wrong(key, 'a number');
  }

  /** A whole number from `least` to `most`; a list of equal ones, as some converters write one for each layer, stands for that one. */
  count(key: string, most: number, least = 1): number | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    const numbers = typeof value === 'object' ? [...new Set(value.values())] : [value];
    const [number] = numbers;
    if (
      numbers.length === 1 &&
      typeof number === 'number' &&
      Number.isInteger(number) &&
      number >= least &&
      number <= most
    )
      return number;
    throw this.#wrong(key, `a whole number from ${least} to ${most}, the same for all layers`);
  }

  texts(key: string, most: number): string[] | undefined {
    const values = this.#array(key, most);
    if (values?.every((value) => typeof value === 'string') ?? true) return values as string[] | undefined;
    throw this.#wrong(key, 'a list of texts');
  }

  numbers(key: string, most: number): number[] | undefined {
    const values = this.#array(key, most);
    if (values?.every((value) => typeof value === 'number') ?? true) return values as number[] | undefined;
    throw this.#wrong(key, 'a list of numbers');
  }

  #array(key: string, most: number): Scalar[] | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    if (typeof value === 'object' && value.length <= most) return value.values();
    throw this.#wrong(key, `a list of at most ${most}`);
  }

  #wrong(key: string, expected: string): UserError {
    return new UserError(`${this.#file}: ${key}: expected ${expected}, found ${this.describe(key)}`);
  }
}
