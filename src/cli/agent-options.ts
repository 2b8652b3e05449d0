/** The options by which every command names an agent: its policy, what it searches, its prompts and limits. */
import type { Command } from 'commander';
import type { DeviceChoice } from '../engines/open-engine.ts';
import type { AgentOptions } from '../evaluation/agent.ts';
import {
  alsoCalled,
  apiKeyOption,
  decimal,
  deviceOption,
  offlineOption,
  templateOption,
  threadsOption,
  trustOption,
  wholeNumber,
} from './arguments.ts';
import { fetchModel } from './fetch-model.ts';
import { announceOpening } from './opening.ts';
import type { Io } from './widgets/io.ts';
import { message } from './widgets/terminal.ts';

export interface AgentCliOptions {
  readonly policy?: string;
  readonly retriever?: string;
  readonly trustServer: readonly string[];
  readonly template?: string;
  readonly searches?: number;
  readonly passages?: number;
  readonly temperature: number;
  readonly seed: number;
  readonly turnTokens?: number;
  readonly observationTokens?: number;
  readonly contextTokens?: number;
  readonly raw?: boolean;
  readonly tokenizer?: string;
  readonly apiKeyEnv?: string;
  readonly threads?: number;
  readonly device?: DeviceChoice;
  readonly offline?: boolean;
}

export function addAgentOptions(command: Command): Command {
  command
    .option(
      '--policy <which>',
      'run (RUN or RUN#STAGE), model directory, FILE.gguf, hf:OWNER/NAME, or http://HOST:PORT/v1#MODEL (default: the embedded base policy)',
    )
    .option(
      '--retriever <which>',
      'an index directory, a corpus file, the URL of a retrieval server, or "world" (default: what the policy was trained with)',
    )
    .addOption(trustOption())
    .addOption(templateOption())
    .option('--searches <number>', 'searches at most (default: 4, or as trained)', wholeNumber(0))
    .option('-k, --passages <number>', 'passages of each search (default: 3, or as trained)', wholeNumber(1))
    .option('--temperature <number>', '0 = greedy', decimal(0, Number.MAX_VALUE), 0)
    .option('--seed <number>', 'everything random follows from it', wholeNumber(0), 1)
    .option(
      '--turn-tokens <number>',
      'tokens of one turn; raise it for models that think at length (default: 500, or as trained)',
      wholeNumber(1),
    )
    .option(
      '--observation-tokens <number>',
      'tokens of what a search shows (default: 500, or as trained)',
      wholeNumber(1),
    )
    .option(
      '--context-tokens <number>',
      'tokens of prompt and response together (default: 4096, or as trained)',
      wholeNumber(1),
    )
    .option('--raw', 'continue a raw text by /completions, in place of a chat (served models)')
    .option(
      '--tokenizer <dir|file>',
      "in place of the model's own; with --raw, its chat template is put around the prompt",
    )
    .addOption(apiKeyOption())
    .addOption(threadsOption())
    .addOption(deviceOption())
    .addOption(offlineOption());
  alsoCalled(command, '--model <which>', 'policy');
  return alsoCalled(command, '--corpus <which>', 'retriever');
}

/** What `openAgent` takes. A model of the Hub is fetched where it can be seen, and what takes long to open is announced. */
export function agentOptions(options: AgentCliOptions, io: Io): AgentOptions {
  const { searches, passages, turnTokens, observationTokens, contextTokens } = options;
  announceOpening(io, options.retriever);
  return {
    ...options,
    trust: options.trustServer,
    limits: { searches, passages, turnTokens, observationTokens, contextTokens },
    locate: (place) => fetchModel(place, options, io),
    onNote: (text) => io.err.write(message(`note: ${text}`, io.err)),
  };
}
