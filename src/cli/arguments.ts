/** Readers of option values, for commander. */
import { InvalidArgumentError, Option } from 'commander';

/** A whole number of at least `least`, and at most `most`. */
export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !(value >= least && value <= most))
      throw new InvalidArgumentError(
        most === Number.MAX_SAFE_INTEGER
          ? `Expected a whole number of at least ${least}.`
          : `Expected a whole number from ${least} to ${most}.`,
      );
    return value;
  };
}

/** A number from `least` to `most`. */
export function decimal(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= least && value <= most))
      throw new InvalidArgumentError(
        most === Number.MAX_VALUE
          ? `Expected a number of at least ${least}.`
          : `Expected a number from ${least} to ${most}.`,
      );
    return value;
  };
}

/** Bytes from "500MB", "2GB" (powers of ten). */
export function byteSize(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?) ?(MB|GB)$/i.exec(text) ?? [];
  if (number === undefined || Number(number) === 0)
    throw new InvalidArgumentError('Expected a size such as 500MB or 2GB.');
  return Number(number) * (unit!.toUpperCase() === 'GB' ? 1e9 : 1e6);
}

/** An option that may be given several times; the values are collected. */
export function repeatable(flags: string, description: string): Option {
  return new Option(flags, description)
    .argParser((text: string, before: string[] | undefined) => [...(before ?? []), text])
    .default([], 'none');
}
