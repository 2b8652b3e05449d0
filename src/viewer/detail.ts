/** One trajectory, or one answer of an evaluation, in full. */

import { answerSchema } from '../evaluation/answer.ts';
import { stretches } from '../protocol/authors.ts';
import type { Trajectory } from '../rollout/trajectory.ts';
import { fromLine } from '../rollout/trajectory-file.ts';
import { type Decoder, decodeAfter } from '../runs/report/decode.ts';
import type { Row } from '../runs/rows/row.ts';
import { parseAs } from '../runs/schemas.ts';
import type { RunText } from './run-known.ts';
import { turnsOfResponse } from './turns-of.ts';
import type { Stream, TrajectoryDetail } from './wire.ts';

type Detail = Omit<TrajectoryDetail, 'place'>;

export function trajectoryDetail(row: Row, line: string, { tokenizer, template, note }: RunText): Detail {
  const trajectory = fromLine(JSON.parse(line), row.place.shard);
  const { prompt, ids, mask, text, failure } = trajectory;
  const parts = stretches(mask).map(({ author, start, end }, i) => ({
    author,
    text: text?.response[i] ?? tokenizer?.decode(ids.slice(start, end)) ?? '',
    tokens: [start, end] as const,
  }));
  const isText = text !== undefined || tokenizer !== undefined;
  return {
    row,
    prompt: text?.prompt ?? tokenizer?.decode(prompt) ?? null,
    promptIds: prompt,
    turns: isText ? turnsOfResponse(parts, trajectory.searches, template) : [],
    tokens: {
      ids,
      texts: tokenizer ? textsOf(tokenizer, prompt.at(-1), ids, mask) : null,
      mask,
      streams: streamsOf(trajectory),
    },
    failure: failure ?? null,
    notes: [
      ...(note ? [note] : []),
      ...(isText ? [] : ['This run was written by an earlier version, which kept token ids alone.']),
      ...(row.about.gold === null
        ? ['The gold answers are not in this run, nor are the files at hand that it was given.']
        : []),
    ],
    raw: line,
  };
}

export function answerDetail(row: Row, line: string): Detail {
  const { transcript, searches, failure } = parseAs(answerSchema, JSON.parse(line), row.place.shard);
  const parts = transcript.map(({ author, text }) => ({ author, text, tokens: null }));
  return {
    row,
    prompt: null,
    promptIds: null,
    turns: turnsOfResponse(parts, searches, undefined),
    tokens: null,
    failure: failure ?? null,
    notes:
      row.about.gold === null ? ['This evaluation was written by an earlier version, which kept no gold answers.'] : [],
    raw: line,
  };
}

/** The text of each token; a character of several tokens stands with its first. */
export function textsOf(
  tokenizer: Decoder,
  before: number | undefined,
  ids: readonly number[],
  mask: readonly (0 | 1)[],
): string[] {
  const texts: string[] = [];
  for (let start = 0, end = 1; start < ids.length; start = end, end = start + 1) {
    const lead = start === 0 ? before : ids[start - 1];
    let text = decodeAfter(tokenizer, lead, ids.slice(start, end));
    // A character has at most four bytes, so at most four tokens.
    while (text.endsWith('\uFFFD') && end < ids.length && end - start < 4 && mask[end] === mask[start]) {
      end += 1;
      text = decodeAfter(tokenizer, lead, ids.slice(start, end));
    }
    texts.push(text, ...new Array<string>(end - start - 1).fill(''));
  }
  return texts;
}

function streamsOf({ mask, logprobs, training }: Trajectory): Stream[] {
  let spoken = 0;
  const place = mask.map((author) => (author === 1 ? spoken++ : -1));
  const over = (values: readonly number[]) => place.map((n) => (n < 0 ? null : values[n]!));
  const { advantage, kl } = training ?? {};
  return [
    {
      name: 'logprob',
      label: 'surprise',
      means:
        'How unlikely the policy itself found each token when it wrote it: −log p, in nats. 0 is certain; 0.7 is a coin’s toss.',
      values: logprobs.map((value, t) => (mask[t] === 1 ? -value : null)),
    },
    ...(advantage === undefined
      ? []
      : [
          {
            name: 'advantage' as const,
            label: 'advantage',
            means:
              'What training multiplies the token’s gradient with: above 0 it is made likelier, below 0 less likely.',
            values:
              typeof advantage === 'number' ? mask.map((author) => (author === 1 ? advantage : null)) : over(advantage),
          },
        ]),
    ...(kl === undefined
      ? []
      : [
          {
            name: 'kl' as const,
            label: 'KL',
            means: 'How far the policy has moved from the start of its round on this token (k3 estimate, in nats).',
            values: over(kl),
          },
        ]),
    {
      name: 'mask',
      label: 'mask',
      means: 'Which tokens are trained on: those that the policy wrote, never those that it was shown.',
      values: mask.map(Number),
    },
  ];
}
