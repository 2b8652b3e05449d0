/** An ONNX model read back as far as tools need it: its nodes, and the same model giving out every tensor on its way. */
import { ProtobufWriter } from '../../src/base/protobuf.ts';

export interface NodeOf {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export interface GraphOf {
  /** In the order of computation. */
  readonly nodes: readonly NodeOf[];
  readonly outputs: readonly string[];
}

// Field numbers of onnx.proto: ModelProto.graph 7; GraphProto.node 1, output 12; NodeProto input 1, output 2, op_type 4; ValueInfoProto.name 1.

export function openModel(model: Uint8Array): GraphOf {
  const graph = fields(model).find(({ number }) => number === 7)!.bytes;
  const parts = fields(graph);
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return {
    nodes: parts
      .filter(({ number }) => number === 1)
      .map(({ bytes }) => {
        const node = fields(bytes);
        const all = (field: number) => node.filter(({ number }) => number === field).map((part) => text(part.bytes));
        return { type: all(4)[0]!, inputs: all(1), outputs: all(2).filter((name) => name !== '') };
      }),
    outputs: parts
      .filter(({ number }) => number === 12)
      .map(({ bytes }) => text(fields(bytes).find(({ number }) => number === 1)!.bytes)),
  };
}

/** The model with all results of its nodes as outputs: parts of one message that come one after another are one message. */
export function givingAll(model: Uint8Array): Uint8Array {
  const { nodes, outputs } = openModel(model);
  const graph = new ProtobufWriter();
  for (const name of nodes.flatMap((node) => node.outputs)) {
    if (outputs.includes(name)) continue;
    const value = new ProtobufWriter();
    value.bytes(1, name);
    graph.bytes(12, value);
  }
  const more = new ProtobufWriter();
  more.bytes(7, graph);
  return Buffer.concat([model, more.finish()]);
}

interface Field {
  readonly number: number;
  /** Of a field with a length; empty of any other. */
  readonly bytes: Uint8Array;
}

function fields(message: Uint8Array): Field[] {
  const found: Field[] = [];
  let at = 0;
  const varint = () => {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = message[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const [number, kind] = [Math.floor(tag / 8), tag % 8];
    let bytes: Uint8Array = new Uint8Array(0);
    if (kind === 0) varint();
    else if (kind === 5) at += 4;
    else if (kind === 1) at += 8;
    else {
      const length = varint();
      bytes = message.subarray(at, at + length);
      at += length;
    }
    found.push({ number, bytes });
  }
  return found;
}
