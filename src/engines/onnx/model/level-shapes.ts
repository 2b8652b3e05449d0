/** What attention in levels reads besides queries, keys and values (prefix-tree-attention.ts, which has the dimensions). */
import type { TensorName } from '../../../onnx/graph.ts';
import type { Parents } from './autodiff.ts';

/** What the attention of all layers shares. */
export interface LevelShapes {
  /** int64 [LEVELS]: tokens of each level. */
  readonly sizes: TensorName;
  readonly levels: readonly Level[];
}

export interface Level {
  /** int64 [4]: the shape [K, N, −1, D] of its queries, keys and values. */
  readonly shape: TensorName;
  /** [S G, E]: 0 where the key may be seen, −∞ where it comes after the query. */
  readonly mask: TensorName;
  /** Above level 0. */
  readonly above?: {
    readonly parents: Parents;
    /** int64 [2]: positions below the level, and its own. */
    readonly keys: TensorName;
  };
}
