/** Words that are used on the pages, explained. */
export function Glossary() {
  return (
    <details class="words">
      <summary>The words of this page</summary>
      <dl>
        {words.map(([word, means]) => (
          <div key={word}>
            <dt>{word}</dt>
            <dd>{means}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

const words: readonly (readonly [word: string, means: string])[] = [
  ['policy', 'The language model that is being trained.'],
  ['rollout', 'One attempt of the policy at a question: it thinks, searches, reads what was found, and answers.'],
  [
    'exact match',
    'Whether the answer equals a gold answer, small differences of case, articles and punctuation aside.',
  ],
  ['policy tokens', 'The tokens that the policy wrote itself. Passages that it was shown do not count.'],
  ['well formed', 'Every turn thinks, then searches or answers, in closed tags.'],
  ['grounded', 'The answer stands in a passage that was shown: it was read, not guessed.'],
  ['retrieved', 'A gold answer stands in a passage that was shown, whether or not the policy noticed.'],
  [
    'GRPO',
    'Reinforcement learning over groups: a question is tried several times, and what did better than the others is made likelier.',
  ],
  ['group', 'The rollouts of one question in one step. When all have the same reward, nothing is learned from them.'],
  ['advantage', 'How much better a rollout did than its group, in standard deviations.'],
  ['pool', 'The rollouts among which a round of self-distillation looks for pairs.'],
  [
    'expert, student',
    'Of a pair: the efficient right rollout that the teacher is shown, and the sibling on whose tokens the student learns.',
  ],
  [
    'gate',
    'A check before distilling: does the policy do better when it is shown the expert? “No more than chance” is a finding, not a failure.',
  ],
  ['E1', 'A round of self-distillation: the policy with the expert before its eyes teaches itself without.'],
  ['KL', 'How far two opinions on the next token are apart, in nats; 0 when they are the same.'],
  ['sampled, greedy', 'Whether an evaluation draws tokens by chance or always takes the likeliest.'],
];
