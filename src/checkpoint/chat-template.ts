/**
 * Chat templates: Jinja texts that come with a model, hence another person's program. It may compute, within bounds; it learns
 * neither date nor anything else from outside, so that a prompt is the same on every day and machine.
 */
import { Environment, Interpreter, Template } from '@huggingface/jinja';
import { messageOf, UserError } from '../base/errors.ts';
import type { ChatMessage } from '../policy/text-model.ts';

/** Conversations as one text; a single user message stands for a conversation of one. */
export type RenderChat = (messages: readonly ChatMessage[], open: boolean) => string;

/** Far more than published templates take for conversations of hundreds of messages. */
const LIMITS = { source: 2 ** 20, steps: 500_000, text: 2 ** 22, list: 100_000, number: 1_000_000_000 };

/**
 * @param tokens bos_token and eos_token as the template may write them
 * @param source named in errors
 * @returns the function takes whether the assistant's turn is to be opened at the end
 * @throws UserError, as does what is returned, for a template that is none, refuses the conversation, or exceeds the bounds
 */
export function chatRenderer(
  text: string,
  tokens: { readonly bos: string; readonly eos: string },
  source: string,
): RenderChat {
  const guarded = <T>(doing: () => T): T => {
    try {
      return doing();
    } catch (error) {
      throw new UserError(`${source}: the chat template fails (${messageOf(error)})`, { cause: error });
    }
  };
  const program = guarded(() => {
    if (text.length > LIMITS.source) throw new Error(`it has ${text.length} characters, more than ${LIMITS.source}`);
    return new Template(text).parsed;
  });
  return (messages, open) =>
    guarded(() => {
      const globals = environment();
      globals.set('messages', [...messages]);
      globals.set('add_generation_prompt', open);
      globals.set('bos_token', tokens.bos);
      globals.set('eos_token', tokens.eos);
      return String(new BoundedInterpreter(globals).run(program).value);
    });
}

/** The names that templates find, those of transformers. */
function environment(): Environment {
  const globals = new Environment();
  for (const [name, value] of [
    ['false', false],
    ['False', false],
    ['true', true],
    ['True', true],
    ['none', null],
    ['None', null],
  ] as const)
    globals.set(name, value);
  globals.set('raise_exception', (message: unknown) => {
    throw new Error(String(message));
  });
  globals.set('range', range);
  globals.set('strftime_now', strftimeNow);
  return globals;
}

/** Python's range. */
function range(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= LIMITS.list)) throw new Error(`a range of ${length} numbers, more than ${LIMITS.list}`);
  return Array.from({ length }, (_, i) => start + i * step);
}

/**
 * There is no clock: templates that write today's date always write this one, which Llama 3's write where they find no clock.
 * What a policy was trained with is then what it is asked with, and a run that goes on tomorrow goes on with the same prompts.
 */
const TODAY = { Y: '2024', y: '24', m: '07', d: '26', e: '26', b: 'Jul', B: 'July', a: 'Fri', A: 'Friday', j: '208' };
const NOON: Readonly<Record<string, string>> = {
  ...TODAY,
  H: '12',
  I: '12',
  M: '00',
  S: '00',
  p: 'PM',
  Z: 'UTC',
  z: '+0000',
  '%': '%',
};

function strftimeNow(format: string): string {
  return format.replace(/%([A-Za-z%])/g, (whole, letter: string) => NOON[letter] ?? whole);
}

/** What is used of the library's interpreter; its own types refer to files that TypeScript does not find. */
interface Evaluation {
  run(program: unknown): { readonly value: unknown };
  evaluate(statement: unknown, scope: unknown): { readonly value: unknown };
}
const LibraryInterpreter = Interpreter as unknown as new (globals: unknown) => Evaluation;

/** Counts what a template does, by the size of every value that it makes, and ends it where that is beyond all measure. */
class BoundedInterpreter extends LibraryInterpreter {
  #steps = 0;

  override evaluate(statement: unknown, scope: unknown): { readonly value: unknown } {
    const value = super.evaluate(statement, scope);
    const { value: content } = value;
    this.#steps += 1;
    if (typeof content === 'string') this.#bound(content.length, LIMITS.text, 'a text', 1 / 64);
    else if (Array.isArray(content)) this.#bound(content.length, LIMITS.list, 'a list', 1);
    else if (content instanceof Map) this.#bound(content.size, LIMITS.list, 'a dictionary', 1);
    else if (typeof content === 'number') this.#bound(Math.abs(content), LIMITS.number, 'a number', 0);
    if (this.#steps > LIMITS.steps) throw new Error(`it takes more than ${LIMITS.steps} steps`);
    return value;
  }

  #bound(size: number, limit: number, what: string, cost: number): void {
    if (size > limit) throw new Error(`${what} of ${size}, more than ${limit}`);
    this.#steps += size * cost;
  }
}
