/**
 * Sends a retrieval server of its own what strangers may send, and records what came of it: statuses, the server's memory, how
 * long others (GET /healthz, from a process of its own) waited meanwhile, and its longest turn in processor time (longest-turn.ts).
 *
 *   node bench/reliability/http.ts [--only NAME] [--connections 10000]      needs `ulimit -n` above twice the connections
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Random, streamKey } from '../../src/base/random.ts';
import { buildIndex } from '../../src/retrieval/index/build.ts';

const { values: given } = parseArgs({
  options: { only: { type: 'string' }, connections: { type: 'string', default: '10000' } },
});
const MiB = 2 ** 20;
const work = await mkdtemp(path.join(tmpdir(), 'hostile-'));
const command = path.join(import.meta.dirname, '../../bin/search-e1.js');

/** 4,000 passages of two kilobytes that all hold one word. */
async function makeIndex(): Promise<string> {
  const corpus = path.join(work, 'corpus.jsonl');
  const text = (i: number) => `karas number ${i} `.padEnd(2000, 'lorem ');
  await writeFile(
    corpus,
    Array.from({ length: 4000 }, (_, i) => `${JSON.stringify({ id: `${i}`, title: `P${i}`, text: text(i) })}\n`).join(
      '',
    ),
  );
  const out = path.join(work, 'index');
  await buildIndex({
    corpus: [corpus],
    out,
    analyzer: 'english',
    k1: 0.9,
    b: 0.4,
    length: 'lucene',
    memory: 2e9,
    workers: 1,
  });
  return out;
}

async function start(index: string): Promise<{ server: ChildProcess; url: string }> {
  const server = spawn(
    process.execPath,
    ['--import', path.join(import.meta.dirname, 'longest-turn.ts'), command, 'serve-retriever', index, '--port', '0'],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const lines = createInterface({ input: server.stdout! })[Symbol.asyncIterator]();
  const { value } = await lines.next();
  return { server, url: /at (http:\S+)\/retrieve/.exec(String(value))![1]! };
}

const { server, url } = await start(await makeIndex());
const port = Number(new URL(url).port);
let said = '';
server.stderr!.on('data', (data) => {
  said += String(data);
});
/** Asks /healthz every 100 ms; tells the longest wait since it was last asked. */
const probe = spawn(
  process.execPath,
  [
    '-e',
    `let longest = 0, failed = 0;
     const ask = async () => { const began = performance.now();
       await fetch('${url}/healthz', { signal: AbortSignal.timeout(60000), headers: { connection: 'close' } }).then(async (r) => { await r.text(); if (r.status !== 200) failed++; }, () => { failed++; });
       longest = Math.max(longest, performance.now() - began); setTimeout(ask, 100); };
     ask(); process.on('message', () => { process.send({ longest, failed }); longest = 0; failed = 0; }); process.on('disconnect', () => process.exit());`,
  ],
  { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
);
const waited = () =>
  new Promise<{ longest: number; failed: number }>((resolve) => {
    probe.once('message', (answer) => resolve(answer as { longest: number; failed: number }));
    probe.send('how long?');
  });
/** Resident megabytes: now, and the most so far. */
const memory = (field: 'VmRSS' | 'VmHWM') =>
  Math.round(
    Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))![1]) / 1000,
  );

/** Milliseconds of the processor that the server's longest turn has taken since this was last asked. */
async function longestTurn(): Promise<number> {
  const from = said.length;
  server.kill('SIGUSR2');
  for (;;) {
    const found = /longest turn (\d+) ms\n/.exec(said.slice(from));
    if (found !== null) return Number(found[1]);
    if (server.exitCode !== null || server.signalCode !== null) throw new Error(`the server has ended: ${said}`);
    await wait(20);
  }
}

type Counts = Map<string, number>;
const count = (counts: Counts, what: string) => counts.set(what, (counts.get(what) ?? 0) + 1);

const json = { 'Content-Type': 'application/json' };
const agent = new Agent({ keepAlive: false, maxSockets: 2000 });

/** One request; its status, or how the connection failed. `read` false: nothing of the answer is taken for a while. */
function send(
  counts: Counts,
  body: string | Buffer | undefined,
  {
    headers = json,
    method = 'POST',
    page = '/retrieve',
    read = true,
    leaveAfter = 0,
  }: {
    headers?: Record<string, string>;
    method?: string;
    page?: string;
    read?: boolean;
    leaveAfter?: number;
  } = {},
): Promise<void> {
  return new Promise((resolve) => {
    let ended = false;
    /** What comes first counts: a refusal may be heard while the request is still being sent. */
    const end = (how: string) => {
      if (!ended) count(counts, how);
      ended = true;
      resolve();
    };
    const asked = request(`${url}${page}`, { method, headers, agent }, (response) => {
      if (leaveAfter > 0) {
        setTimeout(() => asked.destroy(), leaveAfter);
        response.resume().on('close', () => end('left'));
        return;
      }
      response.on('error', () => {});
      response.on('close', () =>
        end(response.complete ? String(response.statusCode) : `${response.statusCode}, broken off`),
      );
      if (read) response.resume();
      else setTimeout(() => response.resume(), 15_000);
    });
    asked.on('error', (error: NodeJS.ErrnoException) => setTimeout(() => end(error.code ?? error.message), 100));
    asked.end(body);
  });
}

/** Sends bytes as they are; the first line of what comes back. */
function raw(counts: Counts, bytes: string | Buffer, seconds = 20): Promise<void> {
  return new Promise((done) => {
    let heard = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    const timer = setTimeout(() => socket.destroy(), 1000 * seconds);
    socket.on('data', (data) => {
      heard += heard.length < 200 ? String(data) : '';
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      count(counts, /^HTTP\/1\.1 (\d+)/.exec(heard)?.[1] ?? 'no answer');
      done();
    });
  });
}

const question = (queries: number, topk: number) =>
  JSON.stringify({ queries: Array(queries).fill('karas'), topk, return_scores: true });
const many = <T>(n: number, make: (i: number) => Promise<T>) =>
  Promise.all(Array.from({ length: n }, (_, i) => make(i)));

const scenarios: Record<string, (counts: Counts) => Promise<unknown>> = {
  'bodies of many sizes, one by one': async (counts) => {
    for (const size of [0, 1, 100, 1e5, 16 * MiB - 30, 16 * MiB, 16 * MiB + 1, 40 * MiB])
      await send(counts, size < 30 ? ' '.repeat(size) : `{"queries": [], "pad": "${'x'.repeat(size - 26)}"}`);
  },
  '64 bodies of 16 MiB at once': (counts) =>
    many(64, () => send(counts, `{"queries": [], "pad": "${'x'.repeat(16 * MiB - 26)}"}`)),
  'JSON of 16 MiB of brackets, commas, escapes': async (counts) => {
    for (const piece of ['[', '{"a":', '[],', '{},', '"",', '0,', '"\\u0000",', '\\', '"'])
      await many(4, () => send(counts, `{"queries": [${piece.repeat(Math.floor((16 * MiB - 13) / piece.length))}`));
  },
  'chunked 64 MiB, a length that is a lie': async (counts) => {
    await send(counts, 'x'.repeat(64 * MiB), { headers: { ...json, 'Transfer-Encoding': 'chunked' } });
    await raw(
      counts,
      `POST /retrieve HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n{"queries": []}`,
    );
    await raw(
      counts,
      `POST /retrieve HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999999999999\r\n\r\n{`,
    );
    await raw(
      counts,
      `POST /retrieve HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    );
  },
  '2,000 requests of wrong types': (counts) => {
    const random = new Random(streamKey(1, 'types'));
    const values = [
      null,
      -1,
      0,
      2.5,
      1e308,
      '3',
      'x'.repeat(20_000),
      [],
      {},
      [[]],
      [null],
      [['a']],
      true,
      { queries: {} },
      Number.MAX_SAFE_INTEGER,
    ];
    const pick = () => values[random.below(values.length)];
    return many(2000, () => send(counts, JSON.stringify({ queries: pick(), topk: pick(), return_scores: pick() })));
  },
  '8,192 queries of 1,900 characters, 8 at once': (counts) => {
    const body = JSON.stringify({
      queries: Array.from({ length: 8192 }, (_, i) => `karas ${i} lorem `.repeat(110).slice(0, 1900)),
      topk: 3,
    });
    return many(8, () => send(counts, body));
  },
  'answers of 410 MB: 800 x 1,000 refused, 100 x 1,000 by 1 and by 20 clients': async (counts) => {
    await send(counts, question(800, 1000));
    await send(counts, question(100, 1000));
    await many(20, () => send(counts, question(100, 1000)));
  },
  '200 clients that ask for 410 MB and read nothing': (counts) =>
    many(200, () => send(counts, question(100, 1000), { read: false })),
  '300 clients that leave in the middle': (counts) =>
    many(300, (i) => send(counts, question(100, 100), { leaveAfter: 1 + (i % 50) })),
  '500 that send a header a second, 500 half a body': async (counts) => {
    const slow = many(500, async () => {
      const heard = { text: '' };
      const socket = connect(port, '127.0.0.1');
      socket
        .on('error', () => {})
        .on('data', (data) => {
          heard.text += String(data);
        });
      const closed = new Promise<void>((done) => socket.on('close', () => done()));
      socket.write('POST /retrieve HTTP/1.1\r\nHost: localhost\r\n');
      const timer = setInterval(() => socket.write('X-A: b\r\n'), 1000);
      await closed;
      clearInterval(timer);
      count(counts, /^HTTP\/1\.1 (\d+)/.exec(heard.text)?.[1] ?? 'closed');
    });
    const half = many(500, () =>
      raw(
        counts,
        'POST /retrieve HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"que',
        60,
      ),
    );
    await Promise.all([slow, half]);
  },
  [`${given.connections} connections at once`]: async (counts) => {
    const sockets: Socket[] = [];
    await many(Number(given.connections), async () => {
      const socket = connect(port, '127.0.0.1');
      sockets.push(socket);
      let heard = '';
      socket.on('data', (data) => {
        heard += String(data);
      });
      socket.on('error', () => {});
      await new Promise<void>((done) => {
        socket.once('connect', () =>
          socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'),
        );
        socket.once('close', () => done());
      });
      count(counts, /^HTTP\/1\.1 (\d+)/.exec(heard)?.[1] ?? 'closed without a word');
    });
  },
  '50 connections with 60 requests in one piece, 50 with 1,000': async (counts) => {
    const body = question(1, 3);
    const one = `POST /retrieve HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const last = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    await many(50, () => raw(counts, one.repeat(59) + last, 120));
    await many(50, () => raw(counts, one.repeat(999) + last, 120));
  },
  'what is no request, or not for this server': async (counts) => {
    const random = new Random(streamKey(1, 'bytes'));
    const bytes = () => Buffer.from(Array.from({ length: 200 }, () => random.below(256)));
    await many(200, () => raw(counts, bytes(), 3));
    const heads = [
      ...[
        'GET / HTTP/9.9',
        'GET /healthz',
        'PRI * HTTP/2.0',
        'CONNECT a:1 HTTP/1.1',
        'TRACE / HTTP/1.1',
        'GET http://evil.example/ HTTP/1.1',
      ],
      ...[
        'POST /retrieve HTTP/1.1\r\nHost: evil.example',
        'POST /retrieve HTTP/1.1\r\nHost: localhost\r\nOrigin: null',
        'GET /healthz HTTP/1.1',
      ],
      ...[
        `GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(20_000)}`,
        `GET /${'a'.repeat(70_000)} HTTP/1.1\r\nHost: localhost`,
      ],
      ...[
        'GET /healthz HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade',
        'GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b',
      ],
    ];
    for (const head of heads) await many(20, () => raw(counts, `${head}\r\n\r\n`, 12));
    for (const headers of [
      {},
      { ...json, Origin: 'http://evil.example' },
      { 'Content-Type': 'text/plain' },
      { ...json, 'Content-Encoding': 'gzip' },
    ] as Record<string, string>[])
      await many(20, () => send(counts, question(1, 1), { headers }));
  },
};

process.stdout.write(`${JSON.stringify({ at: 'start', memory: memory('VmRSS') })}\n`);
await wait(500);
await waited();
await longestTurn();
for (const [name, run] of Object.entries(scenarios)) {
  if (given.only !== undefined && !name.includes(given.only)) continue;
  const counts: Counts = new Map();
  const began = performance.now();
  await run(counts);
  const seconds = (performance.now() - began) / 1000;
  await wait(1500);
  const { longest, failed } = await waited();
  const after: Counts = new Map();
  await send(after, question(1, 3));
  const row = { scenario: name, seconds: Number(seconds.toFixed(1)), ...Object.fromEntries(counts) };
  const others = {
    longestWait: Number((longest / 1000).toFixed(2)),
    longestTurn: await longestTurn(),
    refusedMeanwhile: failed,
    afterwards: [...after.keys()][0],
  };
  process.stdout.write(`${JSON.stringify({ ...row, ...others, memory: memory('VmRSS'), peak: memory('VmHWM') })}\n`);
}
server.kill('SIGTERM');
const code = await new Promise((resolve) => server.once('exit', (status, signal) => resolve(status ?? signal)));
process.stdout.write(`${JSON.stringify({ at: 'end', code, said: said.replace(/longest turn.*\n/g, '').trim() })}\n`);
probe.kill();
await rm(work, { recursive: true });
