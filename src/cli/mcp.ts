/** `search-e1 mcp`: an agent as tools of the Model Context Protocol, over standard input and output or over HTTP. */
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { Command } from 'commander';
import { openAgent } from '../evaluation/agent.ts';
import { Desk } from '../serving/desk.ts';
import { mcpProtocol, mcpServer } from '../serving/mcp.ts';
import { serveAgent } from '../serving/serve-agent.ts';
import { type AgentCliOptions, addAgentOptions, agentOptions } from './agent-options.ts';
import { interruptible } from './interrupt.ts';
import { addServingOptions, keysOf, logOf, type ServingCliOptions, untilStopped } from './serving-options.ts';
import type { Io } from './widgets/io.ts';

interface Options extends AgentCliOptions, ServingCliOptions {
  readonly http?: boolean;
}

const PORT = 8090;

const examples = `
Two tools: "ask" (a question to its answer, with the passages that were read) and "search" (a query to passages). Without --http a
client starts this command and speaks with it over standard input and output; --host, --port and --keys-env belong to --http.

Examples:
  search-e1 mcp --policy runs/NAME                         as a client starts it
  search-e1 mcp --policy hf:OWNER/NAME --retriever index --http      http://127.0.0.1:${PORT}/mcp
  {"mcpServers": {"search-e1": {"command": "npx", "args": ["search-e1", "mcp", "--policy", "/path/of/runs/NAME"]}}}
`;

export function mcpCommand(io: Io): Command {
  const command = new Command('mcp');
  return addServingOptions(addAgentOptions(command), PORT)
    .option('--http', 'listen at /mcp (streamable HTTP) in place of standard input and output')
    .addHelpText('after', examples)
    .action((options: Options) => serve(options, io));
}

async function serve(options: Options, io: Io): Promise<void> {
  const { http, host, port, allowHost: names, concurrency, queue, deadline } = options;
  const keys = keysOf(options);
  // Standard output is the protocol's: whatever else is to be said goes to stderr.
  const agent = await openAgent({ ...agentOptions(options, { out: io.err, err: io.err }), concurrency });
  try {
    const desk = new Desk(agent, { concurrency, waiting: queue, seconds: deadline });
    const { onAnswered, onRequest } = logOf(options, io);
    if (!http) return await overStandardStreams(mcpServer(desk, onAnswered));
    const server = await serveAgent(desk, mcpProtocol(onAnswered), { host, port, names, keys, onRequest });
    io.err.write(`serving ${agent.about.policy.name} at ${server.url}/mcp; Ctrl-C stops\n`);
    await untilStopped(server, deadline, io);
  } finally {
    await agent.close();
  }
}

/** Until the client closes standard input, or a signal comes. */
async function overStandardStreams(server: ReturnType<typeof mcpServer>): Promise<void> {
  await interruptible('', async (signal) => {
    const ended = new Promise<void>((resolve) => {
      process.stdin.once('end', resolve).once('close', resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await server.connect(new StdioServerTransport());
    await ended;
    await server.close();
  });
}
