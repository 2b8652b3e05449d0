import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { downloadHubFile, type HubFile, hubFileInfo } from './hub-file.ts';
import { type FakeHub, startFakeHub } from './testing/hub-server.ts';

const content = Buffer.from(Array.from({ length: 20_000 }, (_, i) => (i * 31) % 251));
const small = Buffer.from('{"id": 1}\n');
const large: HubFile = { type: 'dataset', repository: 'own/set', revision: 'main', path: 'nq/large.bin' };
const plain: HubFile = { type: 'model', repository: 'own/model', revision: 'main', path: 'config.json' };

let folder: string;
let hub: FakeHub;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'hub-'));
  hub = await startFakeHub(
    new Map([
      ['datasets/own/set/nq/large.bin', { content, lfs: true }],
      ['own/model/config.json', { content: small, lfs: false }],
      ['own/model/empty', { content: Buffer.alloc(0), lfs: false }],
    ]),
  );
  vi.stubEnv('HF_ENDPOINT', `${hub.url}/`);
  vi.stubEnv('HF_TOKEN', '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  await rm(folder, { recursive: true });
});

async function download(file: HubFile, signal?: AbortSignal): Promise<Buffer> {
  const target = path.join(folder, 'sub', path.basename(file.path));
  const info = await hubFileInfo(file);
  await downloadHubFile(file, info, target, { backOff: 1, ...(signal === undefined ? {} : { signal }) });
  expect(await readdir(path.dirname(target))).toEqual([path.basename(file.path)]);
  return readFile(target);
}

describe('a file of the Hub', () => {
  it.each([
    ['in LFS', large, content],
    ['in git', plain, small],
    ['empty', { ...plain, path: 'empty' }, Buffer.alloc(0)],
  ])('%s comes as it is', async (_name, file, expected) => {
    expect(await download(file)).toEqual(expected);
  });

  it('is continued where the connection was cut, and asked for again after a server error', async () => {
    hub.faults.push({ cutAfter: 7000 }, { status: 500 }, { cutAfter: 5000 }, { status: 429 });
    expect(await download(large)).toEqual(content);
    expect(hub.requests[0]).toBe('bytes=0-');
    const starts = hub.requests.map((range) => Number(range.match(/\d+/)));
    expect(starts.at(-1)).toBeGreaterThan(0);
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
  });

  it('is continued by a later call', async () => {
    const target = path.join(folder, 'later.bin');
    const info = await hubFileInfo(large);
    await writeFile(`${target}.${info.checksum.value.slice(0, 16)}.part`, content.subarray(0, 12_345));
    const seen: number[] = [];
    await downloadHubFile(large, info, target, { onProgress: (bytes) => seen.push(bytes) });
    expect(hub.requests).toEqual(['bytes=12345-']);
    expect(seen.at(-1)).toBe(content.length);
    expect(await readFile(target)).toEqual(content);
  });

  it('is refused and removed when its checksum is wrong', async () => {
    hub.faults.push({ flip: true });
    await expect(download(large)).rejects.toThrow(/own\/set@main\/nq\/large\.bin: the content does not match/);
    expect(await readdir(path.join(folder, 'sub'))).toEqual([]);
  });

  it('fails after some attempts, and keeps what it has', async () => {
    hub.faults.push({ cutAfter: 3000 }, ...Array.from({ length: 9 }, () => ({ status: 503 })));
    await expect(download(large)).rejects.toThrow(/could not be fetched from .*expected status 206, found 503/);
    expect(await readdir(path.join(folder, 'sub'))).toEqual([expect.stringMatching(/^large\.bin\..*\.part$/)]);
  });

  it('stops when told to', async () => {
    const controller = new AbortController();
    controller.abort(new Error('enough'));
    await expect(download(large, controller.signal)).rejects.toThrow('enough');
  });
});

describe('errors say what to do', () => {
  it.each([
    ['no such file', { ...plain, path: 'none' }, /own\/model@main\/none: no such file in the repository/],
    ['no such repository', { ...plain, repository: 'own/none' }, /own\/none@main\/config\.json: the Hub answered 404/],
  ])('%s', async (_name, file, message) => {
    await expect(hubFileInfo(file)).rejects.toThrow(message);
  });

  it('a Hub out of reach', async () => {
    await hub.close();
    await expect(hubFileInfo(plain)).rejects.toThrow(/could not be fetched from http:\/\/127\.0\.0\.1.*ECONNREFUSED/);
  });

  it('a token that is none', async () => {
    vi.stubEnv('HF_TOKEN', 'secret');
    await expect(hubFileInfo(plain)).rejects.toThrow(/HF_TOKEN: expected a token that begins with hf_/);
  });
});
