/** The two searchers, each in a process of its own, spoken to line by line: ours (own-peer.ts) and Lucene's (LucenePeer.java). */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const here = import.meta.dirname;
const JARS = ['lucene-core', 'lucene-analyzers-common'].map((name) => `/usr/share/java/${name}-8.7.0.jar`);

/** Sends a line of words, gets one JSON line back. */
export class Peer {
  readonly #process: ChildProcess;
  readonly #replies: AsyncIterator<string>;

  constructor(command: string, args: readonly string[]) {
    this.#process = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#replies = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
  }

  async ask<T = Record<string, number>>(...words: readonly (string | number)[]): Promise<T> {
    this.#process.stdin!.write(`${words.join('\t')}\n`);
    const { done, value } = await this.#replies.next();
    if (done) throw new Error(`the peer ended at: ${words.join(' ')}`);
    return JSON.parse(value) as T;
  }

  close(): void {
    this.#process.stdin!.end();
  }
}

export function ownPeer(): Peer {
  return new Peer(process.execPath, ['--no-warnings', path.join(here, 'own-peer.ts')]);
}

/** Undefined, with the reason on stderr, where Lucene or a Java compiler is not installed. */
export async function lucenePeer(work: string): Promise<Peer | undefined> {
  const missing = JARS.find((jar) => !existsSync(jar));
  const classes = path.join(work, 'classes');
  try {
    if (missing) throw new Error(`${missing} is not there (Debian: liblucene8-java)`);
    await promisify(execFile)('javac', ['-cp', JARS.join(':'), '-d', classes, path.join(here, 'LucenePeer.java')]);
  } catch (error) {
    process.stderr.write(`without Lucene: ${(error as Error).message.split('\n')[0]}\n`);
    return undefined;
  }
  return new Peer('java', ['-Xmx2g', '-cp', [...JARS, classes].join(':'), 'LucenePeer']);
}
