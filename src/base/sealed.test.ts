import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashFolder, readSealed, sealed, verifyFiles, writeSealed } from './sealed.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'sealed-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const record = { schema: 1, latest: '0003-grpo-1', kept: { base: '0001-base', 'ü "quoted"': '0002' }, none: null };

describe('a sealed file', () => {
  it('gives back what was written', async () => {
    const file = path.join(folder, 'a.json');
    await writeSealed(file, record);
    expect(await readSealed(file)).toEqual({ value: record, isSealed: true });
    // Anything that reads JSON can read it.
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject(record);
  });

  it('is refused when any bit of it is another one', async () => {
    const file = path.join(folder, 'b.json');
    const bytes = Buffer.from(sealed(record));
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1 << (at % 8);
      await writeFile(file, changed);
      await expect(readSealed(file), `byte ${at}`).rejects.toThrow(/b\.json: (is not the file|not valid)/);
    }
  });

  it('is refused when it is cut or longer', async () => {
    const file = path.join(folder, 'c.json');
    const text = sealed(record);
    for (const changed of [text.slice(0, -1), text.slice(0, -40), text.slice(0, 20), `${text} `, text + text, '']) {
      await writeFile(file, changed);
      await expect(readSealed(file)).rejects.toThrow(/c\.json/);
    }
  });

  it('may hold any JSON, hashes and fields of that name below the top included', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json(), fc.string(), async (json, text) => {
        const file = path.join(folder, 'd.json');
        const value = { text, inner: { sha256: '1'.repeat(64) }, json: JSON.parse(json) as unknown };
        await writeSealed(file, value);
        expect(await readSealed(file)).toEqual({ value: JSON.parse(JSON.stringify(value)), isSealed: true });
      }),
      { numRuns: 50 },
    );
  });

  it('was perhaps never sealed: then it is taken as it is', async () => {
    const file = path.join(folder, 'e.json');
    await writeFile(file, JSON.stringify(record, null, 2));
    expect(await readSealed(file)).toEqual({ value: record, isSealed: false });
    await expect(readSealed(path.join(folder, 'none.json'))).rejects.toThrow('no such file');
  });
});

describe('the hashes of a folder', () => {
  it('are those of all its files, and tell which one has changed or is gone', async () => {
    const at = (...names: string[]) => path.join(folder, 'f', ...names);
    await mkdir(at('deep'), { recursive: true });
    await writeFile(at('b'), 'abc');
    await writeFile(at('deep', 'a'), '');
    const hashes = await hashFolder(at());
    expect(hashes).toEqual({
      // Of "abc" and of nothing: FIPS 180-4's examples.
      b: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
      'deep/a': 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    });
    await verifyFiles(at(), hashes);
    await writeFile(at('another'), 'is not looked at');
    await verifyFiles(at(), hashes);
    await writeFile(at('b'), 'abd');
    await expect(verifyFiles(at(), hashes)).rejects.toThrow(`${at('b')}: is not the file that was written`);
    await rm(at('b'));
    await expect(verifyFiles(at(), hashes)).rejects.toThrow(`${at('b')}: no such file`);
  });
});
