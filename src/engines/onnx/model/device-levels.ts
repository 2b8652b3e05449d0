/**
 * The levels of prefix-tree-attention.ts on WebGPU, which has no kernels for whole numbers. Shapes are computed on the host, where the
 * provider reads them anyway; masks and one-hot matrices are made on the GPU once a micro-batch, from one number a row and column, and
 * serve all layers, forward and backward, as do positions and parents, which are brought there once.
 *
 * Dimensions as in prefix-tree-attention.ts: S positions, N segments, M segments below, E end of a level; G query heads a key-value head.
 */
import type { Tensor } from 'onnxruntime-node';
import { Graph, type SymbolicShape } from '../../../onnx/graph.ts';
import { floats, integers } from '../../../onnx/session.ts';
import type { LevelShapes } from './level-shapes.ts';
import type { ModelConfig } from './parameters.ts';
import { LEVELS, type Levels } from './prefix-tree.ts';

const levels = Array.from({ length: LEVELS }, (_, level) => level);
const mask = (level: number) => `mask ${level}`;
const oneHot = (level: number) => `one-hot parents ${level}`;
const parentsOf = (level: number) => `parents ${level}`;

/** Finite, since shader compilers may take infinities for impossible; exp of it is 0. */
const NEVER = -1e30;

/** Declares, for each level, its `shape` [4], `mask` [S G, E], and above the first `parents` [N], `one-hot parents` [N, M] and `keys` [2]. */
export function fedLevelShapes(graph: Graph): LevelShapes {
  return {
    sizes: graph.input('sizes', 'int64', [LEVELS]),
    levels: levels.map((level) => ({
      shape: graph.input(`shape ${level}`, 'int64', [4]),
      mask: graph.input(mask(level), 'float32', [`rows ${level}`, `end ${level}`]),
      ...(level > 0 && {
        above: {
          parents: {
            indices: graph.input(parentsOf(level), 'int64', [`segments ${level}`]),
            oneHot: graph.input(oneHot(level), 'float32', [`segments ${level}`, `segments ${level - 1}`]),
          },
          keys: graph.input(`keys ${level}`, 'int64', [2]),
        },
      }),
    })),
  };
}

/** Makes masks and one-hot matrices, which stay on the GPU, from `levelNumbers`; hands on `positions` and `parents`, which stay there too. */
export function levelsGraph(): Graph {
  const graph = new Graph('webgpu');
  const column = (name: string, size: string) => graph.input(name, 'float32', [size, 1]);
  const row = (name: string, size: string) => graph.input(name, 'float32', [1, size]);
  const same = (name: string, shape: SymbolicShape) =>
    graph.output(name, 'int64', shape, graph.input(`the ${name}`, 'int64', shape));
  same('positions', ['T', 1]);
  for (const level of levels) {
    // A query sees the keys up to its own position.
    const unseen = graph.op('Greater', [
      row(`key ${level}`, `end ${level}`),
      column(`query ${level}`, `rows ${level}`),
    ]);
    const values = graph.op('Where', [unseen, graph.float(NEVER), graph.float(0)]);
    graph.output(mask(level), 'float32', undefined, values);
    if (level === 0) continue;
    same(parentsOf(level), [`segments ${level}`]);
    const parents = column(`parent ${level}`, `segments ${level}`);
    const is = graph.op('Equal', [parents, row(`number ${level}`, `segments ${level - 1}`)]);
    graph.output(oneHot(level), 'float32', undefined, graph.op('Cast', [is], { to: 1 }));
  }
  return graph;
}

/** What `levelsGraph` is fed. */
export function levelNumbers({ counts, lengths, parents, positions }: Levels, { heads, keyValueHeads }: ModelConfig) {
  const group = heads / keyValueHeads;
  const fed: Record<string, Tensor> = { 'the positions': integers(positions, [positions.length, 1]) };
  const numbers = (size: number, value: (i: number) => number) =>
    Float32Array.from({ length: size }, (_, i) => value(i));
  let [start, parent] = [0, 0];
  for (const level of levels) {
    const [count, length] = [counts[level]!, lengths[level]!];
    const end = start + length;
    const from = start;
    fed[`query ${level}`] = floats(
      numbers(length * group, (i) => from + Math.floor(i / group)),
      [length * group, 1],
    );
    fed[`key ${level}`] = floats(
      numbers(end, (i) => i),
      [1, end],
    );
    if (level > 0) {
      const own = parents.subarray(parent, parent + count);
      const below = counts[level - 1]!;
      fed[`the ${parentsOf(level)}`] = integers(own, [count]);
      fed[`parent ${level}`] = floats(Float32Array.from(own), [count, 1]);
      fed[`number ${level}`] = floats(
        numbers(below, (i) => i),
        [1, below],
      );
      parent += count;
    }
    start = end;
  }
  return fed;
}

/** What `fedLevelShapes` declares and the provider reads on the host. */
export function levelSizes({ counts, lengths }: Levels, { keyValueHeads, headSize }: ModelConfig) {
  const fed: Record<string, Tensor> = {
    sizes: integers(
      counts.map((count, level) => count * lengths[level]!),
      [LEVELS],
    ),
  };
  let start = 0;
  for (const level of levels) {
    const [count, length] = [counts[level]!, lengths[level]!];
    fed[`shape ${level}`] = integers(Float64Array.of(keyValueHeads, count, -1, headSize), [4]);
    if (level > 0) fed[`keys ${level}`] = integers(Float64Array.of(start, length), [2]);
    start += length;
  }
  return fed;
}
