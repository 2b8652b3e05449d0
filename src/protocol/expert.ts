/** Which of an expert trajectory's tokens the teacher is shown. */
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import { type AuthoredIds, type Stretch, stretches, turnsOf } from './authors.ts';
import { type ActionSpan, findAction } from './parser.ts';

/**
 * whole: with its information blocks · policy: only what the policy wrote · searches-and-answer: only the tagged actions
 * · searches: only the tagged searches, the answer withheld.
 */
export type ExpertView = 'whole' | 'policy' | 'searches-and-answer' | 'searches';

/**
 * The expert's ids under a view, unchanged and in order, at most `budget` (≥ 0) of them.
 *
 * Over budget, the information blocks lose their tails first, all cut to one common length (a block keeps its closing tag);
 * when even without them the rest is too long, the beginning is kept, and the answer with it.
 */
export function expertView(
  tokenizer: Pick<Tokenizer, 'pieces'>,
  expert: AuthoredIds,
  view: ExpertView,
  budget: number,
): number[] {
  const parts = stretches(expert.mask).flatMap((stretch) => shownPart(tokenizer, expert, stretch, view));
  const policyTokens = length(parts.filter((part) => part.author === 'policy'));
  const fitted = policyTokens > budget ? keepAnswer(tokenizer, expert, parts, budget) : cutBlocks(parts, budget);
  return fitted.map((index) => expert.ids[index]!);
}

/** Positions in the expert's ids that are shown of one stretch. */
interface Part {
  readonly author: Stretch['author'];
  readonly positions: readonly number[];
  /** How many positions at the beginning and at the end are an information block's own text and tags. */
  readonly opening: number;
  readonly closing: number;
}

function shownPart(
  tokenizer: Pick<Tokenizer, 'pieces'>,
  expert: AuthoredIds,
  stretch: Stretch,
  view: ExpertView,
): Part[] {
  const { author, start, end } = stretch;
  const positions = Array.from({ length: end - start }, (_, i) => start + i);
  if (author === 'environment') {
    if (view !== 'whole') return [];
    const { text, offsets } = pieceText(tokenizer, expert, stretch);
    const [open, close] = [text.indexOf('<information>'), text.lastIndexOf('</information>')];
    const opening = open < 0 ? 0 : offsets.filter((offset) => offset <= open + '<information>'.length).length;
    const closing = close < 0 ? 0 : offsets.filter((offset) => offset > close).length;
    return [{ author, positions, opening, closing }];
  }
  if (view === 'whole' || view === 'policy') return [{ author, positions, opening: 0, closing: 0 }];
  const action = actionOf(tokenizer, expert, stretch);
  if (action === undefined || (view === 'searches' && action.kind === 'answer')) return [];
  return [{ author, positions: action.positions, opening: 0, closing: 0 }];
}

/** The text of a stretch by its tokens' pieces, and where each token's piece ends in it. */
function pieceText(tokenizer: Pick<Tokenizer, 'pieces'>, expert: AuthoredIds, { start, end }: Stretch) {
  let text = '';
  const offsets: number[] = [];
  for (const id of expert.ids.slice(start, end)) {
    text += tokenizer.pieces[id] ?? '';
    offsets.push(text.length);
  }
  return { text, offsets };
}

/** A turn's action and the positions of the tokens that overlap it. */
function actionOf(
  tokenizer: Pick<Tokenizer, 'pieces'>,
  expert: AuthoredIds,
  stretch: Stretch,
): (ActionSpan & { positions: number[] }) | undefined {
  const { text, offsets } = pieceText(tokenizer, expert, stretch);
  const action = findAction(text);
  if (action === undefined) return undefined;
  const positions = offsets.flatMap((end, i) => {
    const begin = i === 0 ? 0 : offsets[i - 1]!;
    return end > action.start && begin < action.end ? [stretch.start + i] : [];
  });
  return { ...action, positions };
}

function length(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + part.positions.length, 0);
}

/** Cuts every information block to the largest common length at which the whole fits. */
function cutBlocks(parts: readonly Part[], budget: number): number[] {
  const cutTo = (limit: number) =>
    parts.flatMap(({ author, positions, opening, closing }) => {
      if (author === 'policy' || positions.length <= limit) return positions;
      // A block without room for a token between its tags says nothing: leave it out.
      if (limit <= opening + closing) return [];
      return [...positions.slice(0, limit - closing), ...positions.slice(positions.length - closing)];
    });
  let limit = Math.max(0, ...parts.map((part) => part.positions.length));
  while (cutTo(limit).length > budget) limit -= 1;
  return cutTo(limit);
}

/** The beginning of what the policy said, and its answer, in `budget` tokens. */
function keepAnswer(
  tokenizer: Pick<Tokenizer, 'pieces'>,
  expert: AuthoredIds,
  parts: readonly Part[],
  budget: number,
): number[] {
  const spoken = parts.filter((part) => part.author === 'policy').flatMap((part) => part.positions);
  const answers = turnsOf(expert.mask)
    .map((turn) => actionOf(tokenizer, expert, turn))
    .filter((action) => action?.kind === 'answer');
  const shown = new Set(spoken);
  const answer = (answers.at(-1)?.positions ?? []).filter((position) => shown.has(position)).slice(0, budget);
  const kept = new Set(answer);
  const rest = spoken.filter((position) => !kept.has(position)).slice(0, budget - answer.length);
  return [...rest, ...answer].sort((a, b) => a - b);
}
