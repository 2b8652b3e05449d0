/** Opens an embedder by the one word that a user gives for it: a model's folder, or http://HOST:PORT/v1#MODEL. */

import { apiKeyFor } from '../../base/api-key.ts';
import { isAddress, parseAddress } from '../../base/served-address.ts';
import { openE5Embedder } from './e5-embedder.ts';
import type { Embedder, EmbedderInfo } from './embedder.ts';
import { openServedEmbedder } from './served-embedder.ts';

export interface EmbedderOptions {
  /** Threads of a local model; default: all cores. */
  readonly threads?: number | undefined;
  /** For a served model; a local one is E5, which has its own. Default: none. */
  readonly prefixes?: EmbedderInfo['prefixes'] | undefined;
  /** The environment variable that holds a served model's key; default OPENAI_API_KEY, as `apiKeyFor` says. */
  readonly apiKeyEnv?: string | undefined;
}

/** @throws UserError naming what cannot be opened, and why */
export async function openEmbedder(spec: string, options: EmbedderOptions = {}): Promise<Embedder> {
  if (!isAddress(spec)) return openE5Embedder(spec, { threads: options.threads });
  const address = parseAddress(spec);
  const { prefixes } = options;
  return openServedEmbedder(address, {
    apiKey: apiKeyFor(address.url, options.apiKeyEnv),
    ...(prefixes === undefined ? {} : { prefixes }),
  });
}
