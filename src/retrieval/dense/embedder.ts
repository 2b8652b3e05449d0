/** What the dense retriever asks of a model that turns texts into vectors. */

import { UserError } from '../../base/errors.ts';

/** The two sides of retrieval; models such as E5 are told which one a text is of. */
export type TextRole = 'query' | 'passage';

export interface EmbedderInfo {
  /** A model's folder, or the address and name of a served one. */
  readonly name: string;
  readonly dimension: number;
  /** SHA-256 of the model's files; '' for a served model, which says nothing of the kind. */
  readonly hash: string;
  /** Written before every text of that role. */
  readonly prefixes: Readonly<Record<TextRole, string>>;
}

export interface Embedder {
  readonly info: EmbedderInfo;
  /**
   * One unit vector a text, row by row, `texts.length × info.dimension` numbers.
   * Rejects when the signal is aborted or the model fails; never returns a part of a batch.
   */
  embed(texts: readonly string[], role: TextRole, signal?: AbortSignal): Promise<Float32Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** E5's own (https://huggingface.co/intfloat/e5-base-v2). */
export const E5_PREFIXES: EmbedderInfo['prefixes'] = { query: 'query: ', passage: 'passage: ' };

/** What is embedded of a passage: as in Search-R1's corpora, the quoted title, a newline, and the text. */
export function passageText({ title, text }: { readonly title: string; readonly text: string }): string {
  return title === '' ? text : `"${title}"\n${text}`;
}

/**
 * Scales every row to norm 1, in place.
 * @param source the model, for the error
 * @throws UserError naming the row that has no direction: zero or not finite
 */
export function normalizeRows(
  rows: Float32Array<ArrayBuffer>,
  dimension: number,
  source: string,
): Float32Array<ArrayBuffer> {
  for (let start = 0; start < rows.length; start += dimension) {
    const row = rows.subarray(start, start + dimension);
    let squares = 0;
    for (const value of row) squares += value * value;
    const norm = Math.sqrt(squares);
    if (!(norm > 0 && norm < Number.POSITIVE_INFINITY))
      throw new UserError(`${source}: the vector of text ${start / dimension} has the norm ${norm}`, {
        hint: 'An embedding is finite and not zero; look at what the model is and what it is given.',
      });
    for (let j = 0; j < dimension; j++) row[j]! /= norm;
  }
  return rows;
}
