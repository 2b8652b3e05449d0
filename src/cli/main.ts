/** The `search-e1` command: dispatch, and what becomes of errors. One file for each subcommand stands beside this one. */
import { Command, CommanderError } from 'commander';
import { hasCode, UserError } from '../base/errors.ts';
import { packageVersion } from '../runs/config-record.ts';
import { askCommand } from './ask.ts';
import { compareCommand } from './compare.ts';
import { dataCommand } from './data.ts';
import { doctorCommand } from './doctor.ts';
import { evaluateCommand } from './evaluate.ts';
import { evolveCommand } from './evolve.ts';
import { experimentCommand } from './experiment.ts';
import { exportCommand } from './export.ts';
import { importCommand } from './import.ts';
import { indexCommand } from './index-group.ts';
import { Interrupted } from './interrupt.ts';
import { scoreCommand } from './score.ts';
import { serveRetrieverCommand } from './serve-retriever.ts';
import { warmupCommand } from './warmup.ts';
import type { Io } from './widgets/io.ts';

const examples = `
Examples:
  search-e1 evolve                          train on the embedded world, a few minutes on two cores
  search-e1 evolve --preset smoke           all parts at toy size, under a minute
  search-e1 evolve --dry-run                print settings, time and memory, and stop
  search-e1 experiment claims --out DIR     put the method's claims to the test: arms x seeds
  search-e1 doctor --model DIR              what a run will take, and whether it fits
  search-e1 evolve --resume runs/NAME       continue after Ctrl-C, a crash or a power cut
  search-e1 export runs/NAME --out policy   the trained policy as a Hugging Face directory
  search-e1 import FILE.gguf --out model    a GGUF file as a Hugging Face directory
  search-e1 warmup --out base               make the embedded base policy again
  search-e1 index build --corpus FILE --out DIR   a search index over your own passages
  search-e1 ask                             ask the embedded policy, or with --policy any other, and read along
  search-e1 evaluate --policy runs/NAME     ask a policy the questions of benchmarks, as an agent or by a baseline
  search-e1 compare DIR DIR                 evaluations side by side, with the published rows
  search-e1 evolve --questions train.jsonl --corpus passages.jsonl.gz --model base --evaluate test=test.jsonl
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
  const commands = [
    evolveCommand(io),
    experimentCommand(io),
    doctorCommand(io),
    warmupCommand(io),
    exportCommand(io),
    importCommand(io),
    askCommand(io),
    evaluateCommand(io),
    compareCommand(io),
    dataCommand(io),
    scoreCommand(io),
    indexCommand(io),
    serveRetrieverCommand(io),
  ];
  for (const command of commands) program.addCommand(command);
  for (const command of withSubcommands(program))
    command
      .exitOverride()
      .showHelpAfterError('(--help lists what there is)')
      .configureOutput({
        writeOut: (text) => io.out.write(text),
        writeErr: (text) => io.err.write(text),
        getOutHelpWidth: () => io.out.columns ?? 100,
        getErrHelpWidth: () => io.err.columns ?? 100,
      });

  try {
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has printed its message already; help and version end here as well.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof Interrupted) return report(io, error.message, error.hint, error.exitCode);
    if (error instanceof UserError) return report(io, error.message, error.hint, 2);
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return report(io, text, 'This should not have happened; please report it with the lines above.', 1);
  }
}

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

/** A reader that has seen enough (`| head`) closes the pipe; that is no failure of the run. */
function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error) => {
      if (!hasCode(error, 'EPIPE')) throw error;
    });
}

function report(io: Io, message: string, hint: string | undefined, code: number): number {
  io.err.write(`search-e1: ${message}\n${hint === undefined ? '' : `${hint}\n`}`);
  return code;
}
