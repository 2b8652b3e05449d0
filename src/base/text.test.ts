import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UserError } from './errors.ts';
import { decodeText, decodeUtf8, formOf, JSON_DEPTH, parseJson, printable, shown, visible } from './text.ts';

/**
 * RFC 3629 word by word: the length of the well-formed sequence at `at`, 0 where there is none. The decoder under test is the
 * platform's; this says where it has to stop.
 */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const [a, b, c, d] = [bytes[at]!, bytes[at + 1] ?? 0, bytes[at + 2] ?? 0, bytes[at + 3] ?? 0];
  const tail = (byte: number, low = 0x80, high = 0xbf) => byte >= low && byte <= high;
  if (a <= 0x7f) return 1;
  if (a >= 0xc2 && a <= 0xdf) return tail(b) ? 2 : 0;
  if (a >= 0xe0 && a <= 0xef) return tail(b, a === 0xe0 ? 0xa0 : 0x80, a === 0xed ? 0x9f : 0xbf) && tail(c) ? 3 : 0;
  if (a >= 0xf0 && a <= 0xf4)
    return tail(b, a === 0xf0 ? 0x90 : 0x80, a === 0xf4 ? 0x8f : 0xbf) && tail(c) && tail(d) ? 4 : 0;
  return 0;
}

function firstBad(bytes: Uint8Array): number | undefined {
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) return at;
    at += length;
  }
  return undefined;
}

const message = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return (error as UserError).message;
  }
  return '';
};

describe('bytes', () => {
  it('are text or are refused at the byte where RFC 3629 says so', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }).map((text) => Buffer.from(text.toWellFormed())),
      fc.uint8Array({ maxLength: 3 }),
      fc
        .constantFrom('e9', 'c3', 'e282', 'f09f98', 'c080', 'eda080', 'f4908080', 'efbbbf', 'ff')
        .map((hex) => Buffer.from(hex, 'hex')),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        const bytes = Buffer.concat(pieces);
        const bad = firstBad(bytes);
        const decoded = decodeUtf8(bytes);
        if (bad === undefined) expect(Buffer.from(decoded as string).equals(bytes)).toBe(true);
        else expect(decoded).toEqual({ offset: bad, byte: bytes[bad] });
      }),
    );
  });

  it('lose one byte order mark at the start and no other', () => {
    expect(decodeText(Buffer.from('\ufeffa\ufeff'), 'x')).toBe('a\ufeff');
    expect(decodeText(Buffer.from('\ufeff\ufeffa'), 'x')).toBe('\ufeffa');
  });

  it('are named by line and place in the line', () => {
    const latin1 = Buffer.from('\ufeff', 'utf8').toString('latin1');
    const bytes = Buffer.from(`${latin1}first\nsecond caf\xe9\n`, 'latin1');
    expect(message(() => decodeText(bytes, 'x.json'))).toBe('x.json:2: not UTF-8: byte E9 at position 11');
  });
});

describe('JSON', () => {
  const nested = (depth: number) => `${'['.repeat(depth)}${' '.repeat(300)}${']'.repeat(depth)}`;

  it('is read to the depth that other readers take, and no further', () => {
    expect(() => parseJson(nested(JSON_DEPTH), 'x')).not.toThrow();
    expect(message(() => parseJson(nested(JSON_DEPTH + 1), 'x'))).toMatch(/^x: .*deeper than 128/);
    expect(message(() => parseJson(nested(100_000), 'x'))).toMatch(/^x: .*deeper than 128/);
    expect(message(() => parseJson(`${'{"a":'.repeat(1e5)}1${'}'.repeat(1e5)}`, 'x'))).toMatch(/deeper than 128/);
  });

  it('holds no half characters, in values or keys, and whole ones however they are written', () => {
    expect(parseJson('"\\ud83d\\ude00"', 'x')).toBe('😀');
    expect(parseJson('{"a":["\\\\ud83d"]}', 'x')).toEqual({ a: ['\\ud83d'] });
    expect(message(() => parseJson('{"a":["x","\\ud83d y"]}', 'f:3'))).toBe(
      'f:3: a.1: holds half a character (a lone surrogate, \\ud83d)',
    );
    expect(message(() => parseJson('{"\\uDE00":1}', 'x'))).toMatch(/half a character .*ude00/);
  });

  it('that is none is refused with what cannot be seen written out', () => {
    expect(message(() => parseJson('\ufeff{}', 'x'))).toContain('U+FEFF');
    expect(message(() => parseJson('{"a":\u001b[1m}', 'x'))).toContain('U+001B');
  });
});

it('the form of a file is told by its first bytes', () => {
  const named = (head: string | Buffer) => {
    const form = formOf(typeof head === 'string' ? Buffer.from(head) : head);
    return typeof form === 'object' ? form.named : form;
  };
  const zipped = execFileSync('gzip', ['-c'], { input: 'x' });
  expect(named(zipped)).toBe('gzip');
  expect(named(Buffer.from('\ufeffab', 'utf16le'))).toMatch('UTF-16');
  expect(named(Buffer.from('{"a"', 'utf16le'))).toMatch('UTF-16');
  expect(named(Buffer.from('{"a"', 'utf16le').swap16())).toMatch('UTF-16');
  expect(named('PAR1')).toMatch('Parquet');
  expect(named('<!DOCTYPE html>')).toMatch('web page');
  expect(named('version https://git-lfs.github.com/spec/v1')).toMatch('LFS');
  for (const text of ['', '{', '{"a":1}', '\ufeff{}', 'query-id\t', '[', '1']) expect(named(text)).toBeUndefined();
});

describe('a value in a message', () => {
  it('is short and whole JSON where it is JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 2, stringUnit: 'grapheme-ascii' }), (value) => {
        const text = JSON.stringify(value);
        if (text.length <= 60) expect(shown(value)).toBe(text);
        else expect(shown(value).length).toBeLessThanOrEqual(60);
      }),
    );
  });

  it('may be of any kind, size and depth', () => {
    expect(shown({ n: 1n, list: [2n] })).toBe('{"n":1,"list":[2]}');
    expect(shown(undefined)).toBe('nothing');
    expect(shown(new Uint8Array(5))).toBe('5 bytes');
    expect(shown(new Date(0))).toBe('1970-01-01T00:00:00.000Z');
    expect(shown({ at: new Date(Number.NaN) })).toBe('{"at":an invalid date}');
    const circle: Record<string, unknown> = {};
    circle.circle = circle;
    expect(shown(circle)).toMatch(/^\{"circle":\{"circle":/);
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    expect(shown(deep).length).toBeLessThanOrEqual(60);
    expect(shown('a'.repeat(1e8)).length).toBeLessThanOrEqual(60);
    expect(shown('\u001b]52;\u0007')).toBe('"\\u001b]52;\\u0007"');
  });
});

it('what steers a terminal is taken out or written out, and nothing else', () => {
  expect(printable('a\u001b]52;c;aGk=\u0007b\u009b31mc\r\nd\te')).toBe('a]52;c;aGk=b31mc\nd\te');
  expect(printable('abc\u202edef\u2066')).toBe('abcdef');
  expect(visible('\ufeffa\u202e')).toBe('U+FEFFaU+202E');
  for (const text of ['Jürgen 日本語 👩‍👩‍👧 שלום', 'tab\tline\n'])
    expect([printable(text), visible(text)]).toEqual([text, text]);
});
