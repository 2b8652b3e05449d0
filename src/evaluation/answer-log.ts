/**
 * answers.jsonl: every finished question, appended as it ends and durable before it counts.
 *
 * A process that is killed leaves at most one torn line, the last; it is cut off when the log is opened again. Of several
 * lines about one question the last counts, unless it is a failure and an earlier one is not.
 */
import { open, truncate } from 'node:fs/promises';
import { hasCode } from '../base/errors.ts';
import { fileError, readJsonLines } from '../base/files.ts';
import { isFailure } from '../rollout/trajectory.ts';
import { parseAs } from '../runs/schemas.ts';
import { type Answer, answerKey, answerSchema, type ScoredAnswer, scoredOf } from './answer.ts';

/** The answers of a log, by `answerKey`. Empty when there is no such file. Throws a UserError that names file and line. */
export async function readAnswers(file: string): Promise<Map<string, ScoredAnswer>> {
  const answers = new Map<string, ScoredAnswer>();
  if (!(await exists(file))) return answers;
  for await (const { line, value } of readJsonLines(file)) {
    keep(answers, scoredOf(parseAs(answerSchema, value, `${file}:${line}`)));
  }
  return answers;
}

/** Cuts a torn last line off; returns false when there is no file yet. */
export async function mendTornLine(file: string): Promise<void> {
  if (!(await exists(file))) return;
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw fileError(error, file, 'read');
  });
  try {
    const chunk = Buffer.alloc(64 * 1024);
    for (let end = (await handle.stat()).size; ; ) {
      const start = Math.max(0, end - chunk.length);
      const { bytesRead } = await handle.read(chunk, 0, end - start, start);
      const newline = chunk.subarray(0, bytesRead).lastIndexOf(10);
      if (newline >= 0 || start === 0) return await truncate(file, newline < 0 ? 0 : start + newline + 1);
      end = start;
    }
  } finally {
    await handle.close();
  }
}

/** Adds an answer to those of a log; a failure never takes the place of an answer. */
export function keep(answers: Map<string, ScoredAnswer>, answer: ScoredAnswer): void {
  const key = answerKey(answer);
  const before = answers.get(key);
  if (before === undefined || isFailure(before.stop) || !isFailure(answer.stop)) answers.set(key, answer);
}

export class AnswerLog {
  readonly #file: string;
  #waiting: { line: string; resolve: () => void; reject: (error: unknown) => void }[] = [];
  #writing = false;

  constructor(file: string) {
    this.#file = file;
  }

  /** Resolves once the line is on the disk. What arrives while one write is under way shares the next. */
  append(answer: Answer): Promise<void> {
    return new Promise((resolve, reject) => {
      // A server may cut a reply in the middle of a character; what is written has to be read again.
      const whole = JSON.stringify(answer, (_, value) => (typeof value === 'string' ? value.toWellFormed() : value));
      this.#waiting.push({ line: `${whole}\n`, resolve, reject });
      if (!this.#writing) void this.#write();
    });
  }

  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      try {
        const handle = await open(this.#file, 'a');
        try {
          await handle.writeFile(lines.map(({ line }) => line).join(''));
          await handle.datasync();
        } finally {
          await handle.close();
        }
        for (const { resolve } of lines) resolve();
      } catch (error) {
        for (const { reject } of lines) reject(fileError(error, this.#file, 'write'));
      }
    }
    this.#writing = false;
  }
}

async function exists(file: string): Promise<boolean> {
  const handle = await open(file, 'r').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw fileError(error, file, 'read');
  });
  await handle?.close();
  return handle !== undefined;
}
