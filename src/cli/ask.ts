/** `search-e1 ask`: one question, or a session of them, to any policy over any retriever. */
import { Command } from 'commander';
import { UserError } from '../base/errors.ts';
import { readLines } from '../base/files.ts';
import { printable } from '../base/text.ts';
import { type Agent, type Asked, openAgent } from '../evaluation/agent.ts';
import { notesOf } from '../evaluation/reply-notes.ts';
import { isFailure } from '../rollout/trajectory.ts';
import type { World } from '../world/generate.ts';
import { evaluationQuestions } from '../world/suites.ts';
import { type AgentCliOptions, addAgentOptions, agentOptions } from './agent-options.ts';
import { repeatable } from './arguments.ts';
import { runCommand } from './ask-commands.ts';
import { askInTurns } from './ask-session.ts';
import { AskView } from './ask-view.ts';
import { Interrupted, interruptible } from './interrupt.ts';
import type { Io } from './widgets/io.ts';
import { jsonText, message } from './widgets/terminal.ts';

interface Options extends AgentCliOptions {
  readonly questions: readonly string[];
  readonly json?: boolean;
}

const examples = `
Examples:
  search-e1 ask                                       a session with the embedded policy, in its own small world
  search-e1 ask --policy runs/NAME                    the stage of a run that ended last, where it was trained
  search-e1 ask "who wrote Faust?" --policy http://127.0.0.1:8000/v1#qwen --retriever passages.jsonl.gz
  search-e1 ask "who wrote Faust?" --policy hf:OWNER/NAME --retriever my-index --json > trajectory.json
  search-e1 ask --json < questions.txt                a question a line, a JSON document a line
`;

export function askCommand(io: Io): Command {
  const command = new Command('ask').argument('[question]', 'what to ask; quote it');
  return addAgentOptions(command)
    .addOption(repeatable('--questions <file>', 'questions with gold answers: those that stand there are judged'))
    .option('--json', 'print one JSON document with the whole trajectory; the rest goes to stderr')
    .addHelpText('after', examples)
    .action(async (question: string | undefined, options: Options) => {
      if (question !== undefined && question.trim() === '') throw new UserError('the question is empty');
      const agent = await openAgent({ ...agentOptions(options, io), questions: options.questions });
      try {
        if (question !== undefined) await askOnce(agent, question, options, io);
        else if (process.stdin.isTTY && !options.json) await session(agent, io);
        else await askLines(agent, options, io);
      } finally {
        await agent.close();
      }
    });
}

/** @throws UserError when model or retriever fail, Interrupted when the user stops it */
async function askOnce(agent: Agent, question: string, options: Options, io: Io): Promise<void> {
  const view = new AskView(options.json ? io.err : io.out);
  const asked = await answered(agent, question, view);
  if (options.json) io.out.write(`${jsonText(documentOf(agent, asked), 2)}\n`);
}

/** What `--json` prints of a question. The passages' texts stand where the policy was shown them. */
function documentOf(agent: Agent, { found: _, ...asked }: Asked) {
  return { schema: 1, ...agent.about, ...asked };
}

/** Asks and shows. The view is finished in any case. */
async function answered(agent: Agent, question: string, view: AskView): Promise<Asked> {
  if (agent.world !== undefined) refuseUnknownWords(agent, agent.world, question);
  const asked = await interruptible(
    'Nothing is lost: ask again.',
    async (signal) => {
      const trajectory = await agent.ask(question, { signal, onEvent: (event) => view.see(event) });
      if (signal.aborted) view.stop();
      signal.throwIfAborted();
      return trajectory;
    },
    'stopped',
  );
  const { answer, stop, searches, newTokens: tokens, seconds, gold, exactMatch } = asked;
  if (isFailure(stop)) {
    view.stop();
    throw new UserError(asked.failure ?? stop);
  }
  const notes = notesOf(asked.reasoningOnly, asked.leftOut);
  view.finish({ answer, stop, searches: searches.length, tokens, seconds, gold, exactMatch, notes });
  return asked;
}

function refuseUnknownWords(agent: Agent, world: World, question: string): void {
  const unknown = agent.unknownWords(question);
  if (unknown.length === 0) return;
  throw new UserError(`this policy knows a small world of its own and has no word for ${unknown.join(', ')}`, {
    hint: `Ask it, for example:\n${exampleLines(world)}Or name another policy with --policy.`,
  });
}

/** A question a line from standard input, an answer each; a failure is reported and the next question asked. */
async function askLines(agent: Agent, options: Options, io: Io): Promise<void> {
  let [questions, failures] = [0, 0];
  for await (const entry of readLines('-')) {
    if (entry.isBlank) continue;
    questions += 1;
    try {
      const question = entry.text.trim();
      const view = new AskView(options.json ? io.err : io.out);
      (options.json ? io.err : io.out).write(`${printable(question)}\n`);
      const asked = await answered(agent, question, view);
      if (options.json) io.out.write(`${jsonText(documentOf(agent, asked))}\n`);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      failures += 1;
      io.err.write(message(`search-e1: ${error.message}`, io.err));
    }
  }
  if (questions === 0)
    throw new UserError('no question: standard input is empty', {
      hint: `For example: search-e1 ask "${agent.world === undefined ? 'who wrote Faust?' : worldQuestions(agent.world)[0]}"`,
    });
  if (failures > 0) throw new UserError(`${failures} ${failures === 1 ? 'question' : 'questions'} failed`);
}

async function session(agent: Agent, io: Io): Promise<void> {
  const { policy, retriever } = agent.about;
  const { passages } = retriever;
  io.out.write(
    `${policy.name}, searching ${passages.toLocaleString('en')} ${passages === 1 ? 'passage' : 'passages'}\n`,
  );
  if (agent.world !== undefined)
    io.out.write(`It knows a small world of its own. Ask it, for example:\n${exampleLines(agent.world)}`);
  io.out.write('/help lists what else can be typed. Ctrl-C stops an answer, Ctrl-D ends the session.\n\n');
  let last: Asked | undefined;
  await askInTurns(io, async (question) => {
    const done = runCommand(question, last, io);
    if (done === 'exit') return 'exit';
    if (done) return undefined;
    try {
      last = await answered(agent, question, new AskView(io.out));
    } catch (error) {
      if (error instanceof Interrupted && error.exitCode === 130) io.out.write('stopped\n');
      else if (error instanceof UserError)
        io.out.write(message(`${error.message}${error.hint === undefined ? '' : `\n${error.hint}`}`, io.out));
      else throw error;
    }
    io.out.write('\n');
    return undefined;
  });
}

function exampleLines(world: World): string {
  return worldQuestions(world)
    .map((question) => `  ${question}\n`)
    .join('');
}

/** A question of one hop, of two and of three. */
function worldQuestions(world: World): string[] {
  const suites = ['nq', 'hotpotqa', 'bamboogle'] as const;
  return suites.map((suite) => evaluationQuestions(world, suite, 1)[0]!.question);
}
