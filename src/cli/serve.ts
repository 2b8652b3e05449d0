/** `search-e1 serve`: an agent behind OpenAI's interface, for whatever speaks it. */
import { Command } from 'commander';
import { openAgent } from '../evaluation/agent.ts';
import { chatProtocol } from '../serving/chat.ts';
import { Desk } from '../serving/desk.ts';
import { defaultServingOptions, serveAgent } from '../serving/serve-agent.ts';
import { type AgentCliOptions, addAgentOptions, agentOptions } from './agent-options.ts';
import { addServingOptions, keysOf, logOf, type ServingCliOptions, untilStopped } from './serving-options.ts';
import type { Io } from './widgets/io.ts';

interface Options extends AgentCliOptions, ServingCliOptions {
  readonly json?: boolean;
}

const examples = `
POST /v1/chat/completions (whole or streamed) and GET /v1/models are OpenAI's; GET /healthz says what is served, GET /metrics is
Prometheus text. An answer is the answer alone; the thoughts and searches are its reasoning_content, what was read its citations.
Only this machine can connect unless --host says otherwise. Questions and answers are logged with --log-texts alone.

Examples:
  search-e1 serve                                               the embedded policy in its own small world
  search-e1 serve --policy runs/NAME --port 9000                the last stage of a run, searching what it was trained with
  search-e1 serve --policy http://127.0.0.1:8000/v1#qwen --retriever wiki-index
  curl -s http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{"model": "base",
         "messages": [{"role": "user", "content": "what is the area of kutul ruzur ?"}]}'
`;

export function serveCommand(io: Io): Command {
  const command = new Command('serve');
  return addServingOptions(addAgentOptions(command), defaultServingOptions.port)
    .option('--json', 'print the first line as JSON')
    .addHelpText('after', examples)
    .action((options: Options) => serve(options, io));
}

async function serve(options: Options, io: Io): Promise<void> {
  const { host, port, allowHost: names, concurrency, queue, deadline } = options;
  const keys = keysOf(options);
  const agent = await openAgent({ ...agentOptions(options, io), concurrency });
  try {
    const desk = new Desk(agent, { concurrency, waiting: queue, seconds: deadline });
    const log = logOf(options, io);
    const server = await serveAgent(desk, chatProtocol(log.onAnswered), {
      host,
      port,
      names,
      keys,
      onRequest: log.onRequest,
    });
    const { policy, retriever } = agent.about;
    io.out.write(
      options.json
        ? `${JSON.stringify({ url: `${server.url}/v1`, policy, retriever })}\n`
        : `serving ${policy.name}, searching ${retriever.passages.toLocaleString('en')} passages, at ${server.url}/v1; Ctrl-C stops\n`,
    );
    await untilStopped(server, deadline, options.json ? undefined : io);
  } finally {
    await agent.close();
  }
}
