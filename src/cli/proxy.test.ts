/** Behind a proxy of the environment, as companies have them: what is outside goes through it, this machine does not. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request as ask, createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type FakeHub, startFakeHub } from '../base/testing/hub-server.ts';

const command = fileURLToPath(new URL('../../bin/search-e1.js', import.meta.url));
const content = Buffer.from('{"id":"1","question":"who?","golden_answers":["x"]}\n');

let folder: string;
let hub: FakeHub;
/** Hosts that the proxy was asked for. */
const asked: string[] = [];
// Everything leads to the one server behind it, whatever its name: tunnels, and requests with the whole address.
const proxy = createServer((incoming, outgoing) => {
  const { host, pathname, search } = new URL(incoming.url!);
  asked.push(host);
  const onward = { method: incoming.method, headers: incoming.headers };
  const passed = ask(new URL(pathname + search, hub.url), onward as object, (answer) => {
    outgoing.writeHead(answer.statusCode!, answer.headers);
    answer.pipe(outgoing);
  });
  incoming.pipe(passed);
});
proxy.on('connect', (incoming, socket) => {
  asked.push(incoming.url!);
  const onward = connect(Number(new URL(hub.url).port), '127.0.0.1', () => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    onward.pipe(socket).pipe(onward);
  });
  socket.on('error', () => onward.destroy());
  onward.on('error', () => socket.destroy());
});

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'proxy-'));
  hub = await startFakeHub(new Map([['datasets/RUC-NLPIR/FlashRAG_datasets/nq/test.jsonl', { content, lfs: true }]]));
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
});
afterAll(async () => {
  proxy.closeAllConnections();
  proxy.close();
  await hub.close();
  await rm(folder, { recursive: true });
});

async function pull(endpoint: string, data: string): Promise<{ code: number; err: string }> {
  const at = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const environment = { PATH: process.env.PATH!, HF_ENDPOINT: endpoint, HTTP_PROXY: at, HTTPS_PROXY: at };
  const child = spawn(process.execPath, [command, 'data', 'pull', 'nq', '--data', data], { env: environment });
  const [err, [code]] = await Promise.all([text(child.stderr), once(child, 'close') as Promise<[number]>]);
  return { code, err };
}

it('what is outside goes through it', async () => {
  const data = path.join(folder, 'outside');
  const { code, err } = await pull('http://hub.invalid', data);
  expect([code, err]).toEqual([0, expect.not.stringContaining('search-e1:')]);
  expect(await readFile(path.join(data, 'nq/test.jsonl'))).toEqual(content);
  expect(asked.length).toBeGreaterThan(0);
  expect(asked.every((host) => host.startsWith('hub.invalid'))).toBe(true);
});

it('this machine does not', async () => {
  const before = asked.length;
  expect(await pull(hub.url, path.join(folder, 'inside'))).toMatchObject({ code: 0 });
  expect(asked).toHaveLength(before);
});
