import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { UserError } from '../base/errors.ts';
import { COMMIT, type FakeFile, type FakeHub, startFakeHub } from '../base/testing/hub-server.ts';
import { type DownloadProgress, describeModel, locateModel } from './hub-model.ts';

const weights = Buffer.from(Array.from({ length: 400_000 }, (_, i) => (i * 17) % 251));
const text = (content: string): FakeFile => ({ content: Buffer.from(content), lfs: false });
const repository: [string, FakeFile][] = [
  ['own/model/README.md', text('not needed')],
  ['own/model/config.json', text('{"model_type": "qwen2"}')],
  ['own/model/generation_config.json', text('{"eos_token_id": 3}')],
  ['own/model/model.safetensors', { content: weights, lfs: true }],
  ['own/model/model-00001-of-00001.safetensors', { content: weights.subarray(1), lfs: true }],
  ['own/model/pytorch_model.bin', { content: weights.subarray(2), lfs: true }],
  ['own/model/tokenizer.json', text('{"model": {}}')],
];

let home: string;
let hub: FakeHub;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'search-e1-hub-'));
  hub = await startFakeHub(
    new Map([
      ...repository,
      ['own/bare/config.json', text('{}')],
      ['own/bare/tokenizer.json', text('{}')],
      ['own/bare/pytorch_model.bin', { content: weights, lfs: true }],
      ['own/gguf/q8.gguf', { content: weights, lfs: true }],
      ['own/gguf/deep/q4.GGUF', { content: weights.subarray(3), lfs: true }],
    ]),
  );
  vi.stubEnv('HF_ENDPOINT', hub.url);
  vi.stubEnv('HF_HOME', home);
  for (const name of ['HF_TOKEN', 'HF_HUB_OFFLINE']) vi.stubEnv(name, '');
  for (const name of ['HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE']) vi.stubEnv(name, undefined);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  await rm(home, { recursive: true });
});

const storage = () => path.join(home, 'hub', 'models--own--model');
const snapshot = () => path.join(storage(), 'snapshots', COMMIT);

describe('locateModel', () => {
  it('leaves folders alone, and asks nobody', async () => {
    await hub.close();
    expect(await locateModel('runs/x')).toEqual({ folder: 'runs/x', place: 'runs/x' });
  });

  it("brings what is needed into the cache, in Hugging Face's layout", async () => {
    const seen: DownloadProgress[] = [];
    const found = await locateModel('hf:own/model', { onDownload: (progress) => seen.push(progress) });
    expect(found).toEqual({ folder: snapshot(), place: `hf:own/model@${COMMIT}` });
    expect((await readdir(snapshot())).sort()).toEqual([
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'tokenizer.json',
    ]);
    expect(await readFile(path.join(snapshot(), 'model.safetensors'))).toEqual(weights);
    expect(await readlink(path.join(snapshot(), 'model.safetensors'))).toMatch(/^\.\.\/\.\.\/blobs\/[0-9a-f]{64}$/);
    expect(await readlink(path.join(snapshot(), 'config.json'))).toMatch(/^\.\.\/\.\.\/blobs\/[0-9a-f]{40}$/);
    expect(await readFile(path.join(storage(), 'refs', 'main'), 'utf8')).toBe(COMMIT);
    const total = weights.length + 23 + 19 + 13;
    expect(seen.at(-1)).toEqual({ name: 'own/model', bytes: total, total });
  });

  it('goes on after a cut where it was cut, and fetches nothing twice', async () => {
    const controller = new AbortController();
    const stopping = locateModel('hf:own/model', {
      signal: controller.signal,
      onDownload: ({ bytes }) => bytes > 20_000 && controller.abort(new Error('stopped')),
    });
    await expect(stopping).rejects.toThrow('stopped');
    hub.requests.length = 0;
    await locateModel('hf:own/model@main');
    expect(hub.requests.filter((range) => !range.startsWith('bytes=0-'))).toHaveLength(1);
    expect(await readFile(path.join(snapshot(), 'model.safetensors'))).toEqual(weights);
    hub.requests.length = 0;
    await locateModel(`hf:own/model@${COMMIT}`);
    expect(hub.requests).toEqual([]);
  });

  it('uses the cache when told to, or when the Hub is out of reach', async () => {
    await expect(locateModel('hf:own/model', { offline: true })).rejects.toThrow(/hf:own\/model: is not in the cache/);
    await locateModel('hf:own/model');
    await hub.close();
    const found = { folder: snapshot(), place: `hf:own/model@${COMMIT}` };
    for (const place of ['hf:own/model', `hf:own/model@${COMMIT}`]) {
      expect(await locateModel(place, { offline: true })).toEqual(found);
      expect(await locateModel(place)).toEqual(found);
    }
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    expect(await locateModel('hf:own/model')).toEqual(found);
    await rm(path.join(snapshot(), 'model.safetensors'));
    await expect(locateModel('hf:own/model')).rejects.toThrow(/not in the cache .*, or not complete/);
  });

  it('brings one GGUF file, from the top of a repository or a folder in it', async () => {
    for (const [file, content] of [
      ['q8.gguf', weights],
      ['deep/q4.GGUF', weights.subarray(3)],
    ] as const) {
      await expect(locateModel(`hf:own/gguf/${file}`, { offline: true })).rejects.toThrow(/is not in the cache/);
      await expect(describeModel(`hf:own/gguf/${file}`)).rejects.toThrow(
        /only the file itself says what it is \(0\.4 MB\)/,
      );
      const found = await locateModel(`hf:own/gguf/${file}@main`);
      expect(found.place).toBe(`hf:own/gguf/${file}@${COMMIT}`);
      expect(await readFile(found.folder)).toEqual(content);
      expect(path.basename(found.folder)).toBe(path.basename(file));
      expect(await locateModel(found.place, { offline: true })).toEqual(found);
      expect(await locateModel(`hf:own/gguf/${file}`, { offline: true })).toEqual(found);
      expect(await describeModel(`hf:own/gguf/${file}`)).toEqual({ ...found, missing: null });
    }
    await expect(locateModel('hf:own/gguf/none.gguf')).rejects.toThrow(/none\.gguf: no such file/);
    const error = await locateModel('hf:own/gguf').catch((thrown: UserError) => thrown);
    expect((error as UserError).hint).toMatch(/hf:OWNER\/NAME\/q8\.gguf/);
  });

  it.each([
    ['hf:own/gguf/../x.gguf', /expected hf:OWNER\/NAME/],
    ['hf:own/gguf/x.bin', /expected hf:OWNER\/NAME/],
    ['hf:model', /hf:model: expected hf:OWNER\/NAME/],
    ['hf:own/model@', /expected hf:OWNER\/NAME/],
    ['hf:../model', /expected hf:OWNER\/NAME/],
    ['hf:own/model@a/../../b', /expected hf:OWNER\/NAME/],
    ['hf:own/none', /own\/none@main: the Hub answered 404/],
    ['hf:own/model@none', /own\/model@none: the Hub answered 404/],
    ['hf:own/bare', /hf:own\/bare: the repository has no weights in safetensors/],
  ])('refuses %s', async (place, message) => {
    await expect(locateModel(place)).rejects.toThrow(UserError);
    await expect(locateModel(place)).rejects.toThrow(message);
  });
});
