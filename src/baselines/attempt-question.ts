/** One attempt at a question by a prompted baseline; whatever happens, a record comes of it. */
import type { Question } from '../base/question.ts';
import { isFailure } from '../rollout/trajectory.ts';
import type { Attempt } from './attempt.ts';
import type { Baseline } from './baseline.ts';
import { AttemptEnded, BaselineSession, type BaselineSessionOptions } from './session.ts';

/** Rejects for errors in this program only; failures of model and retriever are the record's stop reason. */
export async function attemptQuestion(
  baseline: Baseline,
  question: Question,
  options: BaselineSessionOptions,
): Promise<Attempt> {
  const session = new BaselineSession(options, question.id);
  try {
    const answer = await baseline.answer(session.outside(question.question), session);
    return { ...session.record(), answer, stop: answer === null ? 'no-answer' : 'answered', wellFormed: null };
  } catch (error) {
    if (!(error instanceof AttemptEnded)) throw error;
    const { stop, message } = error;
    return { ...session.record(), answer: null, stop, ...(isFailure(stop) && { failure: message }), wellFormed: null };
  }
}
