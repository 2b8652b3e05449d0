/** BERT's weights from a safetensors file. */
import { UserError } from '../../../base/errors.ts';
import { SafetensorsFile, sizeOf } from '../../../checkpoint/safetensors.ts';
import { type BertConfig, bertShapes } from './bert-config.ts';

/** Names begin with this where the encoder was saved as a part of a larger model, e.g. with its language head. */
const PREFIX = 'bert.';

/**
 * Reads the tensors that the configuration calls for, as float32.
 * @throws UserError naming file and tensor: missing, of another shape, or no floating-point numbers
 */
export async function readBertWeights(file: string, config: BertConfig): Promise<Map<string, Float32Array>> {
  const opened = await SafetensorsFile.open(file);
  try {
    const entries = new Map(opened.tensors.map((entry) => [entry.name, entry]));
    const prefix = entries.has(`${PREFIX}embeddings.word_embeddings.weight`) ? PREFIX : '';
    const weights = new Map<string, Float32Array>();
    for (const [name, shape] of bertShapes(config)) {
      const entry = entries.get(prefix + name);
      const text = `[${shape.join(', ')}]`;
      if (entry === undefined)
        throw new UserError(`${file}: tensor "${prefix}${name}" of shape ${text} is missing`, {
          hint: 'Check that config.json and the weights belong together.',
        });
      if (`[${entry.shape.join(', ')}]` !== text)
        throw new UserError(
          `${file}: tensor "${entry.name}": config.json makes its shape ${text}, found [${entry.shape.join(', ')}]`,
        );
      const data = new Float32Array(sizeOf(shape));
      await opened.read(entry.name, data);
      weights.set(name, data);
    }
    return weights;
  } finally {
    await opened.close();
  }
}
