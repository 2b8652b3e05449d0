/**
 * A local encoder's folder: which files it is made of, and all that its vectors depend on.
 *
 * - With config_sentence_transformers.json, or without an ONNX file: as sentence-transformers.ts reads it. The network is the
 *   folder's ONNX file, or else BERT's layers with the weights of model.safetensors.
 * - Otherwise E5 as ONNX, whose folders do not name its prefixes: "query: " and "passage: ", 256 tokens as its authors evaluate
 *   it, the mean.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { hasCode, UserError } from '../../../base/errors.ts';
import { hashFile, readJson, sha256 } from '../../../base/files.ts';
import { shown } from '../../../base/text.ts';
import { E5_PREFIXES, type EmbedderInfo } from '../embedder.ts';
import { LARGEST_DIMENSION } from '../vector-file.ts';
import { type BertConfig, parseBertConfig } from './bert-config.ts';
import type { Pooling } from './pooling.ts';
import {
  MODULES_FILE,
  PROMPTS_FILE,
  parsed,
  readIfThere,
  readPooling,
  readSentenceTransformer,
} from './sentence-transformers.ts';

const E5_TOKENS = 256;

export interface EncoderFiles {
  /** The file that holds the network, and with `bert` what it is; an ONNX file says that itself. */
  readonly network: { readonly file: string; readonly bert?: BertConfig };
  readonly tokenizer: string;
  readonly lowercase: boolean;
  readonly dimension: number;
  /** Of a text, special ones included. */
  readonly maxTokens: number;
  readonly pooling: Pooling;
  readonly prefixes: EmbedderInfo['prefixes'];
  /** SHA-256 over all but the prefixes. */
  readonly hash: string;
}

/**
 * Finds, reads and hashes a model's files.
 * @throws UserError naming what is missing, does not fit or is not supported
 */
export async function readEncoderFolder(folder: string): Promise<EncoderFiles> {
  const onnx = await findOnnx(folder);
  if (onnx !== undefined && !existsSync(path.join(folder, PROMPTS_FILE))) return readE5(folder, onnx);
  if (!existsSync(path.join(folder, MODULES_FILE))) {
    // Of a folder that is not there, this says so.
    await readJson(path.join(folder, 'config.json'));
    throw new UserError(`${folder}: no ${MODULES_FILE}, and no onnx/model.onnx and no model.onnx here`, {
      hint: 'Give a folder that sentence-transformers wrote, or export this model: optimum-cli export onnx --task feature-extraction.',
    });
  }
  return readSentences(folder, onnx);
}

interface HashedFile {
  readonly file: string;
  readonly hash: string;
}

async function findOnnx(folder: string): Promise<HashedFile | undefined> {
  for (const name of ['onnx/model.onnx', 'model.onnx']) {
    const found = await hashIfThere(path.join(folder, name));
    if (found !== undefined) return found;
  }
  return undefined;
}

async function hashIfThere(file: string): Promise<HashedFile | undefined> {
  try {
    return { file, hash: await hashFile(file) };
  } catch (error) {
    if (error instanceof UserError && hasCode(error.cause, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

const onnxConfigSchema = z.looseObject({
  model_type: z.string().optional(),
  hidden_size: z.int().positive().max(LARGEST_DIMENSION),
  // Two special tokens, two rows that are no positions, and something between.
  max_position_embeddings: z.int().min(8),
});

/** The width of a network that an ONNX file holds, and how many tokens of a text it takes. */
async function readOnnxConfig(folder: string): Promise<{ dimension: number; positions: number }> {
  const file = path.join(folder, 'config.json');
  const config = parsed(onnxConfigSchema, await readJson(file), file);
  // RoBERTa's position embeddings begin behind the padding's, so that two of the table's rows are no positions.
  return { dimension: config.hidden_size, positions: config.max_position_embeddings - 2 };
}

async function readE5(folder: string, network: HashedFile): Promise<EncoderFiles> {
  const { dimension, positions } = await readOnnxConfig(folder);
  const pooling = path.join(folder, '1_Pooling', 'config.json');
  if (existsSync(pooling) && (await readPooling(pooling)) !== 'mean')
    throw new UserError(`${pooling}: this model does not pool by the mean of its tokens, so it is not E5`, {
      hint: `Of a model that sentence-transformers wrote, bring ${PROMPTS_FILE} too; or serve it and give its /v1 address.`,
    });
  const tokenizer = path.join(folder, 'tokenizer.json');
  return {
    network: { file: network.file },
    tokenizer,
    lowercase: false,
    dimension,
    maxTokens: Math.min(E5_TOKENS, positions),
    pooling: 'mean',
    prefixes: E5_PREFIXES,
    hash: sha256(network.hash, await hashFile(tokenizer)),
  };
}

async function readSentences(folder: string, onnx: HashedFile | undefined): Promise<EncoderFiles> {
  const { transformer, pooling, maxTokens: wanted, lowercase, prefixes } = await readSentenceTransformer(folder);
  const { network, dimension, positions } =
    onnx === undefined
      ? await readBert(transformer)
      : { network: { ...onnx, bert: undefined }, ...(await readOnnxConfig(transformer)) };
  const tokenizer = await requireTokenizer(transformer);
  const maxTokens = Math.min(wanted ?? (await tokenizerLimit(transformer)), positions);
  // An ONNX file with what is E5's too has the hash that it always had: indexes made of it stay in use.
  const asE5 = network.bert === undefined && pooling === 'mean' && maxTokens === E5_TOKENS && !lowercase;
  const settings = asE5 ? '' : JSON.stringify({ bert: network.bert, pooling, maxTokens, lowercase });
  return {
    network: { file: network.file, ...(network.bert && { bert: network.bert }) },
    tokenizer: tokenizer.file,
    lowercase,
    dimension,
    maxTokens,
    pooling,
    prefixes,
    hash: sha256(network.hash, tokenizer.hash, settings),
  };
}

const typeSchema = z.looseObject({ model_type: z.string() });

async function readBert(folder: string) {
  const file = path.join(folder, 'config.json');
  const json = await readJson(file);
  const { model_type: type } = parsed(typeSchema, json, file);
  if (type !== 'bert')
    throw new UserError(`${file}: model_type: ${shown(type)} is not supported from safetensors, expected "bert"`, {
      hint: 'Export this model: optimum-cli export onnx --task feature-extraction; its onnx/model.onnx is used then. Or serve it.',
    });
  const bert = parseBertConfig(json, file);
  const weights = await hashIfThere(path.join(folder, 'model.safetensors'));
  if (weights === undefined)
    throw new UserError(`${path.join(folder, 'model.safetensors')}: no such file or directory`, {
      hint: 'Weights are taken from one model.safetensors: save_pretrained of a recent sentence-transformers writes it.',
    });
  return { network: { ...weights, bert }, dimension: bert.hidden, positions: bert.positions };
}

async function requireTokenizer(folder: string): Promise<HashedFile> {
  const file = path.join(folder, 'tokenizer.json');
  const found = await hashIfThere(file);
  if (found !== undefined) return found;
  throw new UserError(`${file}: no such file or directory`, {
    hint: `Write it from the tokenizer's other files, such as vocab.txt, with Python's transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)`,
  });
}

const tokenizerSchema = z.looseObject({ model_max_length: z.number().min(3).nullish() });

async function tokenizerLimit(folder: string): Promise<number> {
  const file = path.join(folder, 'tokenizer_config.json');
  const { model_max_length } = parsed(tokenizerSchema, (await readIfThere(file)) ?? {}, file);
  return model_max_length ?? Number.POSITIVE_INFINITY;
}
