/**
 * Causal attention over sequences that lie in levels (prefix-tree.ts): the queries of a level see the keys of their own segment
 * and of the segments it hangs on. A level is one batch of matrix products; later levels are never looked at.
 *
 * Dimensions: T tokens, K key-value heads, G query heads for each, D head size; of a level, N segments of S positions
 * that end at position E. Heads stand first, so that a level is a slice of all tokens and nothing is transposed inside.
 */

import type { Graph, TensorName } from '../../../onnx/graph.ts';
import type { Tape } from './autodiff.ts';
import { fedLevelShapes } from './device-levels.ts';
import type { Level, LevelShapes } from './level-shapes.ts';
import type { ModelConfig } from './parameters.ts';
import { LEVELS } from './prefix-tree.ts';

/** Declares the inputs `counts`, `lengths` and `parents`, as prefix-tree.ts has them; on WebGPU what device-levels.ts makes of them. */
export function levelShapes(graph: Graph, config: ModelConfig): LevelShapes {
  if (graph.device === 'webgpu') return fedLevelShapes(graph);
  const { heads, keyValueHeads, headSize } = config;
  const counts = graph.input('counts', 'int64', [LEVELS]);
  const lengths = graph.input('lengths', 'int64', [LEVELS]);
  const parents = graph.input('parents', 'int64', ['P']);
  const each = (vector: TensorName) => graph.ops(LEVELS, 'Split', [vector], { axis: 0, num_outputs: LEVELS });
  const [count, length, end] = [each(counts), each(lengths), each(graph.op('CumSum', [lengths, graph.integer(0)]))];
  const countsAbove = graph.op('Slice', [counts, graph.integers([1]), graph.integers([LEVELS])]);
  const parentsOf = graph.ops(LEVELS - 1, 'Split', [parents, countsAbove], { axis: 0 });

  const levels = count.map((segments, level): Level => {
    const start = level === 0 ? graph.integers([0]) : end[level - 1]!;
    const shape = graph.op('Concat', [graph.integers([keyValueHeads]), segments, graph.integers([-1, headSize])], {
      axis: 0,
    });
    const mask = causalMask(graph, start, length[level]!, end[level]!, heads / keyValueHeads);
    if (level === 0) return { shape, mask };
    const indices = parentsOf[level - 1]!;
    const oneHot = graph.op('OneHot', [indices, count[level - 1]!, graph.floats([0, 1])], { axis: -1 });
    const keys = graph.op('Concat', [start, length[level]!], { axis: 0 });
    return { shape, mask, above: { parents: { indices, oneHot }, keys } };
  });
  return { sizes: graph.op('Mul', [counts, lengths]), levels };
}

/** [length group, end]: −∞ where key − query > start, for each of the `group` rows of a query. */
function causalMask(graph: Graph, start: TensorName, length: TensorName, end: TensorName, group: number): TensorName {
  const square = graph.op('Concat', [length, end], { axis: 0 });
  const infinities = graph.op('Expand', [graph.float(Number.NEGATIVE_INFINITY), square]);
  const above = graph.op('Squeeze', [graph.op('Add', [start, graph.integers([1])])]);
  const mask = graph.op('Trilu', [infinities, above], { upper: 1 });
  const copies = graph.op('Concat', [length, graph.integers([group]), end], { axis: 0 });
  const repeated = graph.op('Expand', [graph.op('Unsqueeze', [mask, graph.integers([1])]), copies]);
  return graph.op('Reshape', [repeated, graph.op('Concat', [graph.integers([-1]), end], { axis: 0 })]);
}

/** q [T, K, G D], k and v [T, K, D]; gives [T, K, G D]. */
export function levelAttention(
  tape: Tape,
  { heads, keyValueHeads, headSize }: ModelConfig,
  { sizes, levels }: LevelShapes,
  q: TensorName,
  k: TensorName,
  v: TensorName,
): TensorName {
  const width = (heads / keyValueHeads) * headSize;
  /** [T, K, columns] to [K, N, S columns / D, D] of each level: the heads of a group are rows of a position. */
  const byLevel = (x: TensorName, columns: number) =>
    tape
      .split(tape.transpose(x, [1, 0, 2]), sizes, LEVELS, 1)
      .map((part, level) => tape.reshape(part, levels[level]!.shape, [keyValueHeads, -1, columns]));
  const [queries, keys, values] = [byLevel(q, width), byLevel(k, headSize), byLevel(v, headSize)];
  let [seenKeys, seenValues]: TensorName[] = [];
  const outputs = levels.map(({ shape, mask, above }, level) => {
    /** Those that the segments below see, then the level's own. */
    const seen = (own: TensorName, below: TensorName | undefined) => {
      if (!above || below === undefined) return own;
      return tape.concat([tape.ofParents(below, above.parents, levels[level - 1]!.shape), own], above.keys, 2);
    };
    seenKeys = seen(keys[level]!, seenKeys);
    seenValues = seen(values[level]!, seenValues);
    const o = tape.attention(queries[level]!, seenKeys, seenValues, mask, headSize);
    return tape.reshape(o, [keyValueHeads, -1, width], shape);
  });
  return tape.transpose(tape.concat(outputs, sizes, 1), [1, 0, 2]);
}
