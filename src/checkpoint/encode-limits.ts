/**
 * A tokenizer.json is another person's program: regular expressions that may take for ever, replacements that may fill memory.
 * Texts are encoded and decoded within a time, and no chain of replacements may blow a text up.
 */
import vm from 'node:vm';
import type { Tokenizer as Library } from '@huggingface/tokenizers';
import { z } from 'zod';
import { messageOf, UserError } from '../base/errors.ts';
import { linearPatterns } from './gguf/splitting.ts';

/** Milliseconds for a text, and for each character so much more: ten times what long words take on a busy machine. */
const TIME = { base: 3000, perCharacter: 0.05 };
/** How many times as long all replacements together may make a text. */
const GROWTH = 1000;

/**
 * Regular expressions of published tokenizers, which take a time proportional to the text, those of normalisers too. Only others
 * are watched: watching costs as much as encoding a passage.
 */
const isPublished = (pattern: string) => linearPatterns.has(pattern) || pattern === ' {2,}';

const step = z.looseObject({
  type: z.string(),
  pattern: z.looseObject({ Regex: z.string().optional(), String: z.string().optional() }).optional(),
  content: z.string().optional(),
  prepend: z.string().optional(),
});
type Step = z.infer<typeof step>;

/** The parts of a tokenizer.json that change texts. */
export interface TextSteps {
  readonly normalizer?: unknown;
  readonly pre_tokenizer?: unknown;
  readonly decoder?: unknown;
  readonly model: Readonly<Record<string, unknown>>;
}

/** @throws UserError when the tokenizer's replacements could make a text many times as long as it was */
export function checkGrowth(content: TextSteps, source: string): void {
  for (const part of ['normalizer', 'pre_tokenizer', 'decoder'] as const) {
    const growth = stepsOf(content[part]).reduce((product, each) => product * growthOf(each), 1);
    if (growth > GROWTH)
      throw new UserError(
        `${source}: ${part}: its replacements can make a text ${growth.toPrecision(2)} times as long`,
        {
          hint: `At most ${GROWTH} times is taken. Is it the tokenizer that it should be?`,
        },
      );
  }
}

/**
 * The library with bounds on what it does to texts.
 * @throws (what is returned) UserError for a text that takes too long, or that the library cannot take
 */
export function bounded(
  library: Library,
  content: TextSteps,
  source: string,
  { base, perCharacter } = TIME,
): Pick<Library, 'encode' | 'decode'> {
  const [encode, decode] = [library.encode.bind(library), library.decode.bind(library)];
  const run = isKnown(content) ? <T>(work: () => T) => work() : withinTime;
  const within = <T>(length: number, unit: string, work: () => T): T => {
    try {
      return run(work, base + perCharacter * length);
    } catch (error) {
      // An error of the script's own context, which is no Error here.
      const late = (error as { readonly code?: unknown }).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
      throw new UserError(
        `${source}: the tokenizer ${late ? 'takes too long' : 'fails'} for a text of ${length} ${unit}${late ? '' : ` (${messageOf(error)})`}`,
        { hint: 'One of its regular expressions, perhaps: take another tokenizer.', cause: error },
      );
    }
  };
  return {
    encode: (text: string, options: object) => within(text.length, 'characters', () => encode(text, options)),
    decode: (ids: number[], options: object) => within(ids.length, 'tokens', () => decode(ids, options)),
  };
}

/** Whether all that it does to texts takes a time proportional to them. */
function isKnown(content: TextSteps): boolean {
  const steps = [content.normalizer, content.pre_tokenizer, content.decoder].flatMap(stepsOf);
  const longestWord = content.model.max_input_chars_per_word;
  return (
    steps.every(({ pattern }) => pattern?.Regex === undefined || isPublished(pattern.Regex)) &&
    // WordPiece looks at a word's square.
    !(typeof longestWord === 'number' && longestWord > 1000)
  );
}

/** Regular expressions cannot be interrupted by the program that runs them, but by Node's limit on scripts. */
const cell: { work?: () => unknown } = {};
let script: { run(milliseconds: number): unknown } | undefined;

function withinTime<T>(work: () => T, milliseconds: number): T {
  if (script === undefined) {
    const [code, context] = [new vm.Script('work()'), vm.createContext(cell)];
    script = { run: (timeout) => code.runInContext(context, { timeout }) };
  }
  cell.work = work;
  return script.run(Math.ceil(milliseconds)) as T;
}

/** A part's steps, those in sequences too. */
function stepsOf(part: unknown): Step[] {
  if (typeof part !== 'object' || part === null) return [];
  const lists = ['normalizers', 'pretokenizers', 'decoders'].flatMap((name) => (part as Record<string, unknown>)[name]);
  const parsed = step.safeParse(part);
  return [...(parsed.success ? [parsed.data] : []), ...lists.flatMap(stepsOf)];
}

/** How many times as long a step can make a text of at least one character. */
function growthOf({ pattern, content, prepend }: Step): number {
  if (prepend !== undefined) return 1 + prepend.length;
  if (content === undefined || pattern === undefined) return 1;
  if (pattern.String) return Math.max(1, content.length / pattern.String.length);
  // Where nothing is matched, something may be put between all characters.
  const matchesNothing = /[*?^$|]|\{0|\\[bB]/.test(pattern.Regex ?? '');
  return matchesNothing ? 1 + content.length : Math.max(1, content.length);
}
