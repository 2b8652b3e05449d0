/**
 * An embedding model behind any OpenAI-compatible server: POST /v1/embeddings, by the `openai` package, which repeats what
 * failed (408, 409, 429, 5xx, connection errors; Retry-After kept). What the server says is checked: one vector a text, by
 * `index`, all of one dimension, as base64 or as numbers.
 */
import OpenAI, { APIError } from 'openai';
import { z } from 'zod';
import { messageOf, UserError } from '../../base/errors.ts';
import { heard } from '../../base/heard.ts';
import type { ServedAddress } from '../../base/served-address.ts';
import { type Embedder, type EmbedderInfo, normalizeRows, type TextRole } from './embedder.ts';
import { LARGEST_DIMENSION } from './vector-file.ts';

export interface ServedEmbedderSettings {
  /** Sent as a bearer token; never printed, never recorded. Undefined: none is sent. */
  readonly apiKey: string | undefined;
  /** Written before every text. E5 wants "query: " and "passage: " behind a server too; most hosted models want nothing. */
  readonly prefixes: EmbedderInfo['prefixes'];
  /** Texts of one request. */
  readonly batch: number;
  /** Requests under way at a time. */
  readonly concurrency: number;
  readonly retries: number;
  /** The longest wait for one answer, in seconds. */
  readonly seconds: number;
}

const defaults: ServedEmbedderSettings = {
  apiKey: undefined,
  prefixes: { query: '', passage: '' },
  batch: 64,
  concurrency: 4,
  retries: 5,
  seconds: 120,
};

const answerSchema = z.looseObject({
  data: z.array(z.looseObject({ index: z.int().nonnegative(), embedding: z.union([z.base64(), z.array(z.number())]) })),
});

/**
 * Opens a served model and asks it for one vector, so that an absent server is known at once and the dimension too.
 * @throws UserError naming the address: no server there, it refuses, it answers something else
 */
export async function openServedEmbedder(
  { url, model }: ServedAddress,
  options: Partial<ServedEmbedderSettings> = {},
): Promise<Embedder> {
  const settings = { ...defaults, ...options };
  if (model === undefined)
    throw new UserError(`${url}: which model? An embedder's address names it behind "#"`, {
      hint: `For example: ${url}#intfloat/e5-base-v2`,
    });
  const { apiKey, retries, seconds } = settings;
  const client = new OpenAI({
    baseURL: url,
    // Everything that the package would otherwise take from the environment and send to whatever server this is.
    apiKey: apiKey ?? 'none',
    adminAPIKey: null,
    organization: null,
    project: null,
    defaultHeaders: apiKey === undefined ? { Authorization: null } : {},
    maxRetries: retries,
    timeout: 1000 * seconds,
    logLevel: 'off',
  });
  const closed = new AbortController();

  async function request(texts: readonly string[], signal: AbortSignal, dimension?: number): Promise<Float32Array[]> {
    let answer: unknown;
    try {
      // Asked for by name, else the package decodes, and checks nothing.
      answer = await client.embeddings.create(
        { model: model!, input: [...texts], encoding_format: 'base64' },
        { signal },
      );
    } catch (error) {
      signal.throwIfAborted();
      throw failure(error, url, model!, apiKey);
    }
    return vectorsOf(answer, texts.length, dimension, url);
  }

  const [probe] = await request([settings.prefixes.query || 'dimension'], closed.signal);
  const dimension = probe!.length;

  return {
    info: { name: `${url}#${model}`, dimension, hash: '', prefixes: settings.prefixes },
    async embed(texts: readonly string[], role: TextRole, signal?: AbortSignal) {
      // The first request that fails stops the others of its batch.
      const failed = new AbortController();
      const stop = AbortSignal.any([failed.signal, closed.signal, ...(signal === undefined ? [] : [signal])]);
      const rows = new Float32Array(texts.length * dimension);
      let next = 0;
      const worker = async () => {
        while (next < texts.length) {
          const start = next;
          next += settings.batch;
          const part = texts.slice(start, next).map((text) => settings.prefixes[role] + text);
          for (const [i, vector] of (await request(part, stop, dimension)).entries())
            rows.set(vector, (start + i) * dimension);
        }
      };
      try {
        stop.throwIfAborted();
        await Promise.all(Array.from({ length: settings.concurrency }, worker));
      } catch (error) {
        failed.abort(error);
        throw error;
      }
      return normalizeRows(rows, dimension, url);
    },
    close: async () => closed.abort(new Error('the embedder is closed')),
  };
}

/** The vectors in the order of the texts. */
function vectorsOf(answer: unknown, texts: number, dimension: number | undefined, url: string): Float32Array[] {
  const wrong = (found: string) =>
    new UserError(`${url}/embeddings: ${found}`, {
      hint: 'Is this an OpenAI-compatible server of an embedding model?',
    });
  const parsed = answerSchema.safeParse(answer);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw wrong(`expected vectors, found something else (${issue.path.join('.')}: ${issue.message})`);
  }
  const vectors: Float32Array[] = [];
  for (const { index, embedding } of parsed.data.data) {
    if (index >= texts || vectors[index] !== undefined)
      throw wrong(`expected each index below ${texts} once, found ${index}`);
    vectors[index] = typeof embedding === 'string' ? floatsOf(embedding) : Float32Array.from(embedding);
  }
  if (parsed.data.data.length !== texts) throw wrong(`expected ${texts} vectors, found ${parsed.data.data.length}`);
  const expected = dimension ?? vectors[0]!.length;
  if (expected > LARGEST_DIMENSION)
    throw wrong(`expected vectors of dimension ${LARGEST_DIMENSION} at most, found ${expected}`);
  const other = vectors.find((vector) => vector.length !== expected || vector.length === 0);
  if (other !== undefined) throw wrong(`expected vectors of dimension ${expected}, found ${other.length}`);
  return vectors;
}

/** Little-endian float32 in base64. */
function floatsOf(base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64');
  return Float32Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => bytes.readFloatLE(4 * i));
}

function failure(error: unknown, url: string, model: string, apiKey: string | undefined): Error {
  const words = heard(messageOf(error), [apiKey]);
  if (error instanceof APIError && error.status !== undefined)
    return new UserError(`${url}/embeddings: ${words}`, {
      hint:
        error.status === 401 || error.status === 403
          ? 'Put the key into the environment: OPENAI_API_KEY, or another variable with --api-key-env.'
          : `Is ${JSON.stringify(model)} served there?`,
      cause: error,
    });
  return new UserError(`${url}: no answer (${words})`, { hint: 'Is the server running?', cause: error });
}
