/**
 * A sentence encoder: the vector of a text is the pooled last hidden states of its tokens, scaled to norm 1. The network is an
 * ONNX file, or a graph of BERT with weights from safetensors.
 */
import { Tokenizer } from '@huggingface/tokenizers';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { messageOf, UserError } from '../../../base/errors.ts';
import { readJson } from '../../../base/files.ts';
import { createSession } from '../../../onnx/session.ts';
import { normalizeRows } from '../embedder.ts';
import { bertGraph } from './bert-graph.ts';
import { readBertWeights } from './bert-weights.ts';
import type { EncoderFiles } from './folder.ts';
import { pool } from './pooling.ts';

/**
 * Texts are padded to a multiple of this, and only texts of the same padded length share a run: what a text is padded to
 * follows from itself alone, and with it its vector.
 */
const LENGTH_STEP = 16;
/** Tokens of one run, padding included; more are no faster on processors and cost memory. */
const TOKENS_AT_ONCE = 2048;

export class SentenceEncoder {
  readonly #files: EncoderFiles;
  readonly #tokenizer: Tokenizer;
  readonly #session: InferenceSession;

  private constructor(files: EncoderFiles, tokenizer: Tokenizer, session: InferenceSession) {
    this.#files = files;
    this.#tokenizer = tokenizer;
    this.#session = session;
  }

  /** @throws UserError when network or tokenizer cannot be understood */
  static async open(files: EncoderFiles, threads: number): Promise<SentenceEncoder> {
    const tokenizer = await openTokenizer(files);
    return new SentenceEncoder(files, tokenizer, await openNetwork(files, threads));
  }

  /** Unit vectors of texts (prefix included), row by row. */
  async embed(texts: readonly string[], signal?: AbortSignal): Promise<Float32Array<ArrayBuffer>> {
    const { dimension } = this.#files;
    const vectors = new Float32Array(texts.length * dimension);
    for (const { length, members } of batches(
      texts.map((text) => this.tokenize(text)),
      this.#files.maxTokens,
    )) {
      signal?.throwIfAborted();
      const pooled = await this.#run(members, length);
      for (const [row, { index }] of members.entries())
        vectors.set(pooled.subarray(row * dimension, (row + 1) * dimension), index * dimension);
    }
    return normalizeRows(vectors, dimension, this.#files.network.file);
  }

  /** Ids with the special tokens; of a long text its beginning, cut between the special tokens. */
  tokenize(text: string): readonly number[] {
    const whole = this.#tokenizer.encode(text).ids;
    const { maxTokens, network, tokenizer } = this.#files;
    const strange = network.bert && whole.find((id: number) => id >= network.bert!.vocabulary);
    if (strange !== undefined)
      throw new UserError(
        `${tokenizer}: gives the id ${strange}; config.json's vocab_size is ${network.bert!.vocabulary}`,
        { hint: 'Check that tokenizer and weights belong together.' },
      );
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

  /** The pooled last hidden states of each member. */
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
        `${this.#files.network.file}: its output has the shape ${output!.dims}, not ${[...shape, dimension]}`,
      );
    const { pooling } = this.#files;
    return pool(
      hidden,
      members.map(({ ids }) => ids.length),
      { pooling, length, dimension },
    );
  }
}

interface Member {
  readonly index: number;
  readonly ids: readonly number[];
}

/** Texts of the same padded length, as many as fit a run. */
function* batches(
  texts: readonly (readonly number[])[],
  maxTokens: number,
): Generator<{ length: number; members: Member[] }> {
  const byLength = new Map<number, Member[]>();
  for (const [index, ids] of texts.entries()) {
    const length = Math.min(Math.ceil(ids.length / LENGTH_STEP) * LENGTH_STEP, maxTokens);
    byLength.set(length, [...(byLength.get(length) ?? []), { index, ids }]);
  }
  for (const [length, members] of byLength) {
    const size = Math.max(1, Math.floor(TOKENS_AT_ONCE / length));
    for (let start = 0; start < members.length; start += size)
      yield { length, members: members.slice(start, start + size) };
  }
}

async function openNetwork({ network: { file, bert } }: EncoderFiles, threads: number): Promise<InferenceSession> {
  if (bert !== undefined) return createSession(bertGraph(bert, await readBertWeights(file, bert)), threads);
  const session = await createSession(file, threads).catch((error) => {
    throw new UserError(`${file}: cannot be opened as an ONNX model (${messageOf(error)})`, { cause: error });
  });
  const known = ['input_ids', 'attention_mask', 'token_type_ids'];
  const foreign = session.inputNames.filter((name) => !known.includes(name));
  if (foreign.length > 0 || !session.outputNames.includes('last_hidden_state'))
    throw new UserError(
      `${file}: expected inputs among ${known.join(', ')} and an output last_hidden_state, found inputs ${session.inputNames.join(', ')} and outputs ${session.outputNames.join(', ')}`,
      { hint: 'Export the encoder itself: optimum-cli export onnx --task feature-extraction.' },
    );
  return session;
}

async function openTokenizer({ tokenizer: file, lowercase }: EncoderFiles): Promise<Tokenizer> {
  const json = (await readJson(file)) as { normalizer?: object | null };
  const normalizers = [{ type: 'Lowercase' }, ...(json.normalizer ? [json.normalizer] : [])];
  try {
    return new Tokenizer(lowercase ? { ...json, normalizer: { type: 'Sequence', normalizers } } : json, {});
  } catch (error) {
    throw new UserError(`${file}: cannot be used as a tokenizer (${messageOf(error)})`, { cause: error });
  }
}
