/**
 * A tiny BERT-like encoder, twice: as a Hugging Face folder with an ONNX graph, and computed plainly in double precision.
 *
 *   x = word[id] + position[t] + type[0];   a = softmax(x xᵀ / √d + mask) x;   hidden = tanh((x + a) W)
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Random, streamKey } from '../../../base/random.ts';
import { Graph } from '../../../onnx/graph.ts';

export const DIMENSION = 16;
const POSITIONS = 300;
const WORDS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'query', 'passage', ':', 'oslo', 'fjord', 'paris', 'seine', 'the'];

function matrix(name: string, rows: number, columns = DIMENSION): Float32Array {
  const random = new Random(streamKey('tiny encoder', name));
  return Float32Array.from({ length: rows * columns }, () => Math.fround(random.normal() * 0.5));
}
const word = matrix('word', WORDS.length);
const position = matrix('position', POSITIONS);
const type = matrix('type', 2);
const weight = matrix('weight', DIMENSION);

/** Writes config.json, tokenizer.json and onnx/model.onnx; returns the folder. */
export async function writeTinyEncoder(folder: string): Promise<string> {
  await mkdir(path.join(folder, 'onnx'), { recursive: true });
  const config = { hidden_size: DIMENSION, max_position_embeddings: POSITIONS };
  await writeFile(path.join(folder, 'config.json'), JSON.stringify(config));
  await writeFile(path.join(folder, 'tokenizer.json'), JSON.stringify(tokenizer()));
  await writeFile(path.join(folder, 'onnx', 'model.onnx'), encoderGraph());
  return folder;
}

/** BERT's: lower case, words and punctuation, [CLS] … [SEP]. */
function tokenizer() {
  const special = (content: string) => ({ id: WORDS.indexOf(content), content, special: true });
  return {
    version: '1.0',
    added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].map(special),
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [
        { SpecialToken: { id: '[CLS]', type_id: 0 } },
        { Sequence: { id: 'A', type_id: 0 } },
        { SpecialToken: { id: '[SEP]', type_id: 0 } },
      ],
      pair: [],
      special_tokens: Object.fromEntries(
        ['[CLS]', '[SEP]'].map((id) => [id, { id, ids: [WORDS.indexOf(id)], tokens: [id] }]),
      ),
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(WORDS.map((text, id) => [text, id])),
    },
  };
}

function encoderGraph(): Uint8Array {
  const graph = new Graph();
  const shape = ['batch', 'length'];
  const ids = graph.input('input_ids', 'int64', shape);
  const mask = graph.input('attention_mask', 'int64', shape);
  const types = graph.input('token_type_ids', 'int64', shape);
  const table = (name: string, data: Float32Array) =>
    graph.initializer(name, 'float32', [data.length / DIMENSION, DIMENSION], data);
  const one = graph.integer(1);
  const positions = graph.op('Sub', [
    graph.op('CumSum', [graph.op('Add', [graph.op('Mul', [ids, graph.integer(0)]), one]), one]),
    one,
  ]);
  const embedded = [
    graph.op('Gather', [table('word', word), ids]),
    graph.op('Gather', [table('position', position), positions]),
    graph.op('Gather', [table('type', type), types]),
  ];
  const x = graph.op('Add', [graph.op('Add', [embedded[0]!, embedded[1]!]), embedded[2]!]);
  const products = graph.op('MatMul', [x, graph.op('Transpose', [x], { perm: [0, 2, 1] })]);
  const scaled = graph.op('Mul', [products, graph.float(1 / Math.sqrt(DIMENSION))]);
  const absent = graph.op('Sub', [graph.float(1), graph.op('Cast', [mask], { to: 1 })]);
  const penalty = graph.op('Unsqueeze', [graph.op('Mul', [absent, graph.float(-1e9)]), graph.integers([1])]);
  const attention = graph.op('MatMul', [graph.op('Softmax', [graph.op('Add', [scaled, penalty])], { axis: -1 }), x]);
  const mixed = graph.op('MatMul', [graph.op('Add', [x, attention]), table('weight', weight)]);
  graph.output('last_hidden_state', 'float32', [...shape, DIMENSION], graph.op('Tanh', [mixed]));
  return graph.build();
}

/** The ids of a text of known words; nothing is cut. */
export function plainIds(text: string): number[] {
  const words = text.toLowerCase().match(/\w+|[^\w\s]/g) ?? [];
  const id = (token: string) => (WORDS.includes(token) ? WORDS.indexOf(token) : WORDS.indexOf('[UNK]'));
  return ['[CLS]', ...words, '[SEP]'].map((token) =>
    token.startsWith('[') && token.length > 1 ? WORDS.indexOf(token) : id(token),
  );
}

/** The unit vector of ids, in double precision. */
export function plainVector(ids: readonly number[]): number[] {
  const range = Array.from({ length: DIMENSION }, (_, j) => j);
  const x = ids.map((id, t) => range.map((j) => word[id * DIMENSION + j]! + position[t * DIMENSION + j]! + type[j]!));
  const dot = (a: number[], b: number[]) => a.reduce((sum, value, j) => sum + value * b[j]!, 0);
  const hidden = x.map((own) => {
    const weights = x.map((other) => Math.exp(dot(own, other) / Math.sqrt(DIMENSION)));
    const total = weights.reduce((sum, value) => sum + value, 0);
    const sum = range.map((j) => own[j]! + x.reduce((all, other, t) => all + (weights[t]! / total) * other[j]!, 0));
    return range.map((j) => Math.tanh(sum.reduce((all, value, i) => all + value * weight[i * DIMENSION + j]!, 0)));
  });
  const mean = range.map((j) => hidden.reduce((sum, state) => sum + state[j]!, 0) / ids.length);
  const norm = Math.sqrt(dot(mean, mean));
  return mean.map((value) => value / norm);
}
