/** `search-e1 ask`: one question, or a session of them, to any policy over any retriever. */
import { createInterface } from 'node:readline';
import { Command } from 'commander';
import { UserError } from '../base/errors.ts';
import { type Agent, type Asked, openAgent } from '../evaluation/agent.ts';
import { builtInTemplates } from '../protocol/templates.ts';
import { isFailure } from '../rollout/trajectory.ts';
import type { World } from '../world/generate.ts';
import { evaluationQuestions } from '../world/suites.ts';
import { decimal, wholeNumber } from './arguments.ts';
import { askInTurns } from './ask-session.ts';
import { AskView } from './ask-view.ts';
import { fetchModel } from './fetch-model.ts';
import { Interrupted, interruptible } from './interrupt.ts';
import type { Io } from './widgets/io.ts';

interface Options {
  readonly policy?: string;
  readonly retriever?: string;
  readonly template?: string;
  readonly searches?: number;
  readonly passages?: number;
  readonly temperature: number;
  readonly seed: number;
  readonly turnTokens?: number;
  readonly raw?: boolean;
  readonly tokenizer?: string;
  readonly apiKeyEnv?: string;
  readonly threads?: number;
  readonly offline?: boolean;
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
  return new Command('ask')
    .description('Ask a search agent: see it think, search and answer. Without a question: a session.')
    .argument('[question]', 'what to ask; quote it')
    .option(
      '--policy <which>',
      'run directory, model directory, FILE.gguf, hf:OWNER/NAME, or http://HOST:PORT/v1#MODEL (default: the embedded base policy)',
    )
    .option(
      '--retriever <which>',
      'passages (JSONL), an index directory, or a URL (default: what the policy was trained with)',
    )
    .option('--template <name|file>', `prompts: ${builtInTemplates.map(({ name }) => name).join(', ')}, or a JSON file`)
    .option('--searches <number>', 'searches at most', wholeNumber(0))
    .option('-k, --passages <number>', 'passages of each search', wholeNumber(1))
    .option('--temperature <number>', '0 = greedy', decimal(0, Number.MAX_VALUE), 0)
    .option('--seed <number>', 'everything random follows from it', wholeNumber(0), 1)
    .option('--turn-tokens <number>', 'tokens of one turn; raise it for models that think at length', wholeNumber(1))
    .option('--raw', 'continue a raw text by /completions, in place of a chat (served models)')
    .option(
      '--tokenizer <dir|file>',
      "in place of the model's own; with --raw, its chat template is put around the prompt",
    )
    .option('--api-key-env <name>', 'environment variable with the API key (default: OPENAI_API_KEY)')
    .option('--threads <number>', 'threads of the engine (default: all cores)', wholeNumber(1))
    .option('--offline', 'take models of the Hub from the cache only')
    .option('--json', 'print one JSON document with the whole trajectory; the rest goes to stderr')
    .addHelpText('after', examples)
    .action(async (question: string | undefined, options: Options) => {
      if (question !== undefined && question.trim() === '') throw new UserError('the question is empty');
      const { searches, passages, turnTokens } = options;
      const agent = await openAgent({
        ...options,
        limits: { searches, passages, turnTokens },
        locate: (place) => fetchModel(place, options, io),
        onNote: (text) => io.err.write(`note: ${text}\n`),
      });
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
  if (options.json) io.out.write(`${JSON.stringify({ schema: 1, ...agent.about, ...asked }, null, 2)}\n`);
}

/** Asks and shows. The view is finished in any case. */
async function answered(agent: Agent, question: string, view: AskView): Promise<Asked> {
  if (agent.world !== undefined) refuseUnknownWords(agent, agent.world, question);
  const asked = await interruptible(
    'Nothing is lost: ask again.',
    async (signal) => {
      const trajectory = await agent.ask(question, signal, (event) => view.see(event));
      if (signal.aborted) view.stop();
      signal.throwIfAborted();
      return trajectory;
    },
    'stopped',
  );
  const { answer, stop, searches, newTokens: tokens, seconds } = asked;
  if (isFailure(stop)) {
    view.stop();
    throw new UserError(asked.failure ?? stop);
  }
  view.finish({ answer, stop, searches: searches.length, tokens, seconds });
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
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
    const question = line.trim();
    if (question === '') continue;
    questions += 1;
    const view = new AskView(options.json ? io.err : io.out);
    (options.json ? io.err : io.out).write(`${question}\n`);
    try {
      const asked = await answered(agent, question, view);
      if (options.json) io.out.write(`${JSON.stringify({ schema: 1, ...agent.about, ...asked })}\n`);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      failures += 1;
      io.err.write(`search-e1: ${error.message}\n`);
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
  io.out.write('Ctrl-C stops an answer, Ctrl-D ends the session.\n\n');
  await askInTurns(io, async (question) => {
    try {
      await answered(agent, question, new AskView(io.out));
    } catch (error) {
      if (error instanceof Interrupted && error.exitCode === 130) io.out.write('stopped\n');
      else if (error instanceof UserError)
        io.out.write(`${error.message}\n${error.hint === undefined ? '' : `${error.hint}\n`}`);
      else throw error;
    }
    io.out.write('\n');
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
