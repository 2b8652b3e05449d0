/**
 * `npm run bench:serving [-- --clients 1,8,32] [--seconds 60] [--soak 180] [-- further options of serve]`: answers a second and
 * seconds to an answer of `search-e1 serve` with the embedded base policy, asked about its world over HTTP by clients that each wait
 * for their answer; then its memory under load. Server and clients share the machine.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { presets } from '../../src/evolve/presets.ts';
import { generateWorld } from '../../src/world/generate.ts';
import { evaluationQuestions, SUITES } from '../../src/world/suites.ts';

const { values, positionals } = parseArgs({
  options: {
    clients: { type: 'string', default: '1,8,32' },
    seconds: { type: 'string', default: '60' },
    soak: { type: 'string', default: '180' },
  },
  allowPositionals: true,
});

const world = generateWorld(presets.default.world.seed, presets.default.world.size);
const questions = SUITES.flatMap((suite) => evaluationQuestions(world, suite, 60)).map(({ question }) => question);

const command = path.join(import.meta.dirname, '../../bin/search-e1.js');
const server = spawn(
  process.execPath,
  [command, 'serve', '--port', '0', '--json', '--concurrency', '32', ...positionals],
  {
    stdio: ['ignore', 'pipe', 'inherit'],
  },
);
const { url } = await new Promise<{ url: string }>((resolve) =>
  server.stdout.once('data', (line) => resolve(JSON.parse(String(line)))),
);

let next = 0;
async function ask(): Promise<void> {
  const content = questions[next++ % questions.length]!;
  const response = await fetch(`${url}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'base', messages: [{ role: 'user', content }] }),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  await response.json();
}

/** Seconds to each answer, of so many clients for so long. */
async function load(clients: number, seconds: number): Promise<number[]> {
  const taken: number[] = [];
  const until = performance.now() + 1000 * seconds;
  const client = async () => {
    while (performance.now() < until) {
      const began = performance.now();
      await ask();
      taken.push((performance.now() - began) / 1000);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return taken;
}

async function residentMegabytes(): Promise<number> {
  const text = await (await fetch(new URL('/metrics', url))).text();
  return Number(/^search_e1_resident_bytes (\d+)$/m.exec(text)![1]) / 1e6;
}

try {
  await load(8, 5);
  for (const clients of values.clients.split(',').map(Number)) {
    const began = performance.now();
    const taken = (await load(clients, Number(values.seconds))).sort((a, b) => a - b);
    const seconds = (performance.now() - began) / 1000;
    const quantile = (share: number) => taken[Math.min(taken.length - 1, Math.floor(share * taken.length))]!.toFixed(3);
    console.log(
      `${clients} clients: ${(taken.length / seconds).toFixed(1)} answers/s, p50 ${quantile(0.5)} s, p95 ${quantile(0.95)} s, ` +
        `${taken.length} answers, ${(await residentMegabytes()).toFixed(0)} MB`,
    );
  }
  const soak = Number(values.soak);
  const memory: string[] = [];
  let answers = 0;
  for (let part = 0; part < 10 && soak > 0; part++) {
    answers += (await load(16, soak / 10)).length;
    memory.push((await residentMegabytes()).toFixed(0));
  }
  if (soak > 0)
    console.log(
      `memory over ${soak} s and ${answers} answers, 16 clients, every ${soak / 10} s: ${memory.join(' ')} MB`,
    );
} finally {
  server.kill('SIGTERM');
}
