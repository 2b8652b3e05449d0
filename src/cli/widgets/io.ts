/** Where a command prints: results on one stream, everything else on the other. */
import type { LiveOutput } from './live-area.ts';

export interface Io {
  readonly out: LiveOutput;
  readonly err: LiveOutput;
}
