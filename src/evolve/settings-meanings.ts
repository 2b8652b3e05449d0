/** What each setting of settings.ts means, in a sentence for a person who has not read the paper. `search-e1 settings` prints them. */

const ofOptimizers = {
  learningRate: 'Peak learning rate of AdamW.',
  warmupSteps: 'Steps over which the learning rate rises from zero to its peak.',
  schedule: 'After that: constant, or down to zero by a cosine over the steps of the round.',
  beta1: "Decay of AdamW's mean of gradients.",
  beta2: "Decay of AdamW's mean of squared gradients.",
  epsilon: "Added to AdamW's denominator.",
  weightDecay: 'Decoupled weight decay of AdamW.',
  clipNorm: 'Gradients whose global norm is larger are scaled down to this.',
  minGradientNorm: 'A step whose gradient norm is smaller moves nothing.',
};

const of = <T extends Record<string, string>>(prefix: string, meanings: T) =>
  Object.fromEntries(Object.entries(meanings).map(([name, meaning]) => [`${prefix}.${name}`, meaning]));

/** By dotted path, in the order of the schema. */
export const settingMeanings: Readonly<Record<string, string>> = {
  seed: 'Everything random follows from it: same seed, same results.',
  method:
    'How the policy is trained: search-e1 (the paper: reinforcement learning and self-distillation in turns), grpo (reinforcement learning alone), rejection-sampling (its own right trajectories), sft (the gold answers).',
  cycles: 'How often the rounds of the method are repeated; 0 only evaluates the base.',
  ...of('world', {
    seed: 'Which embedded world is made up, where no files are given.',
    trainingQuestions: 'Training questions drawn from the embedded world.',
    hops: 'Numbers of searches that its training questions need; each number gives the same share.',
    size: 'So many times the usual 674 articles.',
  }),
  trainingQuestions: 'Training questions used, the first so many after a seeded shuffle; 0 = all.',
  checkpointEvery: 'Weights are saved every so many training steps, beside the end of each stage.',
  ...of('rollout', {
    searches: 'Searches allowed a question.',
    invalidTurns: 'Turns with neither search nor answer that are asked again; the next such turn ends the rollout.',
    passages: 'Passages that a search brings (k).',
    turnTokens: 'Tokens that the policy may write in one turn.',
    responseTokens: 'Tokens that the policy may write for a question, all turns together.',
    observationTokens: 'Tokens of what one search brings; what is longer is cut.',
    contextTokens:
      'Tokens of prompt, turns and passages together. A question whose prompt leaves no room cannot be asked.',
    concurrency: 'Rollouts kept open at once: more is faster, and takes more memory.',
    decodeBits:
      'Bits of a weight while sampling. 8 and 4 are for large models: smaller and faster, and not quite the policy itself.',
    searchSeconds: 'Longest wait for one search; then the rollout counts as failed.',
    sampleSeconds: 'Longest wait for one turn of the policy; then the rollout counts as failed.',
  }),
  ...of('grpo', {
    steps: "Training steps of each cycle's round of reinforcement learning; the last number serves all later cycles.",
    questionsPerStep: 'Questions of one training step.',
    groupSize: 'Rollouts of a question, which are compared with each other (G).',
    clipLow: 'How far below 1 the ratio of new to old probability may count (epsilon of the clip).',
    clipHigh: 'How far above 1 it may count.',
    klCoefficient: "Weight of the penalty for leaving the round's first policy (beta); 0 = none.",
    ...ofOptimizers,
  }),
  ...of('pool', {
    questions:
      'Training questions that are rolled out again after reinforcement learning, to find pairs to distil from.',
    rollouts: 'Rollouts of each of them (K).',
    minExpertSearches:
      'An expert trajectory (right, well formed, fewest searches) must have searched at least this often.',
  }),
  ...of('gate', {
    questions:
      'Held-out training questions asked with and without an expert trajectory in the prompt, to see whether there is anything to distil; 0 = not asked.',
    minGap: 'There is, when the expert in the prompt raises exact match by at least this and one standard error …',
    tolerance: '… or saves searches at no larger loss of exact match than this and one standard error.',
    whenClosed: 'When there is nothing to distil: warn and go on, as the paper does, or skip the distillation round.',
  }),
  ...of('distill', {
    epochs: 'Passes over the pairs.',
    pairsPerStep: 'Pairs of one training step.',
    maxSteps: 'Most steps of a round; 0 = no bound.',
    clip: 'Upper bound of each entry of the divergence (tau); null = none.',
    teacherTemperature: "Divides the teacher's logits: below 1 the teacher is sharper than the policy.",
    expertView:
      'What of the expert trajectory the teacher is shown: all of it, or only what the policy wrote, and so on.',
    expertTokens: 'Tokens of it at most.',
    teacherSees: 'A control: something else in place of the expert trajectory.',
    objective: 'The divergence from the teacher: forward-kl is the method, the others are controls.',
    tokens: 'Tokens that the loss is taken on: all that the policy wrote, or only those inside search tags.',
    adapter: 'LoRA on all linear layers, merged when the round ends; null trains all weights.',
    'adapter.rank': 'Rank of the adapter.',
    'adapter.alpha': 'Its scale: alpha / rank multiplies what it adds.',
    ...ofOptimizers,
  }),
  ...of('sft', {
    epochs: 'Passes over the examples (methods sft and rejection-sampling).',
    sequencesPerStep: 'Examples of one training step.',
    maxSteps: 'Most steps of a round; 0 = no bound.',
    ...ofOptimizers,
  }),
  ...of('evaluation', {
    questions: 'Questions of each suite, fewer where it is smaller.',
    samples: 'Samples of a question in sampled decoding.',
    searches: 'Numbers of searches allowed that every stage is evaluated at; the first is the main one.',
    decoding: 'sampled (at temperature 1, as in training), greedy (always the likeliest token), or both.',
  }),
  ...of('guards', {
    heldOutQuestions: 'Training questions held out to choose the best weights of a round of reinforcement learning.',
    every: 'They are asked every so many steps.',
    minEntropy: 'A round stops when the policy is surer of its words than this (mean entropy, nats).',
    minWellFormed: 'A round stops when a smaller share of rollouts keeps the form (think, then search or answer).',
    maxZeroVariance:
      'A round stops when a larger share of groups is all right or all wrong: nothing is left to learn from.',
    window: 'Steps that the last three are averaged over.',
  }),
};
