/** Conditions, questions and answers for tests. */
import { sha256 } from '../../base/files.ts';
import type { Question } from '../../base/question.ts';
import type { BaselineName } from '../../baselines/all.ts';
import type { Attempt } from '../../baselines/attempt.ts';
import { questionsHash } from '../../benchmarks/questions.ts';
import { type Answer, answerKey, type ScoredAnswer, scoreAttempt, scoredOf } from '../answer.ts';
import type { Conditions } from '../conditions.ts';
import type { EvaluationSuite } from '../results.ts';

export function makeQuestions(suite: string, count: number): Question[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `${suite}-${i}`,
    dataset: suite,
    question: `what is ${suite} ${i} ?`,
    answers: ['gold'],
  }));
}

export function makeSuites(sizes: Readonly<Record<string, number>>): EvaluationSuite[] {
  return Object.entries(sizes).map(([name, count]) => ({ name, questions: makeQuestions(name, count) }));
}

export function makeConditions(suites: readonly EvaluationSuite[], changes: Partial<Conditions> = {}): Conditions {
  return {
    schema: 1,
    model: { engine: 'fake', mode: 'ids', name: 'fake', weights: null, tokenizer: null, deterministic: true },
    retriever: { kind: 'bm25', passages: 700, corpusHash: sha256('corpus'), settings: { k1: 0.9 } },
    prompts: { agent: sha256('prompt') },
    suites: suites.map(({ name, questions }) => ({
      name,
      questions: questions.length,
      of: questions.length,
      hash: questionsHash(questions),
    })),
    decoding: { temperature: 0, seed: 1 },
    limits: {
      searches: 4,
      invalidTurns: 2,
      turnTokens: 500,
      responseTokens: 2500,
      observationTokens: 500,
      contextTokens: 4096,
      passages: 3,
    },
    versions: { 'search-e1': '0.0.0' },
    ...changes,
  };
}

export function makeAttempt(changes: Partial<Attempt> = {}): Attempt {
  return {
    answer: 'gold',
    stop: 'answered',
    searches: [],
    transcript: [{ author: 'policy', text: '<answer> gold </answer>' }],
    calls: 1,
    promptTokens: 10,
    newTokens: 5,
    wellFormed: true,
    ...changes,
  };
}

export function makeAnswer(
  question: Question,
  attempt: Partial<Attempt> = {},
  baseline: BaselineName = 'agent',
): Answer {
  return scoreAttempt(makeAttempt(attempt), question, { baseline, suite: question.dataset, seconds: 1 });
}

/** Answers as they are kept in memory. */
export function answersOf(answers: readonly Answer[]): Map<string, ScoredAnswer> {
  return new Map(answers.map((answer) => [answerKey(answer), scoredOf(answer)]));
}
