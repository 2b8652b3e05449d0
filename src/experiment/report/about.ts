/** What a reader has to know first: what was run, the arms and their numbers, and what the measures mean. */

import { type Html, html } from '../../runs/report/html.ts';
import { saysOfArm } from '../arms.ts';
import type { ExperimentRecord } from '../record.ts';
import type { Summary } from '../schema.ts';
import { counted } from '../text.ts';

/** Without `record` (experiment.json) versions are left out. */
export function aboutSection(summary: Summary, record?: ExperimentRecord): Html {
  const { arms, seeds, runs, missing } = summary;
  const own = record?.data;
  const versions = record && Object.entries(record.versions).map(([name, version]) => `${name} ${version}`);
  return html`<p>An experiment compares arms over seeds: an arm is the method with one thing changed, ${own ? 'a seed is random draws of its own on the same questions' : 'a seed is a world of its own with random draws of its own'}, and each arm is run on each seed. All arms of a seed share its base policy and its first GRPO round, and part after that. E1 <i>n</i> is the <i>n</i>-th distillation round, GRPO <i>n</i> the <i>n</i>-th GRPO round.</p>
<p>${counted(arms.length, 'arm')}, ${counted(seeds.length, 'seed')}, ${counted(runs.length, 'finished run')}. ${seedsText(summary)}${versions && ` Begun with ${versions.join(', ')}.`}</p>
${missing.length > 0 && html`<p><b>Not finished, and counted nowhere:</b> ${missing.join(', ')}.</p>`}
<h3>Arms, and the numbers that stand for them in charts</h3>
<ol class="arms">${arms.map((arm, i) => html`<li><b>${i + 1}</b><span><b>${arm}</b> ${saysOfArm(arm, summary.own)}</span></li>`)}</ol>
<h3>Measures</h3>
<dl class="key">${key.map(([name, meaning]) => html`<div><dt>${name}</dt><dd>${meaning}</dd></div>`)}</dl>`;
}

const key: readonly (readonly [name: string, meaning: string])[] = [
  ['exact match', 'share of questions whose answer equals a gold answer, case, articles and punctuation aside'],
  ['searches', 'searches made, mean a question'],
  ['policy tokens', 'tokens that the policy wrote itself (passages are not its own), mean a question'],
  [
    'well formed',
    'share of responses of nothing but turns of a thought, which may be missing, and one action: searches, then the answer',
  ],
  ['grounded', 'share of given answers that stand in a retrieved passage; yes and no are not asked'],
  [
    'KL',
    'how far teacher and student disagree on the next token, in nats: on tokens of thoughts, queries and answers, and on the tags',
  ],
  ['clipped', 'share of tokens where the loss was cut from above, so that single tokens cannot rule it'],
  ['entropy', 'how undecided the policy is about its next token, in nats'],
];

/** "Seeds on the base policy 82b9…: seed-001 (world 3001), … On a1d0…: seed-006 (world 3006), …" */
function seedsText({ seeds, worlds, bases }: Summary): string {
  const ofBases = Map.groupBy(seeds.keys(), (i) => bases[i]);
  return [...ofBases]
    .map(([base, indices], b) => {
      const each = indices.map((i) => (worlds[i] === undefined ? seeds[i] : `${seeds[i]} (world ${worlds[i]})`));
      const on = base === undefined ? 'Seeds' : b === 0 ? `Seeds on the base policy ${base}…` : `On ${base}…`;
      return `${on}: ${each.join(', ')}.`;
    })
    .join(' ');
}

/** All arms have these, but for what an arm changes. */
export function settingsSection({ preset, settings, model, weights, seeds, data }: ExperimentRecord): Html {
  return html`<details><summary>Preset ${preset}: the settings of all arms before an arm's change, seeds, base</summary>
<pre>${JSON.stringify({ model, weights, ...(data && { data }), seeds, settings }, null, 2)}</pre></details>`;
}
