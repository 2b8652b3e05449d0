/** A distillation pair: the student's tokens, each as strongly coloured as teacher and student disagree on it, and both prompts. */
import type { PairRecord } from '../../evolve/journal.ts';
import { type Decoder, decodeAfter } from './decode.ts';
import { type Html, html } from './html.ts';

/** `scale` is the divergence, in nats, of the strongest colour. */
export function pairView(title: string, pair: PairRecord, scale: number, tokenizer: Decoder): Html {
  const policyTokens = pair.mask.filter((author) => author === 1).length;
  const sum = pair.kl?.reduce((total, kl) => total + kl, 0);
  const divergence =
    sum === undefined
      ? 'divergence not measured'
      : `mean divergence ${(sum / Math.max(1, policyTokens)).toFixed(3)} nats`;
  const student = pair.student.correct ? html`<span class="good">right</span>` : html`<span class="bad">wrong</span>`;
  return html`<div class="case"><b>${title}</b> <span class="facts">teacher sees ${shownText(pair)}, student: rollout ${pair.student.rollout} (</span>${student}<span class="facts">) · ${policyTokens} policy tokens · ${divergence}</span>
<div class="transcript tokens">${tokenGroups(pair, tokenizer).map((group) => tokenView(group, scale))}</div>
<details><summary>The two prompts</summary><div class="prompts"><div><span class="facts">teacher, ${pair.teacherPrompt.length} tokens</span><div class="prompt">${tokenizer.decode(pair.teacherPrompt)}</div></div>
<div><span class="facts">student, ${pair.studentPrompt.length} tokens</span><div class="prompt">${tokenizer.decode(pair.studentPrompt)}</div></div></div></details></div>`;
}

function shownText({ questionId, expert }: PairRecord): string {
  if (expert === null) return 'nothing';
  if (expert === 'demonstration') return 'a demonstration';
  return `rollout ${expert.rollout}${expert.questionId === questionId ? '' : ` of ${expert.questionId}`}`;
}

interface TokenGroup {
  readonly text: string;
  readonly byPolicy: boolean;
  /** The largest of the group; null where it was not measured. */
  readonly kl: number | null;
}

/** Tokens one by one, except those that are parts of one character. */
function tokenGroups({ studentPrompt, ids, mask, kl }: PairRecord, tokenizer: Decoder): TokenGroup[] {
  const groups: TokenGroup[] = [];
  for (let start = 0, end = 1; start < ids.length; start = end, end = start + 1) {
    const before = start === 0 ? studentPrompt.at(-1) : ids[start - 1];
    let text = decodeAfter(tokenizer, before, ids.slice(start, end));
    // A character has at most four bytes, so at most four tokens.
    while (text.endsWith('\uFFFD') && end < ids.length && end - start < 4 && mask[end] === mask[start]) {
      end += 1;
      text = decodeAfter(tokenizer, before, ids.slice(start, end));
    }
    groups.push({ text, byPolicy: mask[start] === 1, kl: kl && Math.max(...kl.slice(start, end)) });
  }
  return groups;
}

function tokenView({ text, byPolicy, kl }: TokenGroup, scale: number): Html {
  if (!byPolicy) return html`<span class="environment">${text}</span>`;
  if (kl === null) return html`<b>${text}</b>`;
  // Square root: most tokens agree to a thousandth, and small differences should still be seen.
  const strength = Math.sqrt(Math.min(1, Math.max(0, kl) / scale)) * 0.75;
  return html`<b style="background:rgba(var(--heat),${strength.toFixed(3)})" title="${kl.toFixed(4)} nats">${text}</b>`;
}
