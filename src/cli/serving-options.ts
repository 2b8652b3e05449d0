/** What the commands have in common that serve an agent: where, to whom, how many at a time, what is logged, and their end. */
import type { Command } from 'commander';
import { UserError } from '../base/errors.ts';
import type { ListeningServer } from '../base/http/listen.ts';
import type { Asked } from '../evaluation/agent.ts';
import { defaultServingOptions, type RequestLine } from '../serving/serve-agent.ts';
import { decimal, repeatable, wholeNumber } from './arguments.ts';
import { interruptible } from './interrupt.ts';
import type { Io } from './widgets/io.ts';

export interface ServingCliOptions {
  readonly host: string;
  readonly port: number;
  readonly allowHost: readonly string[];
  readonly keysEnv?: string;
  readonly concurrency: number;
  readonly queue: number;
  readonly deadline: number;
  readonly log?: boolean;
  readonly logTexts?: boolean;
}

export function addServingOptions(command: Command, port: number): Command {
  return command
    .option('--host <address>', 'address to listen on', defaultServingOptions.host)
    .option('--port <number>', 'port to listen on; 0 takes a free one', wholeNumber(0, 65_535), port)
    .addOption(repeatable('--allow-host <name>', 'a name by which the server may be asked, e.g. behind a proxy'))
    .option('--keys-env <name>', 'environment variable with the keys that clients have to send, separated by commas')
    .option('--concurrency <number>', 'questions worked on at a time', wholeNumber(1, 1024), 16)
    .option('--queue <number>', 'questions that may wait; beyond them 429 is answered', wholeNumber(0, 100_000), 64)
    .option('--deadline <seconds>', 'from a question to its answer, waiting included', decimal(0.001, 86_400), 120)
    .option('--log', 'log requests on stderr, a JSON object a line, without questions and answers')
    .option('--log-texts', 'log questions and answers too');
}

/** @throws UserError for a variable that is not set */
export function keysOf({ keysEnv }: ServingCliOptions, environment = process.env): string[] {
  if (keysEnv === undefined) return [];
  const keys = (environment[keysEnv] ?? '')
    .split(',')
    .map((key) => key.trim())
    .filter((key) => key !== '');
  if (keys.length === 0)
    throw new UserError(`--keys-env ${keysEnv}: this variable is not set in the environment`, {
      hint: `Set it, e.g. export ${keysEnv}=KEY1,KEY2, or leave the option out.`,
    });
  return keys;
}

/** What is logged, a line each; failures inside always, since nobody else hears of them. */
export function logOf({ log, logTexts }: ServingCliOptions, io: Io) {
  const write = (line: object) => void io.err.write(`${JSON.stringify({ time: new Date().toISOString(), ...line })}\n`);
  const onRequest = (line: RequestLine) => {
    if (log || logTexts || line.failure !== undefined)
      write({ ...line, seconds: Math.round(1000 * line.seconds) / 1000 });
  };
  const onAnswered = ({ question, answer, stop, searches, seconds }: Asked) =>
    write({ question, answer, stop, searches: searches.map(({ query }) => query), seconds });
  return { onRequest, onAnswered: logTexts ? onAnswered : undefined };
}

/** Serves until a signal comes, then answers what is under way, for as long as a question may take. */
export async function untilStopped(server: ListeningServer, seconds: number, io: Io | undefined): Promise<void> {
  const { answered, unanswered } = await interruptible('', async (signal) => {
    await new Promise<void>((stopped) => signal.addEventListener('abort', () => stopped(), { once: true }));
    return server.close(seconds);
  });
  io?.err.write(`stopped; requests since then: ${answered} answered, ${unanswered} cut off\n`);
}
