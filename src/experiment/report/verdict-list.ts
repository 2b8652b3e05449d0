/** Verdicts by question: what is claimed, and below it each measure and budget that it was asked of. */
import { type Html, html } from '../../runs/report/html.ts';
import { claims } from '../claims.ts';
import type { Measure, Summary, Verdict } from '../schema.ts';

const verdictClass: Readonly<Record<Verdict['verdict'], string>> = {
  supported: 'supported',
  contrary: 'refuted',
  equivalent: 'equivalent',
  undecided: 'undecided',
  'no look': 'undecided',
  'not run': 'undecided',
};

export function verdictSection({ verdicts }: Summary): Html {
  if (verdicts.length === 0) return html`<p>The experiment has no two arms that a claim is about.</p>`;
  const tally = (['supported', 'equivalent', 'contrary', 'undecided', 'no look', 'not run'] as const)
    .map((verdict) => [verdict, verdicts.filter((one) => one.verdict === verdict).length] as const)
    .filter(([, count]) => count > 0);
  const questions = Map.groupBy(verdicts, ({ claim }) => parts(claim).question);
  return html`<p>${tally.map(([verdict, count]) => `${count} ${verdict}`).join(', ')}.</p>
<ul class="verdicts">${[...questions].map(
    ([question, asked]) => html`<li><b>${question}</b>${asked.map(verdictLine)}</li>`,
  )}</ul>
<p class="soft">Supported: the difference is on the claimed side of zero with p below .05, or below the bound of the look where looks are registered. Contrary: on the other side. Equivalent: neither, and the 90 % interval lies within ± the margin, ${marginOf('exactMatch')} of exact match or ${marginOf('searches')} searches unless the experiment's file says otherwise. A claim that something is enough, or does as well, allows a loss up to the margin and is tested against that. Otherwise undecided, and always with a single seed. Differences are paired by seed and question; intervals and p are Student's, over the seeds' means. p is corrected for the number of claims (Holm), but for the primary one: equal tokens, greedy answers, the full budget, or what the experiment's file names.</p>
<p class="soft">Claims about two searches and about fewer searches are not independent. A policy is not told its budget: an answer with at most two searches is the same answer cut short, right exactly where the policy is right and has stopped by then. An arm that searches less gains there for that reason too.</p>`;
}

function verdictLine({ claim, verdict, sentence }: Verdict): Html {
  const { condition } = parts(claim);
  return html`<div class="verdict ${verdictClass[verdict]}">${condition !== '' && `${condition}: `}<b>${verdict}.</b> ${sentence}</div>`;
}

/** "It pays (exact match, at most 2 searches)": what is asked, and of what. */
function parts(claim: string): { readonly question: string; readonly condition: string } {
  const [, question, condition] = /^(.*?) \((.*)\)$/.exec(claim) ?? [];
  return { question: question ?? claim, condition: condition ?? '' };
}

/** All claims about a measure have the same. */
function marginOf(measure: Measure): number {
  return claims.flatMap((claim) => ('margin' in claim && claim.measure === measure ? [claim.margin] : []))[0]!;
}
