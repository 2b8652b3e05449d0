/**
 * E5 and other sentence encoders with mean pooling, from a Hugging Face folder with an ONNX file:
 *
 *   vector(text) = m / ‖m‖,   m = mean over the text's tokens of the last hidden states
 *
 * The text has at most 256 tokens, special ones included, as E5's authors evaluate it.
 */
import path from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { z } from 'zod';
import { hasCode, messageOf, UserError } from '../../base/errors.ts';
import { hashFile, readJson, sha256 } from '../../base/files.ts';
import { createSession } from '../../onnx/session.ts';
import { normalizeRows } from './embedder.ts';
import { LARGEST_DIMENSION } from './vector-file.ts';

const MAX_TOKENS = 256;
/**
 * Texts are padded to a multiple of this, and only texts of the same padded length share a run: what a text is padded to
 * follows from itself alone, and with it its vector.
 */
const LENGTH_STEP = 16;
/** Tokens of one run, padding included; more are no faster on processors and cost memory. */
const TOKENS_AT_ONCE = 2048;

const configSchema = z.looseObject({
  hidden_size: z.int().positive().max(LARGEST_DIMENSION),
  // Two special tokens, two rows that are no positions, and something between.
  max_position_embeddings: z.int().min(8),
});
const poolingSchema = z.looseObject({ pooling_mode_mean_tokens: z.boolean() });

/** The files of a model's folder. */
export interface E5Files {
  readonly model: string;
  readonly tokenizer: string;
  readonly dimension: number;
  readonly maxTokens: number;
  /** SHA-256 over the hashes of model and tokenizer. */
  readonly hash: string;
}

/**
 * Finds and hashes a model's files: onnx/model.onnx or model.onnx, tokenizer.json, config.json.
 * @throws UserError naming what is missing or does not fit
 */
export async function readE5Files(folder: string): Promise<E5Files> {
  const config = configSchema.safeParse(await readJson(path.join(folder, 'config.json')));
  if (!config.success) {
    const issue = config.error.issues[0]!;
    throw new UserError(`${path.join(folder, 'config.json')}: ${issue.path.join('.')}: ${issue.message}`, {
      hint: 'The folder of a Hugging Face encoder was expected, e.g. intfloat/e5-base-v2.',
    });
  }
  await refuseOtherPooling(path.join(folder, '1_Pooling', 'config.json'));
  const tokenizer = path.join(folder, 'tokenizer.json');
  const { model, hash } = await findModel(folder);
  return {
    model,
    tokenizer,
    dimension: config.data.hidden_size,
    // RoBERTa's position embeddings begin behind the padding's, so that two of the table's rows are no positions.
    maxTokens: Math.min(MAX_TOKENS, config.data.max_position_embeddings - 2),
    hash: sha256(hash, await hashFile(tokenizer)),
  };
}

async function findModel(folder: string): Promise<{ model: string; hash: string }> {
  for (const name of ['onnx/model.onnx', 'model.onnx']) {
    const model = path.join(folder, name);
    try {
      return { model, hash: await hashFile(model) };
    } catch (error) {
      if (!(error instanceof UserError && hasCode(error.cause, 'ENOENT', 'ENOTDIR'))) throw error;
    }
  }
  throw new UserError(`${folder}: no onnx/model.onnx and no model.onnx here`, {
    hint: 'Download the model with its ONNX file, or export it: optimum-cli export onnx --task feature-extraction.',
  });
}

/** Sentence-transformers' folders say how they pool; anything but the mean would give wrong vectors silently. */
async function refuseOtherPooling(file: string): Promise<void> {
  let value: unknown;
  try {
    value = await readJson(file);
  } catch (error) {
    if (error instanceof UserError && hasCode(error.cause, 'ENOENT', 'ENOTDIR')) return;
    throw error;
  }
  const pooling = poolingSchema.safeParse(value);
  if (!pooling.success || !pooling.data.pooling_mode_mean_tokens)
    throw new UserError(`${file}: this model does not pool by the mean of its tokens`, {
      hint: 'Of local models, E5 and others with mean pooling can be used; serve this one and give its /v1 address.',
    });
}

export class E5 {
  readonly #files: E5Files;
  readonly #tokenizer: Tokenizer;
  readonly #session: InferenceSession;

  private constructor(files: E5Files, tokenizer: Tokenizer, session: InferenceSession) {
    this.#files = files;
    this.#tokenizer = tokenizer;
    this.#session = session;
  }

  /** @throws UserError when model or tokenizer cannot be understood */
  static async open(files: E5Files, threads: number): Promise<E5> {
    const tokenizer = await openTokenizer(files.tokenizer);
    const session = await createSession(files.model, threads).catch((error) => {
      throw new UserError(`${files.model}: cannot be opened as an ONNX model (${messageOf(error)})`, { cause: error });
    });
    const known = ['input_ids', 'attention_mask', 'token_type_ids'];
    const foreign = session.inputNames.filter((name) => !known.includes(name));
    if (foreign.length > 0 || !session.outputNames.includes('last_hidden_state'))
      throw new UserError(
        `${files.model}: expected inputs among ${known.join(', ')} and an output last_hidden_state, found inputs ${session.inputNames.join(', ')} and outputs ${session.outputNames.join(', ')}`,
        { hint: 'Export the encoder itself: optimum-cli export onnx --task feature-extraction.' },
      );
    return new E5(files, tokenizer, session);
  }

  /** Unit vectors of texts (prefix included), row by row. */
  async embed(texts: readonly string[], signal?: AbortSignal): Promise<Float32Array<ArrayBuffer>> {
    const { dimension } = this.#files;
    const vectors = new Float32Array(texts.length * dimension);
    for (const { length, members } of batches(texts.map((text) => this.tokenize(text)))) {
      signal?.throwIfAborted();
      const means = await this.#run(members, length);
      for (const [row, { index }] of members.entries())
        vectors.set(means.subarray(row * dimension, (row + 1) * dimension), index * dimension);
    }
    return normalizeRows(vectors, dimension, this.#files.model);
  }

  /** Ids with the special tokens; of a long text its beginning, cut between the special tokens. */
  tokenize(text: string): readonly number[] {
    const whole = this.#tokenizer.encode(text).ids;
    const { maxTokens } = this.#files;
    if (whole.length <= maxTokens) return whole;
    const own = this.#tokenizer.encode(text, { add_special_tokens: false }).ids;
    const special = whole.length - own.length;
    let before = 0;
    while (before < special && !own.every((id: number, i: number) => whole[before + i] === id)) before++;
    return [...whole.slice(0, before), ...own.slice(0, maxTokens - special), ...whole.slice(before + own.length)];
  }

  async close(): Promise<void> {
    await this.#session.release();
  }

  /** The mean of each member's last hidden states. */
  async #run(members: readonly Member[], length: number): Promise<Float32Array> {
    const { dimension } = this.#files;
    const shape = [members.length, length];
    const inputIds = new BigInt64Array(members.length * length);
    const attention = new BigInt64Array(members.length * length);
    for (const [row, { ids }] of members.entries())
      for (const [t, id] of ids.entries()) {
        inputIds[row * length + t] = BigInt(id);
        attention[row * length + t] = 1n;
      }
    const feeds: Record<string, Tensor> = {
      input_ids: new Tensor('int64', inputIds, shape),
      attention_mask: new Tensor('int64', attention, shape),
      token_type_ids: new Tensor('int64', new BigInt64Array(inputIds.length), shape),
    };
    const { last_hidden_state: output } = await this.#session.run(
      Object.fromEntries(this.#session.inputNames.map((name) => [name, feeds[name]!])),
      ['last_hidden_state'],
    );
    const hidden = output!.data as Float32Array;
    if (hidden.length !== members.length * length * dimension)
      throw new UserError(
        `${this.#files.model}: its output has the shape ${output!.dims}, not ${[...shape, dimension]}`,
      );
    const means = new Float32Array(members.length * dimension);
    for (const [row, { ids }] of members.entries())
      for (let j = 0; j < dimension; j++) {
        let sum = 0;
        for (let t = 0; t < ids.length; t++) sum += hidden[(row * length + t) * dimension + j]!;
        means[row * dimension + j] = sum / ids.length;
      }
    return means;
  }
}

interface Member {
  readonly index: number;
  readonly ids: readonly number[];
}

/** Texts of the same padded length, as many as fit a run. */
function* batches(texts: readonly (readonly number[])[]): Generator<{ length: number; members: Member[] }> {
  const byLength = new Map<number, Member[]>();
  for (const [index, ids] of texts.entries()) {
    const length = Math.ceil(ids.length / LENGTH_STEP) * LENGTH_STEP;
    byLength.set(length, [...(byLength.get(length) ?? []), { index, ids }]);
  }
  for (const [length, members] of byLength) {
    const size = Math.max(1, Math.floor(TOKENS_AT_ONCE / length));
    for (let start = 0; start < members.length; start += size)
      yield { length, members: members.slice(start, start + size) };
  }
}

async function openTokenizer(file: string): Promise<Tokenizer> {
  const json = await readJson(file);
  try {
    return new Tokenizer(json as object, {});
  } catch (error) {
    throw new UserError(`${file}: cannot be used as a tokenizer (${messageOf(error)})`, { cause: error });
  }
}
