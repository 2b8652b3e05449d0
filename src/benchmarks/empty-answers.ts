/**
 * Gold answers of which normalisation leaves nothing ("A", "The The", "?"). SQuAD's script has any other such text equal to them, and
 * finds them in every text, so that anything wins. Scores keep that, being everyone's; they are counted and told, and nothing is
 * trained on them.
 */
import type { Question } from '../base/question.ts';
import { normalizeAnswer } from './exact-match.ts';

export function isEmptyAnswer(answer: string): boolean {
  return normalizeAnswer(answer) === '';
}

/** Questions to train on: without empty gold answers, and without those that have no other. */
export function trainableQuestions(questions: readonly Question[]): Question[] {
  return questions.flatMap((question) => {
    const answers = question.answers.filter((answer) => !isEmptyAnswer(answer));
    if (answers.length === question.answers.length) return [question];
    return answers.length === 0 ? [] : [{ ...question, answers }];
  });
}

/** A sentence on the questions of a suite that have empty gold answers; undefined where none has. */
export function emptyAnswersNote(suite: string, questions: readonly Pick<Question, 'answers'>[]): string | undefined {
  const empty = questions.flatMap(({ answers }) => answers.find(isEmptyAnswer) ?? []);
  if (empty.length === 0) return undefined;
  return (
    `${suite}: ${empty.length} of ${questions.length} questions have a gold answer that normalises to nothing (such as ${JSON.stringify(empty[0])}): ` +
    'there any text contains it, and any answer of articles and punctuation alone is an exact match'
  );
}
