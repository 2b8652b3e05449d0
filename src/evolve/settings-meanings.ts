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
  ...of('engine', {
    kind: 'What computes: embedded (this machine), or tinker (a training server that speaks the Tinker protocol).',
    decodeBits:
      'Bits of a weight while sampling; less than 32 are not quite the policy itself. 8 and 4 are for large models on the processor: smaller and faster. 16 are for a GPU.',
    device:
      'What the embedded engine computes on: cpu, webgpu (the GPU of this machine), or auto, which is cpu until GPUs were measured.',
    url: 'Address of the training server.',
    profile: 'Which kind of server it is: servers do not say so themselves (docs/distributed.md).',
    baseModel: 'Model to train, as the server names it.',
    loraRank: 'Rank of the LoRA that the server trains; null trains all weights.',
    context: 'Longest sequence that the server takes, in tokens.',
    concurrency: 'Sampling requests under way at a time.',
    keyFile: 'File that holds the key of the server; null: TINKER_API_KEY, if it is set.',
    plainHttp:
      'Reach a server beyond this machine without encryption: key, prompts and weights can be read on the way.',
    unavailableSeconds: 'Longest time without an answer that helps; then the run stops, resumably.',
    progressSeconds: 'Longest time for one call to end; then the run stops, resumably.',
  }),
  ...of('engine.overrides', {
    encoding: 'How training passes and their results are written: JSON or Protocol Buffers.',
    joins: 'Whether equal prompts of one moment go in one request.',
    savesOnce: "Whether a model's later saves are copies of its first, so that it has to be made anew after each.",
    longPollSeconds: 'Longest time that the server holds a poll.',
    executesOnce: 'Whether a request that is sent again is carried out once.',
    softTargets: 'What weights the server takes for several targets a token.',
    leastWeight: 'Least weight of such a target; what is smaller is raised to it.',
    topLogprobs: "Most of a prompt's likeliest tokens that the server tells; 0 = none.",
    frozen: 'What can hold frozen weights: another model of the server, the weights it was started with, or nothing.',
    sampler: "Whether sampled log-probabilities are the trainer's own, or those of another program.",
    temperatureOne: 'What is sent for a temperature of 1.',
    topKAll: 'How "all tokens" is written as top_k.',
    firstLogprob: "Whether the first token's log-probability is null, or left out.",
    reduction: "How a request's tokens become one loss.",
    maskKey: 'Name of the mask beside advantages; null where there must be none.',
    trainingLogprobs: "Whether the log-probabilities in an answer to training are the model's own.",
    lossMetric: 'Name of the metric that is the loss of a request.',
    clip: 'Whether the clip of the gradient is honoured.',
    betasPerStep: "Whether AdamW's betas of each step are honoured.",
    gradientNorm: "Name of the metric that is the gradient's norm; null = not reported.",
    load: "When weights may be loaded: at any time, or as a model's first request.",
    freshOptimizer: 'How a fresh optimiser is had on the server.',
    unload: 'Whether the server has a call that ends a model.',
    listsModels: 'Whether the server names the models that it trains.',
    keyPrefix: 'What a key has to begin with.',
  }),
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
    reward: "What a rollout is worth in training: a list of parts for each cycle's round; their sum is the reward.",
    scale:
      'What centred rewards are divided by: their deviation within the group, or nothing, which keeps the size of small parts.',
    'advantage.form': 'How the credit of a rollout is spread over its tokens.',
    'advantage.weight': 'Form state: weight of what came of the same observation in other rollouts (omega).',
    'advantage.discount':
      'Forms state and turn: how much less a later turn counts for an earlier one (gamma); 1 = the same.',
    'advantage.of':
      'Form turn: what a search is worth: gold passages that it found (gain), less those seen before, right or wrong by a critic that knows them, or how much likelier the gold answer has become.',
    'advantage.mix.by': 'Form turn: how that is put together with the outcome.',
    'advantage.mix.add': 'Weight of the value of a search beside the outcome.',
    'advantage.mix.norm': 'What is normalised over the group: the values before they are added up, or the sums.',
    'advantage.mix.share': 'Share of a turn that its own value has; the outcome has the rest.',
    credit:
      'Weighs each token by what the policy would have said of it under a prompt that shows more; null = not. One more reading of every rollout, or two.',
    'credit.sees':
      'What that prompt shows: the most efficient right or wrong sibling, the expert of another question, the gold answer.',
    'credit.against':
      'What its log-probabilities are compared with: the plain prompt, one that shows a wrong sibling, or the reference without its question.',
    'credit.apply.by': 'How the difference acts: as a bounded weight on the advantage, added to it, or through a gate.',
    'credit.apply.weight': 'Share of the advantage that is weighed (lambda).',
    'credit.apply.clip': 'How far from 1 a weight may be (epsilon).',
    'credit.apply.add': 'What the difference is multiplied by before it is added (lambda).',
    'credit.apply.gate': 'What the gate is multiplied by (lambda).',
    'credit.apply.slope': 'How steep the gate is (beta).',
    'credit.apply.less': 'Taken off the gate: 0 raises every sampled token, 0.5 none where nothing differs.',
    'credit.over': 'Differences token by token, or summed over each turn.',
    'credit.fallsOver': 'Steps over which lambda falls to 0; 0 = it stays.',
    filter: "Groups whose rewards are all equal: trained on for the penalty alone (none), or left out (DAPO's filter).",
    resample:
      "How often, at most, further questions are rolled out in a step in place of the groups left out (DAPO's dynamic sampling); 0 = never.",
    steps: "Training steps of each cycle's round of reinforcement learning; the last number serves all later cycles.",
    tokens:
      'A round ends with the step that brings its tokens, generated and trained, to so many, before its last step or with it; 0 = no bound.',
    questionsPerStep: 'Questions of one training step.',
    groupSize: 'Rollouts of a question, which are compared with each other (G).',
    clipLow: 'How far below 1 the ratio of new to old probability may count (epsilon of the clip).',
    clipHigh: 'How far above 1 it may count.',
    noise: 'Searches that are answered badly in training rollouts, more of them step by step; null = none.',
    'noise.by': 'How: by what is found for the query without its first word.',
    'noise.from': 'Share of searches at the beginning of a round.',
    'noise.to': 'Share at its end.',
    'noise.base': 'How late the rise comes: the larger, the later.',
    tree: 'Rollouts of a question that share beginnings (Tree-GRPO): trees in place of chains; null = none.',
    'tree.trees': 'Trees of a question (M); each keeps as many of its chains, the group size in all.',
    'tree.expansions': 'Chains that go on, each round, from somewhere in a tree (N).',
    'tree.rounds': 'How often a tree is expanded (L).',
    hint: 'Rollouts under a prompt that shows more, for questions whose other rollouts all failed; right and grounded ones are trained under the plain prompt; null = none.',
    'hint.sees': 'What that prompt shows.',
    'hint.share': 'Share of a group that is made so.',
    routed:
      'Wrong rollouts with a right sibling are distilled from the policy that is shown it, instead of being reinforced (SRPO); null = not. Reads them twice more.',
    'routed.weight': 'Weight of that loss (lambda).',
    'routed.topK': "How many of the teacher's likeliest tokens are taught.",
    updates: "Updates of the weights on each step's rollouts.",
    preserve:
      'From the second update on keeps good rollouts from becoming less likely (LLDS); null = not. Reads all rollouts once more for each.',
    'preserve.weight': 'Weight of that loss (lambda).',
    klCoefficient: "Weight of the penalty for leaving the round's first policy (beta); 0 = none.",
    ...ofOptimizers,
  }),
  ...of('pool', {
    questions:
      'Training questions that are rolled out again after reinforcement learning, to find pairs to distil from.',
    rollouts: 'Rollouts of each of them (K).',
    minExpertSearches:
      'An expert trajectory (right, well formed, fewest searches) must have searched at least this often.',
    retry: 'Questions without such a trajectory are rolled out again; null = not.',
    'retry.rollouts': 'So many times more.',
  }),
  ...of('gate', {
    questions:
      'Held-out training questions asked with and without an expert trajectory in the prompt, to see whether there is anything to distil; 0 = not asked.',
    minGap: 'There is, when the expert in the prompt raises exact match by at least this and one standard error …',
    tolerance: '… or saves searches at no larger loss of exact match than this and one standard error.',
    whenClosed: 'When there is nothing to distil: warn and go on, as the paper does, or skip the distillation round.',
  }),
  ...of('distill', {
    keep: 'Weights kept at the end of a distillation: the last, or those that did best on held-out training questions.',
    targets:
      "How much of the teacher's distribution is taught: auto is all of it where the engine can, else the most it can.",
    topK: "How many of the teacher's likeliest tokens are taught, where not all are.",
    draws: 'How many tokens are drawn from the teacher, where its distribution cannot be had.',
    epochs: 'Passes over the pairs.',
    pairsPerStep: 'Pairs of one training step.',
    maxSteps: 'Most steps of a round; 0 = no bound.',
    clip: 'Upper bound of each entry of the divergence (tau); null = none.',
    teacherTemperature: "Divides the teacher's logits: below 1 the teacher is sharper than the policy.",
    expertView:
      'What of the expert trajectory the teacher is shown: all of it, or only what the policy wrote, and so on.',
    expertTokens: 'Tokens of it at most.',
    teacherSees: 'A control: something else in place of the expert trajectory.',
    students:
      'Which siblings of the expert are taught: a wrong one, else a right one; wrong ones alone; right ones alone.',
    mix: "Share of the divergence in the loss; the rest is cross-entropy on the expert's own words.",
    questionWeight:
      'Each pair alike, or more where about half of the rollouts of its question are right, and none where all are.',
    clipForm: 'What tau bounds: each entry of the divergence, or its sum at a token.',
    objective: 'The divergence from the teacher: forward-kl is the method, the others are controls.',
    tokens:
      'Tokens that the loss is taken on: all that the policy wrote, only those inside search tags, or those from its first wrong turn on.',
    adapter: 'LoRA on all linear layers, merged when the round ends; null trains all weights.',
    'adapter.rank': 'Rank of the adapter.',
    'adapter.alpha': 'Its scale: alpha / rank multiplies what it adds.',
    ...ofOptimizers,
  }),
  ...of('sft', {
    on: "What method sft learns: gold answers, or a perfect agent's demonstrations (of the embedded world).",
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
