/**
 * ReAct (Yao et al. 2022, arXiv 2210.03629): thought, action and observation in turns, as one growing text.
 *
 *     Thought 1: …    Action 1: Search[query]    Observation 1: passages    Thought 2: …    Action n: Finish[answer]
 *
 * Departures: an instruction in place of worked examples; Search is the retriever that all baselines share (top k passages), so
 * there is no Lookup within a page. When the searches are used up one last step may only finish.
 */
import { fill } from '../protocol/prompts.ts';
import { defuse } from '../protocol/tags.ts';
import type { Baseline } from './baseline.ts';
import { AttemptEnded } from './session.ts';
import { afterThinking, documents } from './words.ts';

const prompt =
  'Answer the question by steps. Each step is a thought and an action, written as\n' +
  'Thought: what you know and what is missing\n' +
  'Action: Search[a query]   to look something up, or\n' +
  'Action: Finish[the answer alone]   to end, with a name, a number, a date or a few words.\n' +
  'After a search you are shown an observation. Write one step at a time and stop after its action.\n\n' +
  'Question: {question}\n{steps}';

const invalid = 'That was not an action. Write Search[a query] or Finish[the answer alone].';
const lastStep = 'There are no searches left. The next action has to be Finish[the answer alone].';

export const react: Baseline = {
  name: 'react',
  title: 'ReAct',
  source: 'Yao et al. 2022, arXiv 2210.03629',
  prompts: [prompt, invalid, lastStep],
  async answer(question, session) {
    const steps: string[] = [];
    let invalidSteps = 0;
    for (let n = 1; ; n++) {
      const shown = [...steps, `Thought ${n}:`].join('\n');
      const reply = await session.ask(fill(prompt, { question: defuse(question), steps: shown }), {
        stop: ['\nObservation'],
      });
      const { step, kind, content } = firstStep(reply);
      if (kind === 'Finish') return content;
      const isLast = session.searchesLeft < 1;
      if (isLast) throw new AttemptEnded('no-answer', 'no searches were left, and the last step did not finish');
      let observation: string;
      if (kind === 'Search') {
        observation = documents(await session.search(content), session.limits.observationTokens);
        if (session.searchesLeft < 1) observation += `\n${lastStep}`;
      } else {
        invalidSteps += 1;
        if (invalidSteps > session.limits.invalidTurns)
          throw new AttemptEnded('no-answer', `${invalidSteps} steps without an action`);
        observation = invalid;
      }
      steps.push(`Thought ${n}: ${defuse(step)}`, `Observation ${n}: ${observation}`);
    }
  },
};

/** The reply up to its first action; a model that goes on to write its own observation is cut off there. */
function firstStep(reply: string): { step: string; kind?: 'Search' | 'Finish'; content: string } {
  const text = afterThinking(reply)
    .split(/\n\s*Observation/)[0]!
    .replace(/^\s*Thought(?: \d+)?:\s*/, '');
  const found = /\b(Search|Finish)\[([^\]\n]+)\]/.exec(text);
  if (found === null || found[2]!.trim() === '') return { step: text.trim(), content: '' };
  const kind = found[1] === 'Search' ? 'Search' : 'Finish';
  return { step: text.slice(0, found.index + found[0].length).trim(), kind, content: found[2]!.trim() };
}
