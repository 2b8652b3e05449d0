/** Opens an embedder by the one word that a user gives for it: a model's folder, or http://HOST:PORT/v1#MODEL. */

import { apiKeyFor } from '../../base/api-key.ts';
import { isAddress, parseAddress } from '../../base/served-address.ts';
import type { Embedder, EmbedderInfo } from './embedder.ts';
import { openLocalEmbedder } from './encoder/local-embedder.ts';
import { openServedEmbedder } from './served-embedder.ts';

export interface EmbedderOptions {
  /** Threads of a local model; default: all cores. */
  readonly threads?: number | undefined;
  /** Default: those of a local model's folder; of a served one, none. */
  readonly prefixes?: Partial<EmbedderInfo['prefixes']> | undefined;
  /** The environment variable that holds a served model's key; default OPENAI_API_KEY, as `apiKeyFor` says. */
  readonly apiKeyEnv?: string | undefined;
}

/** @throws UserError naming what cannot be opened, and why */
export async function openEmbedder(spec: string, options: EmbedderOptions = {}): Promise<Embedder> {
  if (!isAddress(spec)) return openLocalEmbedder(spec, options);
  const address = parseAddress(spec);
  return openServedEmbedder(address, {
    apiKey: apiKeyFor(address.url, options.apiKeyEnv),
    prefixes: { query: '', passage: '', ...options.prefixes },
  });
}
