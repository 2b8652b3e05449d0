/**
 * Records what hatchery-core 0.3.0 says to this client in one short run (testing/conversation.ts), for the default suite, which has no
 * Python:
 *
 *     node live/record.ts && npx biome check --write src/engines/tinker/testing
 *
 * Keys stand in headers alone, and those are not kept; names of the machine and times are taken out.
 */
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { converse } from '../src/engines/tinker/testing/conversation.ts';
import type { Exchange, Transcript } from '../src/engines/tinker/testing/replay.ts';
import { KEY, pythonOf, startHatchery, tinyModel } from './peer.ts';

const BASE_MODEL = 'tiny-qwen2';
const python = pythonOf('hatchery');
if (python === undefined) process.exit(1);
const model = tinyModel('qwen2', python);
const peer = await startHatchery(python, { model });
const exchanges: Exchange[] = [];

/** Passes every request on, under the model's own name. */
const proxy = createServer(async (request, response) => {
  let text = '';
  for await (const part of request.setEncoding('utf8')) text += part;
  const answer = await fetch(peer.url + request.url, {
    method: request.method!,
    headers: { 'content-type': 'application/json', 'x-api-key': String(request.headers['x-api-key']) },
    ...(text !== '' && { body: text.replaceAll(BASE_MODEL, model) }),
  });
  const said = (await answer.text()).replaceAll(model, BASE_MODEL);
  const name = new URL(request.url!, peer.url).pathname;
  if (name !== '/api/v1/session_heartbeat')
    exchanges.push({
      method: request.method!,
      path: request.url!,
      body: text === '' ? null : JSON.parse(text),
      status: answer.status,
      answer: withoutTimes(JSON.parse(said)),
    });
  response.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(said);
});
await new Promise<void>((listening) => proxy.listen(0, '127.0.0.1', listening));
const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
try {
  await converse({ url, key: KEY, profile: 'hatchery', baseModel: BASE_MODEL });
} finally {
  proxy.close();
  await peer.close();
}
const transcript: Transcript = { server: 'hatchery-core 0.3.0', baseModel: BASE_MODEL, exchanges };
const text = JSON.stringify(transcript, null, 1);
if (text.includes(KEY) || text.includes(path.dirname(model)))
  throw new Error('a key or a path of this machine is left');
const folder = path.join(import.meta.dirname, '..', 'src', 'engines', 'tinker', 'testing');
await writeFile(path.join(folder, 'hatchery-0.3.0.json'), `${text}\n`);
console.log(`${exchanges.length} exchanges, ${text.length} bytes`);

/** Times of day and durations are null. */
function withoutTimes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutTimes);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      /(_at|_ms|time|seconds)$/.test(key) ? null : withoutTimes(inner),
    ]),
  );
}
