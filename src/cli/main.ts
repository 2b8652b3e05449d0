/** The `search-e1` command: dispatch, and what becomes of errors. One file for each subcommand stands beside this one. */
import { Command, CommanderError } from 'commander';
import { hasCode, UserError } from '../base/errors.ts';
import { fileError, shortage } from '../base/files.ts';
import { printable, shown } from '../base/text.ts';
import { packageVersion } from '../runs/config-record.ts';
import { Interrupted } from './interrupt.ts';
import { asTyped, helpOfWidth } from './widgets/help.ts';
import type { Io } from './widgets/io.ts';
import { fitting, message } from './widgets/terminal.ts';

/** Every command: what it is for, and its file, which is read only when it is asked for. */
const commands: Readonly<Record<string, { readonly says: string; readonly load: (io: Io) => Promise<Command> }>> = {
  evolve: {
    says: 'Train a search agent: cycles of GRPO and self-distillation, every stage evaluated, a table at the end.',
    load: async (io) => (await import('./evolve.ts')).evolveCommand(io),
  },
  experiment: {
    says: 'Put the method to the test: arms that differ in one thing, over several seeds, from shared first rounds.',
    load: async (io) => (await import('./experiment.ts')).experimentCommand(io),
  },
  doctor: {
    says: 'Say what a run will take before it is taken: memory by part, speed on this machine, time.',
    load: async (io) => (await import('./doctor.ts')).doctorCommand(io),
  },
  settings: {
    says: 'Every setting of a run: what it means, its range, its value in each preset.',
    load: async (io) => (await import('./settings.ts')).settingsCommand(io),
  },
  systems: {
    says: 'The systems of the field that evolve can train as: source, formula, what each needs from outside.',
    load: async (io) => (await import('./systems.ts')).systemsCommand(io),
  },
  warmup: {
    says: 'Make a base policy: from embedded worlds, or from your own questions with their gold passages.',
    load: async (io) => (await import('./warmup.ts')).warmupCommand(io),
  },
  view: {
    says: 'Look at everything in the browser: rollouts, pairs, stages, of runs, evaluations and experiments.',
    load: async (io) => (await import('./view.ts')).viewCommand(io),
  },
  export: {
    says: 'Write a trained policy as a Hugging Face directory (weights, configuration, tokenizer) or as a GGUF file.',
    load: async (io) => (await import('./export.ts')).exportCommand(io),
  },
  import: {
    says: 'Write a GGUF file as a Hugging Face directory: weights in full precision, configuration, tokenizer.',
    load: async (io) => (await import('./import.ts')).importCommand(io),
  },
  ask: {
    says: 'Ask a search agent: see it think, search and answer. Without a question: a session.',
    load: async (io) => (await import('./ask.ts')).askCommand(io),
  },
  evaluate: {
    says: 'Ask a policy the questions of benchmarks, as an agent or by a baseline; continues where it stopped.',
    load: async (io) => (await import('./evaluate.ts')).evaluateCommand(io),
  },
  compare: {
    says: 'Put finished evaluations side by side, and beside the published figures.',
    load: async (io) => (await import('./compare.ts')).compareCommand(io),
  },
  data: {
    says: 'The seven benchmarks and their corpus: list, fetch, check.',
    load: async (io) => (await import('./data.ts')).dataCommand(io),
  },
  score: {
    says: 'Score predictions: exact match, F1 and substring match as the published figures are computed.',
    load: async (io) => (await import('./score.ts')).scoreCommand(io),
  },
  index: {
    says: 'Search indexes over your own passages: build, search, evaluate, look inside.',
    load: async (io) => (await import('./index-group.ts')).indexCommand(io),
  },
  serve: {
    says: 'Serve a search agent over HTTP, as OpenAI-compatible chat completions.',
    load: async (io) => (await import('./serve.ts')).serveCommand(io),
  },
  mcp: {
    says: 'Serve a search agent as tools of the Model Context Protocol: for editors and other agents.',
    load: async (io) => (await import('./mcp.ts')).mcpCommand(io),
  },
  'serve-retriever': {
    says: 'Serve an index or a corpus over HTTP, in the format that existing trainers speak.',
    load: async (io) => (await import('./serve-retriever.ts')).serveRetrieverCommand(io),
  },
};

const examples = `
Examples:
  search-e1 evolve                          train on the embedded world, a few minutes on two cores
  search-e1 evolve --preset smoke           all parts at toy size, under a minute
  search-e1 evolve --dry-run                print settings, time and memory, and stop
  search-e1 experiment claims --out DIR     put the method's claims to the test: arms x seeds
  search-e1 doctor --model DIR              what a run will take, and whether it fits
  search-e1 evolve --resume runs/NAME       continue after Ctrl-C, a crash or a power cut
  search-e1 view runs/NAME                  every rollout of a run in the browser, filtered and searched
  search-e1 export runs/NAME --out policy   the trained policy as a Hugging Face directory
  search-e1 import FILE.gguf --out model    a GGUF file as a Hugging Face directory
  search-e1 warmup --out base               make the embedded base policy again
  search-e1 index build --corpus FILE --out DIR   a search index over your own passages
  search-e1 ask                             ask the embedded policy, or with --policy any other, and read along
  search-e1 serve --policy runs/NAME        answer over HTTP, as OpenAI-compatible chat completions; mcp for editors
  search-e1 evaluate --policy runs/NAME     ask a policy the questions of benchmarks, as an agent or by a baseline
  search-e1 compare DIR DIR                 evaluations side by side, with the published rows
  search-e1 evolve --questions train.jsonl --corpus passages.jsonl.gz --model base --evaluate test=test.jsonl

What was broken off goes on: evolve with --resume DIR, warmup with --resume DIR beside its other options, and evaluate, experiment,
index build and data pull when the same command is given again.
`;

const terminal: Io = { out: process.stdout, err: process.stderr };

/**
 * Runs the command with the given arguments (without node and script).
 * Exit code: 0 done; 1 a defect of this program; 2 something for the user to mend; 130 or 143 stopped by a signal.
 */
export async function main(argv: readonly string[], io: Io = terminal): Promise<number> {
  if (io === terminal) outliveReaders();
  const program = new Command('search-e1')
    .description('Search agents that teach themselves: GRPO and self-distillation, from question to results table.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .addHelpText('after', examples);
  for (const [name, { says, load }] of Object.entries(commands))
    program.addCommand((argv.slice(0, 2).includes(name) ? await load(io) : new Command(name)).description(says));
  const width = Math.min(io.out.columns || 100, 120);
  for (const command of withSubcommands(program))
    command
      .exitOverride()
      .showHelpAfterError('(--help lists what there is)')
      .configureHelp({ optionDescription: asTyped, argumentDescription: asTyped })
      .configureOutput({
        writeOut: (text) => io.out.write(fitting(helpOfWidth(text, width), io.out)),
        writeErr: (text) => io.err.write(text),
        outputError: (text, write) => write(printable(text.replace(/^error: /, 'search-e1: '))),
        getOutHelpWidth: () => width,
        getErrHelpWidth: () => io.err.columns ?? 100,
      });

  try {
    refuseBrokenArguments(argv);
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has printed its message already; help and version end here as well.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof Interrupted) return report(io, error.message, error.hint, error.exitCode);
    const told = error instanceof UserError ? error : shortage(error, 'search-e1');
    if (told) return report(io, told.message, told.hint, 2);
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return report(io, text, 'This should not have happened; please report it with the lines above.', 1);
  }
}

/** All commands with their options, in the order of the help. */
export function allCommands(io: Io): Promise<Command[]> {
  return Promise.all(Object.values(commands).map(({ load }) => load(io)));
}

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

/** Node puts U+FFFD where an argument is not UTF-8: a question or a name would be another one, in silence. */
function refuseBrokenArguments(argv: readonly string[]): void {
  const broken = argv.find((argument) => argument.includes('\ufffd'));
  if (broken === undefined) return;
  throw new UserError(`the argument ${shown(broken)} is not UTF-8`, {
    hint: 'Is the terminal set to another encoding? Questions can also come from a file.',
  });
}

/**
 * A reader that has seen enough (`| head`) closes the pipe; that is no failure of the run. Results that cannot be written are one.
 */
function outliveReaders(): void {
  process.stdout.on('error', (error) => {
    if (hasCode(error, 'EPIPE')) return;
    const told = fileError(error, 'standard output', 'write');
    // The process ends at once: nobody will ever read what comes after.
    process.exit(report(terminal, told.message, told instanceof UserError ? told.hint : undefined, 2));
  });
  // Where messages go nobody can be told of anything; the work itself goes on.
  process.stderr.on('error', () => {});
}

function report(io: Io, text: string, hint: string | undefined, code: number): number {
  io.err.write(message(`search-e1: ${text}${hint === undefined ? '' : `\n${hint}`}`, io.err));
  return code;
}
