/** What is asked of the trainer is checked before anything is computed: ids within the vocabulary, sequences within the context. */
import type { LossBatch, SoftTargets, TokenIds } from '../../../policy/policy.ts';
import type { ModelConfig } from '../model/parameters.ts';

/** @throws naming sequence or pair, and token */
export function checkBatch(batch: LossBatch, config: ModelConfig): void {
  if ('pairs' in batch) {
    for (const [index, { studentPrompt, teacherPrompt, ids }] of batch.pairs.entries()) {
      checkSequence([...studentPrompt, ...ids], `student side of pair ${index}`, config);
      checkSequence([...teacherPrompt, ...ids], `teacher side of pair ${index}`, config);
    }
    return;
  }
  for (const [index, { ids }] of batch.sequences.entries()) checkSequence(ids, `sequence ${index}`, config);
  if (batch.loss !== 'soft-cross-entropy') return;
  for (const [index, { tokens }] of batch.sequences.entries())
    checkIds(tokens, `sequence ${index}: entry of tokens`, config);
}

export function checkSequences(sequences: readonly TokenIds[], config: ModelConfig): void {
  for (const [index, ids] of sequences.entries()) checkSequence(ids, `sequence ${index}`, config);
}

export function checkTop(sequences: readonly Pick<SoftTargets, 'ids'>[], k: number, config: ModelConfig): void {
  checkSequences(
    sequences.map(({ ids }) => ids),
    config,
  );
  const { vocabulary } = config;
  if (!(Number.isInteger(k) && k >= 1 && k <= vocabulary))
    throw new Error(`k is ${k}, expected a whole number from 1 to ${vocabulary}, the vocabulary`);
}

function checkSequence(ids: TokenIds, what: string, config: ModelConfig): void {
  const { contextLength } = config;
  if (ids.length > contextLength)
    throw new Error(`${what} has ${ids.length} tokens, the model's context is ${contextLength}`);
  checkIds(ids, `${what}: token`, config);
}

function checkIds(ids: TokenIds | Int32Array, what: string, { vocabulary }: ModelConfig): void {
  const wrong = ids.findIndex((id) => !(Number.isInteger(id) && id >= 0 && id < vocabulary));
  if (wrong >= 0) throw new Error(`${what} ${wrong} is id ${ids[wrong]}, expected 0 to ${vocabulary - 1}`);
}
