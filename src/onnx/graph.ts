/**
 * A builder of ONNX graphs: tensors are names, every call adds a node and returns the name of its result.
 *
 * @example
 *   const graph = new Graph();
 *   const x = graph.input('x', 'float32', ['rows', 8]);
 *   graph.output('y', 'float32', ['rows', 8], graph.op('Mul', [x, graph.float(2)]));
 *   const session = await InferenceSession.create(graph.build());
 */

import { ProtobufWriter } from '../base/protobuf.ts';
import type { Device } from './device.ts';

/** The name of a tensor in a graph. */
export type TensorName = string;

/** Elements by type, with the numbers ONNX gives them (TensorProto.DataType). */
const ELEMENT_TYPES = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9, float16: 10 } as const;
export type ElementType = keyof typeof ELEMENT_TYPES;

/** Dimensions: a number is fixed, a name is free at run time. */
export type SymbolicShape = readonly (number | string)[];

/** A number is an integer attribute; floats are wrapped, since JavaScript cannot tell 1 from 1.0. */
export type Attribute = number | string | readonly number[] | { readonly float: number };

export interface NodeOptions {
  /** '' (the standard operators, default) or 'com.microsoft' (ONNX Runtime's own). */
  readonly domain?: '' | 'com.microsoft';
  /** Names of the results; made up when absent. An empty name drops an optional result. */
  readonly outputs?: readonly TensorName[];
}

interface GraphNode extends NodeOptions {
  readonly type: string;
  readonly inputs: readonly TensorName[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly outputs: readonly TensorName[];
}

interface Value {
  readonly name: TensorName;
  readonly type: ElementType;
  /** Undefined: of any number of dimensions. */
  readonly shape: SymbolicShape | undefined;
}

interface Initializer {
  readonly name: TensorName;
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly data: ArrayBufferView;
}

const OPSET = 21;
const IR_VERSION = 10;

export class Graph {
  /** What the graph is built for: some operators have no kernel on one device, or a wrong one, and are written otherwise there. */
  readonly device: Device;
  readonly #nodes: GraphNode[] = [];
  readonly #inputs: Value[] = [];
  readonly #outputs: Value[] = [];
  readonly #initializers: Initializer[] = [];
  readonly #constants = new Map<string, TensorName>();
  #names = 0;

  constructor(device: Device = 'cpu') {
    this.device = device;
  }

  /** Names of what is given out so far. */
  get outputs(): TensorName[] {
    return this.#outputs.map(({ name }) => name);
  }

  /** The type of an input; undefined of any other tensor. */
  typeOf(name: TensorName): ElementType | undefined {
    return this.#inputs.find((input) => input.name === name)?.type;
  }

  /** Declares a tensor that the caller feeds at run time; without `shape`, of any number of dimensions. */
  input(name: TensorName, type: ElementType, shape?: SymbolicShape): TensorName {
    this.#inputs.push({ name, type, shape });
    return name;
  }

  /** Gives `tensor` out under the name `name`; without `tensor`, the tensor of that very name. */
  output(name: TensorName, type: ElementType, shape: SymbolicShape | undefined, tensor: TensorName = name): void {
    if (tensor !== name) this.op('Identity', [tensor], {}, { outputs: [name] });
    this.#outputs.push({ name, type, shape });
  }

  /** A tensor stored in the model. ONNX Runtime packs initialisers once for its matrix products. */
  initializer(name: TensorName, type: ElementType, dims: readonly number[], data: ArrayBufferView): TensorName {
    this.#initializers.push({ name, type, dims, data });
    return name;
  }

  /** Adds a node with one result. An empty input name stands for an absent optional input. */
  op(
    type: string,
    inputs: readonly TensorName[],
    attributes: Readonly<Record<string, Attribute>> = {},
    options: NodeOptions = {},
  ): TensorName {
    return this.ops(1, type, inputs, attributes, options)[0]!;
  }

  /** Adds a node with `count` results. */
  ops(
    count: number,
    type: string,
    inputs: readonly TensorName[],
    attributes: Readonly<Record<string, Attribute>> = {},
    options: NodeOptions = {},
  ): TensorName[] {
    const outputs = options.outputs ?? Array.from({ length: count }, () => this.#fresh());
    this.#nodes.push({ ...options, type, inputs, attributes, outputs });
    return [...outputs];
  }

  /** `tensor` as another type. */
  cast(tensor: TensorName, type: ElementType): TensorName {
    return this.op('Cast', [tensor], { to: ELEMENT_TYPES[type] });
  }

  /** Adds a node of ONNX Runtime's own operators, with one result. */
  microsoft(
    type: string,
    inputs: readonly TensorName[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): TensorName {
    return this.op(type, inputs, attributes, { domain: 'com.microsoft' });
  }

  /** A constant float32 scalar; equal constants are stored once. */
  float(value: number): TensorName {
    return this.#constant(`float ${value}`, 'float32', [], new Float32Array([value]));
  }

  /** A constant float32 vector. */
  floats(values: readonly number[]): TensorName {
    return this.#constant(`floats ${values}`, 'float32', [values.length], new Float32Array(values));
  }

  /** A constant int64 scalar. */
  integer(value: number): TensorName {
    return this.#constant(`integer ${value}`, 'int64', [], new BigInt64Array([BigInt(value)]));
  }

  /** A constant int64 vector, e.g. a shape or axes. */
  integers(values: readonly number[]): TensorName {
    return this.#constant(`integers ${values}`, 'int64', [values.length], new BigInt64Array(values.map(BigInt)));
  }

  /** The model as bytes for `InferenceSession.create`. */
  build(): Uint8Array {
    const graph = new ProtobufWriter();
    for (const node of this.#nodes) graph.bytes(1, nodeMessage(node));
    graph.bytes(2, 'graph');
    for (const initializer of this.#initializers) graph.bytes(5, tensorMessage(initializer));
    for (const value of this.#inputs) graph.bytes(11, valueMessage(value));
    for (const value of this.#outputs) graph.bytes(12, valueMessage(value));

    const model = new ProtobufWriter();
    model.integer(1, IR_VERSION);
    model.bytes(7, graph);
    model.bytes(8, operatorSetMessage('', OPSET));
    model.bytes(8, operatorSetMessage('com.microsoft', 1));
    return model.finish();
  }

  #constant(key: string, type: ElementType, dims: readonly number[], data: ArrayBufferView): TensorName {
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = this.initializer(this.#fresh(), type, dims, data);
    this.#constants.set(key, name);
    return name;
  }

  #fresh(): TensorName {
    this.#names += 1;
    return `t${this.#names}`;
  }
}

// Field numbers below are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto

function nodeMessage(node: GraphNode): ProtobufWriter {
  const message = new ProtobufWriter();
  for (const input of node.inputs) message.bytes(1, input);
  for (const output of node.outputs) message.bytes(2, output);
  message.bytes(3, `${node.type}:${node.outputs[0]}`);
  message.bytes(4, node.type);
  for (const [name, value] of Object.entries(node.attributes)) message.bytes(5, attributeMessage(name, value));
  if (node.domain) message.bytes(7, node.domain);
  return message;
}

function attributeMessage(name: string, value: Attribute): ProtobufWriter {
  const message = new ProtobufWriter();
  message.bytes(1, name);
  if (typeof value === 'number') {
    message.integer(3, value);
    message.integer(20, 2);
  } else if (typeof value === 'string') {
    message.bytes(4, value);
    message.integer(20, 3);
  } else if ('float' in value) {
    message.float(2, value.float);
    message.integer(20, 1);
  } else {
    for (const item of value) message.integer(8, item);
    message.integer(20, 7);
  }
  return message;
}

function tensorMessage({ name, type, dims, data }: Initializer): ProtobufWriter {
  const message = new ProtobufWriter();
  for (const dim of dims) message.integer(1, dim);
  message.integer(2, ELEMENT_TYPES[type]);
  message.bytes(8, name);
  message.bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return message;
}

function valueMessage({ name, type, shape }: Value): ProtobufWriter {
  const tensorType = new ProtobufWriter();
  tensorType.integer(1, ELEMENT_TYPES[type]);
  if (shape) {
    const dims = new ProtobufWriter();
    for (const dim of shape) {
      const message = new ProtobufWriter();
      if (typeof dim === 'number') message.integer(1, dim);
      else message.bytes(2, dim);
      dims.bytes(1, message);
    }
    tensorType.bytes(2, dims);
  }
  const typeMessage = new ProtobufWriter();
  typeMessage.bytes(1, tensorType);
  const message = new ProtobufWriter();
  message.bytes(1, name);
  message.bytes(2, typeMessage);
  return message;
}

function operatorSetMessage(domain: string, version: number): ProtobufWriter {
  const message = new ProtobufWriter();
  message.bytes(1, domain);
  message.integer(2, version);
  return message;
}
