/** Readers of option values, for commander. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { UserError } from '../base/errors.ts';

/** A whole number of at least `least`. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`Expected a whole number of at least ${least}.`);
    return value;
  };
}

/** An option that may be given several times; the values are collected. */
export function repeatable(flags: string, description: string): Option {
  return new Option(flags, description)
    .argParser((text: string, before: string[] | undefined) => [...(before ?? []), text])
    .default([], 'none');
}

/** Refuses every option but the named ones beside `--resume`: a run goes on with the settings that it began with. */
export function refuseBesideResume(command: Command, allowed: readonly string[]): void {
  for (const option of command.options) {
    const name = option.attributeName();
    if (name === 'resume' || allowed.includes(name) || command.getOptionValueSource(name) !== 'cli') continue;
    throw new UserError(
      `${option.long} cannot be given with --resume: a run goes on with the settings that it began with`,
      {
        hint: 'Leave it out, or start a new run.',
      },
    );
  }
}
