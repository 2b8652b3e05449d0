/** Whether a file's tensors are those that config.json calls for; if not, why that is likely so. */
import { UserError } from '../base/errors.ts';
import type { ModelConfig } from './config.ts';
import { tensorShapes } from './tensor-shapes.ts';

const EMBEDDING = 'model.embed_tokens.weight';
export const HEAD = 'lm_head.weight';

/** A tied head, and frequencies that older transformers stored: both repeat what is known without them. */
export function isRepetition(name: string, config: ModelConfig): boolean {
  return (name === HEAD && config.tiedHead) || name.endsWith('.rotary_emb.inv_freq');
}

/**
 * Every tensor of the configuration in its shape, and no other but repetitions.
 * @throws UserError naming `place`, the first tensor that is wrong, and what was found
 */
export function checkTensors(config: ModelConfig, found: ReadonlyMap<string, readonly number[]>, place: string): void {
  const shapes = tensorShapes(config);
  const text = (shape: readonly number[]) => `[${shape.join(', ')}]`;
  const checkShape = (name: string, expected: readonly number[], found: readonly number[]) => {
    if (text(expected) !== text(found))
      throw new UserError(
        `${place}: tensor "${name}": config.json makes its shape ${text(expected)}, found ${text(found)}`,
      );
  };
  for (const [name, shape] of shapes) {
    const own = found.get(name);
    if (!own)
      throw new UserError(
        `${place}: tensor "${name}" of shape ${text(shape)} is missing${instead(name, [...found.keys()], [...shapes.keys()])}`,
        { hint: hintOf(name) },
      );
    checkShape(name, shape, own);
  }
  for (const [name, shape] of found) {
    if (shapes.has(name)) continue;
    if (name === HEAD && config.tiedHead) checkShape(name, shapes.get(EMBEDDING)!, shape);
    else if (!isRepetition(name, config))
      throw new UserError(
        `${place}: unexpected tensor "${name}" of shape ${text(shape)}; config.json describes a model without it`,
        { hint: 'Check that config.json and the weights belong together.' },
      );
  }
}

function hintOf(missing: string): string {
  return missing === HEAD
    ? 'Set tie_word_embeddings to true in config.json if the head is to be the embedding.'
    : 'Check that config.json and the weights belong together.';
}

/** What stands there in place of a missing tensor: a prefix too few or too many on all names, else the nearest name. */
function instead(missing: string, found: readonly string[], wanted: readonly string[]): string {
  const strangers = found.filter((name) => !wanted.includes(name));
  if (strangers.length === 0) return '';
  const shorter = strangers.find((name) => missing.endsWith(`.${name}`));
  if (shorter !== undefined)
    return `; the file has "${shorter}": its names lack "${missing.slice(0, -shorter.length)}" in front`;
  const longer = strangers.find((name) => name.endsWith(`.${missing}`));
  if (longer !== undefined)
    return `; the file has "${longer}": its names have "${longer.slice(0, -missing.length)}" in front, which is too much`;
  const near = strangers
    .slice(0, 2000)
    .map((name) => ({ name, distance: editDistance(name.slice(0, 200), missing) }))
    .reduce((best, each) => (each.distance < best.distance ? each : best));
  return near.distance <= missing.length / 3
    ? `; the nearest name in the file is "${near.name}"`
    : `; the file has ${strangers.length} other tensors, e.g. "${strangers[0]!.slice(0, 200)}"`;
}

/** Letters to be inserted, removed or changed (Levenshtein): one row of the table at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
