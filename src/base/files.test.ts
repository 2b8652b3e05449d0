import { createWriteStream } from 'node:fs';
import { link, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { UserError } from './errors.ts';
import {
  fileError,
  hashFile,
  makeFolder,
  readJson,
  readJsonLines,
  readLines,
  readText,
  sha256,
  shareFolder,
  shortage,
  TEXT_FILE_BYTES,
  writeFileAtomic,
} from './files.ts';

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  return { ...real, link: vi.fn(real.link) };
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'search-e1-files-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function lines(file: string) {
  const out = [];
  for await (const line of readJsonLines(file)) out.push(line);
  return out;
}

describe('writeFileAtomic', () => {
  it('creates folders, replaces whole files and leaves nothing temporary behind', async () => {
    const file = path.join(folder, 'a', 'b', 'file.txt');
    await writeFileAtomic(file, 'one');
    await writeFileAtomic(file, [Buffer.from('tw'), Buffer.from('o')]);
    expect(await readFile(file, 'utf8')).toBe('two');
    expect(await readdir(path.dirname(file))).toEqual(['file.txt']);
  });

  it('keeps the old file when writing fails, and says why', async () => {
    const file = path.join(folder, 'kept.txt');
    await writeFileAtomic(file, 'old');
    await expect(writeFileAtomic(path.join(file, 'below'), 'new')).rejects.toThrow(UserError);
    expect(await readFile(file, 'utf8')).toBe('old');
  });

  it.runIf(process.platform === 'linux')('reports a full disk as the user’s to mend', async () => {
    // A broken write must not leave its temporary file: /dev/full accepts the open and refuses the bytes.
    const { fileError } = await import('./files.ts');
    const error = await writeFile('/dev/full', 'x').catch((e: unknown) => fileError(e, 'runs/x/state.json', 'write'));
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toBe('runs/x/state.json: the disk is full');
  });
});

describe('readLines', () => {
  const texts = async (content: Uint8Array | string, name = 'lines.txt') => {
    const file = path.join(folder, name);
    await writeFile(file, content);
    const found: string[] = [];
    for await (const { line, text } of readLines(file)) {
      expect(line).toBe(found.length + 1);
      found.push(text);
    }
    return found;
  };

  it('takes the lines of all systems, with a byte order mark or without', async () => {
    for (const end of ['\n', '\r\n', '\r'])
      for (const mark of ['', '\ufeff'])
        for (const last of ['', end])
          expect(await texts(`${mark}a${end}${end}b\u2028c${last}`)).toEqual(['a', '', 'b\u2028c']);
    expect(await texts('')).toEqual([]);
    expect(await texts('\ufeff')).toEqual([]);
  });

  it('unpacks by content, whatever the name', async () => {
    for (const pack of [gzipSync, zstdCompressSync, (text: string) => Buffer.from(text)])
      for (const name of ['x.jsonl', 'x.jsonl.gz']) expect(await texts(pack('\ufeffa\nb'), name)).toEqual(['a', 'b']);
    expect(await texts(Buffer.concat([gzipSync('a\n'), gzipSync('b\n')]))).toEqual(['a', 'b']);
  });

  it('cuts nowhere, wherever the chunks end', async () => {
    const lines = Array.from({ length: 400 }, (_, i) => 'é€😀'.repeat(i * 3));
    expect(await texts(lines.join('\n'))).toEqual(lines);
  });

  it('refuses a line that is not UTF-8, and gives the others', async () => {
    const file = path.join(folder, 'latin1.txt');
    await writeFile(file, Buffer.from('good\ncaf\xe9\r\nlast \xc3\xa9', 'latin1'));
    const seen = [];
    for await (const entry of readLines(file)) {
      try {
        seen.push(entry.text);
      } catch (error) {
        seen.push((error as UserError).message);
      }
    }
    expect(seen).toEqual(['good', `${file}:2: not UTF-8: byte E9 at position 4`, 'last é']);
    await expect(lines(file)).rejects.toThrow(`${file}:1: not valid JSON`);
  });

  it('names what is no text', async () => {
    await expect(texts('PAR1 and so on', 'p.jsonl')).rejects.toThrow('is a Parquet file');
    await expect(texts(Buffer.from('\ufeff{"a":1}', 'utf16le'))).rejects.toThrow('UTF-16');
    await expect(texts(Buffer.concat([gzipSync('a\n'), Buffer.from('text behind')]))).rejects.toThrow(
      'follows the end',
    );
  });

  it('ends a line that has no end in a sentence, within its bounds', async () => {
    const file = path.join(folder, 'endless.jsonl.gz');
    const megabyte = Buffer.alloc(1 << 20, 'a');
    await pipeline(
      Readable.from(Array.from({ length: 650 }, () => megabyte)),
      createGzip({ level: 1 }),
      createWriteStream(file),
    );
    expect((await stat(file)).size).toBeLessThan(5e6);
    await expect(lines(file)).rejects.toThrow(`${file}:1: a line of more than 64 MB`);
  });
});

describe('readText', () => {
  it('reads what is text, and neither packed files nor those without an end', async () => {
    const file = path.join(folder, 't.json');
    await writeFile(file, '\ufeff{"a":"é"}');
    expect(await readText(file)).toBe('{"a":"é"}');
    expect(await readJson(file)).toEqual({ a: 'é' });
    await writeFile(file, gzipSync('{}'));
    await expect(readText(file)).rejects.toThrow('compressed by gzip');
    await writeFile(file, '{}');
    await truncate(file, TEXT_FILE_BYTES + 1);
    await expect(readText(file)).rejects.toThrow('larger than 128 MB');
  });

  it.runIf(process.platform === 'linux')('stops at a device that has no end', async () => {
    await expect(readText('/dev/zero')).rejects.toThrow('larger than 128 MB');
  });
});

it('every refusal of the system is a sentence', () => {
  const codes = ['EFBIG', 'ENAMETOOLONG', 'EMFILE', 'EIO', 'ESTALE', 'ENXIO', 'EDQUOT', 'ELOOP', 'ENOENT', 'EBUSY'];
  for (const code of codes) {
    const error = fileError(
      Object.assign(new Error(`${code}: words, open 'x'`), { code, syscall: 'open' }),
      'x',
      'read',
    );
    expect(error).toBeInstanceOf(UserError);
    expect(error.message).toMatch(/^x: /);
  }
});

it.each([`a\u0000b`, 'x'.repeat(300)])('a name that no file can have is refused in a sentence', async (name) => {
  await expect(readText(path.join(folder, name))).rejects.toThrow(UserError);
  await expect(writeFileAtomic(path.join(folder, name), '')).rejects.toThrow(UserError);
  await expect(hashFile(path.join(folder, name))).rejects.toThrow(UserError);
});

describe('readJsonLines', () => {
  it('tells what is JSON and no JSONL', async () => {
    const file = path.join(folder, 'list.jsonl');
    for (const list of ['[{"a":1},{"a":2}]', '[\n{"a":1}\n]']) {
      await writeFile(file, list);
      await expect(lines(file)).rejects.toThrow(
        `${file}:1: ${list.includes('\n') ? 'not valid JSONL: a list' : 'expected a JSON object'}`,
      );
    }
    await writeFile(file, '{\n "a": 1\n}\n');
    await expect(lines(file)).rejects.toThrow('a record over many lines');
  });

  const text = '{"a":1}\n\n  \r\n{"a":2}';

  it('reads plain and gzip files with their line numbers', async () => {
    await writeFile(path.join(folder, 'x.jsonl'), text);
    await writeFile(path.join(folder, 'x.jsonl.gz'), gzipSync(text));
    const expected = [
      { line: 1, value: { a: 1 } },
      { line: 4, value: { a: 2 } },
    ];
    expect(await lines(path.join(folder, 'x.jsonl'))).toEqual(expected);
    expect(await lines(path.join(folder, 'x.jsonl.gz'))).toEqual(expected);
  });

  it('names file and line of what is not JSON', async () => {
    const file = path.join(folder, 'bad.jsonl');
    await writeFile(file, '{"a":1}\n{oops');
    await expect(lines(file)).rejects.toThrow(`${file}:2: not valid JSON`);
  });

  it.each(['missing.jsonl', 'missing.jsonl.gz'])('reports %s', async (name) => {
    await expect(lines(path.join(folder, name))).rejects.toThrow('no such file');
  });

  it('reports cut and damaged gzip data', async () => {
    const whole = gzipSync(JSON.stringify({ a: 'x'.repeat(5000), b: Math.PI }));
    await writeFile(path.join(folder, 'cut.jsonl.gz'), whole.subarray(0, whole.length - 12));
    const spoilt = Buffer.from(whole);
    spoilt[0]! ^= 0xff;
    await writeFile(path.join(folder, 'not.jsonl.gz'), spoilt);
    const bent = Buffer.from(whole);
    bent[40]! ^= 0xff;
    await writeFile(path.join(folder, 'bent.jsonl.gz'), bent);
    await writeFile(path.join(folder, 'cut.zst'), zstdCompressSync('{}\n'.repeat(99)).subarray(0, -5));
    await expect(lines(path.join(folder, 'cut.zst'))).rejects.toThrow('damaged zstd data');
    for (const name of ['cut', 'not', 'bent'])
      await expect(lines(path.join(folder, `${name}.jsonl.gz`))).rejects.toThrow('damaged gzip data');
  });

  it('does not wait for the rest of a file that is not wanted', async () => {
    await writeFile(path.join(folder, 'long.jsonl'), '{"a":1}\n'.repeat(50_000));
    for await (const { value } of readJsonLines(path.join(folder, 'long.jsonl'))) {
      expect(value).toEqual({ a: 1 });
      break;
    }
  });
});

it('readJson names the file', async () => {
  await writeFile(path.join(folder, 'c.json'), '{');
  await expect(readJson(path.join(folder, 'c.json'))).rejects.toThrow(`${path.join(folder, 'c.json')}: not valid JSON`);
  await expect(readJson(path.join(folder, 'd.json'))).rejects.toThrow('no such file');
  await expect(readJson(folder)).rejects.toThrow('is a directory');
});

it('sha256 of the empty text is the published value', () => {
  expect(sha256()).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

describe('makeFolder', () => {
  it('creates what is missing and leaves what is there', async () => {
    const deep = path.join(folder, 'x', 'y', 'z');
    await makeFolder(deep);
    await makeFolder(deep);
    expect(await readdir(path.join(folder, 'x', 'y'))).toEqual(['z']);
  });

  it.runIf(process.platform === 'linux')('ends with an error where nothing can be created', async () => {
    await expect(makeFolder('/proc/search-e1/run')).rejects.toThrow(UserError);
  });

  it('names the path when a part of it is a file', async () => {
    await writeFileAtomic(path.join(folder, 'file'), '');
    await expect(makeFolder(path.join(folder, 'file', 'below'))).rejects.toThrow('not a directory');
  });
});

describe('a shared folder', () => {
  const inode = async (...names: string[]) => (await stat(path.join(folder, ...names))).ino;

  it('has the files of the first, not copies of them', async () => {
    await writeFileAtomic(path.join(folder, 'first', 'deep', 'a'), 'one');
    await shareFolder(path.join(folder, 'first'), path.join(folder, 'second'));
    expect(await inode('second', 'deep', 'a')).toBe(await inode('first', 'deep', 'a'));
    // Files are replaced, never changed.
    await writeFileAtomic(path.join(folder, 'second', 'deep', 'a'), 'two');
    expect(await readFile(path.join(folder, 'first', 'deep', 'a'), 'utf8')).toBe('one');
  });

  it('has copies where the file system has no links', async () => {
    vi.mocked(link).mockRejectedValueOnce(Object.assign(new Error('cross-device link'), { code: 'EXDEV' }));
    await shareFolder(path.join(folder, 'first'), path.join(folder, 'third'));
    expect(await inode('third', 'deep', 'a')).not.toBe(await inode('first', 'deep', 'a'));
    expect(await readFile(path.join(folder, 'third', 'deep', 'a'), 'utf8')).toBe('one');
  });

  it('is refused without a first', async () => {
    await expect(shareFolder(path.join(folder, 'none'), path.join(folder, 'fourth'))).rejects.toThrow(UserError);
  });
});

describe('shortage', () => {
  const failed = (message: string, more: object = {}) => Object.assign(new Error(message), more);

  it('finds what the machine lacks, by code, in words, and among the causes', () => {
    for (const error of [
      failed('spawn node EMFILE', { code: 'EMFILE' }),
      // As Node says it where it starts a thread, and where it looks for a module.
      failed('Worker initialization failure: EMFILE', { code: 'ERR_WORKER_INIT_FAILED' }),
      failed('Cannot read package config /a/package.json: too many open files.', {
        code: 'ERR_INVALID_PACKAGE_CONFIG',
      }),
      new Error('the thread failed', { cause: failed('open', { code: 'EMFILE' }) }),
    ])
      expect(shortage(error, 'the thread')).toMatchObject({
        message: 'the thread: too many files are open',
        hint: 'Raise the limit, for example with: ulimit -n 4096',
        continues: true,
      });
    expect(shortage(failed('write', { code: 'ENOSPC' }), 'x')?.message).toBe('x: the disk is full');
  });

  it('leaves everything else as it is', () => {
    for (const error of [
      failed('a defect'),
      failed('open', { code: 'ENOENT' }),
      new UserError('EMFILE'),
      'EMFILE',
      null,
    ])
      expect(shortage(error, 'x')).toBeUndefined();
  });
});
