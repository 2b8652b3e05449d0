/** An agent over a scripted model server and two passages, for tests of what serves it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Script, type ScriptedServer, scriptedServer } from '../../engines/openai/testing/scripted-server.ts';
import { type Agent, openAgent } from '../../evaluation/agent.ts';
import { Desk, type DeskOptions } from '../desk.ts';
import { defaultServingOptions, type Protocol, type ServingOptions, serveAgent } from '../serve-agent.ts';

/** Searches, then answers with what the observation says. */
export const reader: Script = ({ messages }) =>
  messages.at(-1)!.content.startsWith('<information>')
    ? `<think> Found it. </think> <answer> ${/play by (\w+)/.exec(messages.at(-1)!.content)?.[1] ?? 'lost'} </answer>`
    : '<think> I have to look it up. </think> <search> author of Faust </search>';

export interface ScriptedAgent {
  readonly agent: Agent;
  readonly model: ScriptedServer;
  close(): Promise<void>;
}

export async function scriptedAgent(script: Script = reader): Promise<ScriptedAgent> {
  const folder = await mkdtemp(path.join(tmpdir(), 'serving-'));
  const corpus = path.join(folder, 'passages.jsonl');
  const passages = [
    { id: 'p1', title: 'Faust', text: 'Faust is a play by Goethe.' },
    { id: 'p2', title: '', text: 'The author of other plays.' },
  ];
  await writeFile(corpus, passages.map((passage) => `${JSON.stringify(passage)}\n`).join(''));
  const model = await scriptedServer(script);
  const agent = await openAgent({ policy: `${model.url}#scripted`, retriever: corpus, concurrency: 64 });
  return {
    agent,
    model,
    async close() {
      await agent.close();
      await model.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The agent behind a protocol, on a free port. */
export async function served(
  agent: Agent,
  protocol: Protocol,
  desk: Partial<DeskOptions> = {},
  options: Partial<ServingOptions> = {},
) {
  const waiting = new Desk(agent, { concurrency: 16, waiting: 64, seconds: 60, ...desk });
  const server = await serveAgent(waiting, protocol, { ...defaultServingOptions, port: 0, ...options });
  return { ...server, desk: waiting };
}
