/** PyPI's openai package against `search-e1 serve`, both in processes of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAgent } from '../src/evaluation/agent.ts';
import { pythonOf } from './peer.ts';

const python = pythonOf('openai');
const question = "what is person firo fuzir 's birthplace ?";

describe.skipIf(python === undefined)("PyPI's openai package", () => {
  let server: ChildProcess;
  let url: string;
  beforeAll(async () => {
    server = spawn(process.execPath, ['bin/search-e1.js', 'serve', '--port', '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    url = await new Promise<string>((resolve, reject) => {
      server.once('exit', (code) => reject(new Error(`serve ended with ${code}`)));
      createInterface(server.stdout!).on('line', (line) => {
        const [found] = /http:\/\/[\w.:]+/.exec(line) ?? [];
        if (found !== undefined) resolve(found);
      });
    });
  });
  afterAll(() => server.kill());

  it('has the same answers, refusals and streams as every other client', async () => {
    const agent = await openAgent({});
    const { answer } = await agent.ask(question);
    await agent.close();
    expect(answer).not.toBeNull();
    const script = path.join(import.meta.dirname, 'openai_client.py');
    const client = spawn(python!, [script, `${url}/v1`, question, answer!], { stdio: ['ignore', 'pipe', 'pipe'] });
    const [said, errors] = await Promise.all([text(client.stdout), text(client.stderr)]);
    expect(errors).toBe('');
    expect(said).toMatch(
      /^openai 3\.57\.0: whole, streamed, refused, twenty at once and left alone are as they should be/,
    );
  });
});
