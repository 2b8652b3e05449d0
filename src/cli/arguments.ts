/** Readers of option values, for commander. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { UserError } from '../base/errors.ts';
import { DEVICE_CHOICES } from '../engines/open-engine.ts';
import { builtInTemplates } from '../protocol/templates.ts';
import { tieRules } from '../retrieval/ranking/ties.ts';
import { originOf } from '../retrieval/trust.ts';

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

/** An option that may be given several times, which the help says; the values are collected. */
export function repeatable(flags: string, description: string): Option {
  return new Option(flags, `${description}; may be repeated`)
    .argParser((text: string, before: string[] | undefined) => [...(before ?? []), text])
    .default([], 'none');
}

/** Servers that files of an index may name (retrieval/trust.ts). */
export function trustOption(): Option {
  return repeatable('--trust-server <url>', 'a server that the index names, which may be asked').argParser(
    (text: string, before: string[]) => {
      if (originOf(text) === undefined) throw new InvalidArgumentError('Expected http://HOST:PORT or https://HOST.');
      return [...before, text];
    },
  );
}

/** A model to go on from. `absent` is what there is without one. */
export function modelOption(description: string, absent?: string): Option {
  const forms = 'a Hugging Face directory, FILE.gguf, or hf:OWNER/NAME[/FILE.gguf][@REVISION] from the Hub';
  return new Option('--model <which>', `${description}: ${forms}`).default(undefined, absent);
}

export function offlineOption(): Option {
  return new Option('--offline', 'take what hf: names from the cache, never from the network');
}

/** Of the embedded engine. */
export function threadsOption(): Option {
  return new Option('--threads <number>', 'threads of the embedded engine')
    .argParser(wholeNumber(1))
    .default(undefined, 'all cores');
}

/** @param only before the description: of what alone it is */
export function apiKeyOption(only = ''): Option {
  const text = `${only}environment variable with the key of a served model`;
  return new Option('--api-key-env <name>', text).default(undefined, 'OPENAI_API_KEY');
}

/** The prompts of a policy. */
export function templateOption(): Option {
  const names = builtInTemplates.map(({ name }) => name).join(', ');
  return new Option('--template <name|file>', `prompts: ${names}, or a JSON file`);
}

/** What the embedded engine computes on. */
export function deviceOption(): Option {
  return new Option(
    '--device <which>',
    'what the embedded engine computes on: cpu, webgpu (the GPU of this machine), or auto, which is cpu so far',
  ).choices(DEVICE_CHOICES);
}

/** Which of equal scores comes first (retrieval/ranking/ties.ts). */
export function tiesOption(): Option {
  return new Option(
    '--ties <rule>',
    "equal scores: by position in the corpus, as Lucene's; by id as text, as Pyserini's",
  )
    .choices(tieRules)
    .default('position');
}

/** Another name under which an option is known elsewhere, taken too but not listed: `--model` for `--policy`. */
export function alsoCalled(command: Command, flags: string, attribute: string): Command {
  const named = command.options.find((option) => option.attributeName() === attribute)!;
  const other = new Option(flags).hideHelp();
  if (named.parseArg) other.argParser(named.parseArg);
  command.addOption(other);
  return command.hook('preAction', () => {
    const value: unknown = command.getOptionValue(other.attributeName());
    if (value !== undefined) command.setOptionValueWithSource(attribute, value, 'cli');
  });
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
