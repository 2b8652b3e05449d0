import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtobufWriter, readProtobuf } from './protobuf.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));

describe('ProtobufWriter', () => {
  // Expected bytes are the examples of the format's own documentation, or follow from its text.
  it('writes integers as base-128 groups', () => {
    const message = new ProtobufWriter();
    message.integer(1, 150);
    message.integer(1, 0);
    message.integer(2, -2);
    expect(hex(message.finish())).toBe(`089601${'0800'}10feffffffffffffffff01`);
  });

  it('packs repeated integers', () => {
    const message = new ProtobufWriter();
    message.integers(6, [3, 270, 86942]);
    expect(hex(message.finish())).toBe('3206038e029ea705');
  });

  it('writes strings, floats and embedded messages', () => {
    const inner = new ProtobufWriter();
    inner.integer(1, 150);
    const message = new ProtobufWriter();
    message.bytes(2, 'testing');
    message.bytes(3, inner);
    message.float(4, 1);
    message.double(5, 1);
    expect(hex(message.finish())).toBe('120774657374696e671a03089601250000803f29000000000000f03f');
  });

  it('puts large contents, nested ones too, in their places', () => {
    const [large, small] = [new Uint8Array(5000).fill(7), Uint8Array.of(1, 2)];
    const inner = new ProtobufWriter();
    inner.bytes(1, small);
    inner.bytes(2, large);
    inner.bytes(3, small);
    const outer = new ProtobufWriter();
    outer.integer(1, 5);
    outer.bytes(2, inner);
    outer.integer(1, 6);
    const body = `0a020102${'128827'}${'07'.repeat(5000)}1a020102`;
    // 5,011 bytes: 0x93 0x27 in base 128.
    expect(hex(outer.finish())).toBe(`0805129327${body}0806`);
  });

  it('grows past its first buffer', () => {
    const message = new ProtobufWriter();
    message.bytes(1, new Uint8Array(100_000).fill(7));
    expect(message.finish().length).toBe(100_000 + 4);
  });
});

describe('readProtobuf', () => {
  it('reads the bytes of the format’s documentation', () => {
    const fields = [
      ...readProtobuf(bytes('08960110feffffffffffffffff01120774657374696e67250000803f29000000000000f03f')),
    ];
    expect(fields).toEqual([
      { field: 1, type: 'integer', value: 150 },
      { field: 2, type: 'integer', value: -2 },
      { field: 2, type: 'bytes', value: new TextEncoder().encode('testing') },
      { field: 4, type: 'float', value: 1 },
      { field: 5, type: 'double', value: 1 },
    ]);
  });

  it('gives back what was written', () => {
    const number = fc.integer({ min: 1, max: 536_870_911 });
    const written = fc.oneof(
      fc.record({ field: number, type: fc.constant('integer' as const), value: fc.maxSafeInteger() }),
      fc.record({ field: number, type: fc.constant('double' as const), value: fc.double() }),
      fc.record({ field: number, type: fc.constant('float' as const), value: fc.float() }),
      fc.record({ field: number, type: fc.constant('bytes' as const), value: fc.uint8Array({ maxLength: 5000 }) }),
    );
    fc.assert(
      fc.property(fc.array(written), (fields) => {
        const message = new ProtobufWriter();
        for (const each of fields)
          if (each.type === 'bytes') message.bytes(each.field, each.value);
          else message[each.type](each.field, each.value);
        expect([...readProtobuf(message.finish())]).toEqual(
          fields.map((each) => (Object.is(each.value, -0) && each.type === 'integer' ? { ...each, value: 0 } : each)),
        );
      }),
    );
  });

  it.each([
    ['a field cut off', '120774657374'],
    ['a length beyond the end', '12ffffffffffffffff7f00'],
    ['an integer without end', '08ffffffffffffffffffff01'],
    ['a group, which nobody writes any more', '0b'],
    ['a field of number 0', '0001'],
  ])('refuses %s', (_, message) => {
    expect(() => [...readProtobuf(bytes(message))]).toThrow(RangeError);
  });
});
