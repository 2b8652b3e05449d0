/**
 * Holds tokenizers made of GGUF metadata against the vocabularies that llama.cpp is tested with: texts (.inp) and the ids that the
 * models' own tokenizers give (.out). They come with the source package of llama-cpp-python.
 *
 *     pip download --no-deps --no-binary :all: llama-cpp-python==0.3.36 && tar xzf llama_cpp_python-0.3.36.tar.gz
 *     node bench/pretrained/vocabularies.ts llama_cpp_python-0.3.36/vendor/llama.cpp/models
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { messageOf } from '../../src/base/errors.ts';
import type { ModelConfig } from '../../src/checkpoint/config.ts';
import { GgufFile } from '../../src/checkpoint/gguf/file.ts';
import { tokenizerFilesOf } from '../../src/checkpoint/gguf/tokenizer.ts';
import { tokenizerFromJson } from '../../src/checkpoint/tokenizer.ts';

const folder = process.argv[2]!;
/** The files hold a vocabulary and no model. */
const shape = { contextLength: 1, vocabulary: 2 ** 22 } as ModelConfig;

for (const name of readdirSync(folder).filter(
  (each) => each.endsWith('.gguf') && existsSync(path.join(folder, `${each}.inp`)),
)) {
  const file = path.join(folder, name);
  const opened = await GgufFile.open(file);
  try {
    const files = tokenizerFilesOf(opened.metadata, name, shape);
    const tokenizer = tokenizerFromJson(files.json, files, name);
    const texts = readFileSync(`${file}.inp`, 'utf8').split('\n__ggml_vocab_test__\n');
    const truth = readFileSync(`${file}.out`, 'utf8').split('\n');
    const right = texts.filter((text, i) => tokenizer.encode(text).join(' ') === truth[i]!.trim());
    console.log(`${name}: ${right.length} of ${texts.length} texts (${opened.metadata.text('tokenizer.ggml.pre')})`);
  } catch (error) {
    console.log(messageOf(error));
  } finally {
    await opened.close();
  }
}
