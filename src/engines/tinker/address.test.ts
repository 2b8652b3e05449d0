import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readKey, serverUrl } from './address.ts';

describe('serverUrl', () => {
  it.each([
    ['http://127.0.0.1:8000', 'http://127.0.0.1:8000'],
    ['http://localhost:8000/api/v1/', 'http://localhost:8000'],
    ['http://[::1]:8000/', 'http://[::1]:8000'],
    ['https://host.example/services/tinker-prod/', 'https://host.example/services/tinker-prod'],
  ])('%s', (text, url) => expect(serverUrl(text, { plainHttp: false })).toBe(url));

  it.each([
    ['http://10.0.0.7:8000', 'without encryption'],
    // Not this machine, whatever it looks like.
    ['http://127.0.0.1.example.com', 'without encryption'],
    ['http://user:secret@127.0.0.1:8000', 'with a user or password'],
    ['http://127.0.0.1:8000?key=secret', 'with a query'],
    ['ftp://127.0.0.1', 'not the URL'],
    ['127.0.0.1:8000', 'not the URL'],
  ])('refuses %s, without repeating a secret', (text, reason) => {
    expect(() => serverUrl(text, { plainHttp: false })).toThrow(reason);
    expect(() => serverUrl(text, { plainHttp: false })).not.toThrow('secret');
  });

  it('reaches another machine in the clear where that is wanted', () => {
    expect(serverUrl('http://10.0.0.7:8000', { plainHttp: true })).toBe('http://10.0.0.7:8000');
  });
});

describe('readKey', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'key-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('is the file’s, else the environment’s, else none', async () => {
    const file = path.join(folder, 'key');
    await writeFile(file, 'tml-file\n');
    expect(await readKey(file, { TINKER_API_KEY: 'tml-environment' })).toBe('tml-file');
    expect(await readKey(null, { TINKER_API_KEY: 'tml-environment' })).toBe('tml-environment');
    expect(await readKey(null, { TINKER_API_KEY: '' })).toBeUndefined();
    await expect(readKey(path.join(folder, 'none'), {})).rejects.toThrow('no such file');
  });

  it.each(['', 'two\nlines', 'with space'])('refuses a file that holds %j', async (text) => {
    const file = path.join(folder, 'wrong');
    await writeFile(file, text);
    await expect(readKey(file, {})).rejects.toThrow('must hold the key on a single line');
    await expect(readKey(file, {})).rejects.not.toThrow(/two|space/);
  });
});
