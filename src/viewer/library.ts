/** Everything that is viewed: sources by id, each opened when it is asked for. */
import { UserError } from '../base/errors.ts';
import { RunFiles } from '../runs/run-files.ts';
import { Collection } from './collection.ts';
import { Pairs } from './pairs-view.ts';
import type { Known } from './read-row.ts';
import { openRunText, questionsOfRun, type RunText } from './run-known.ts';
import { findSources, type Source } from './sources.ts';

export interface Opened {
  readonly source: Source;
  readonly collection: Collection;
  /** Of a run. */
  readonly files: RunFiles;
  readonly pairs: Pairs;
  readonly text: () => Promise<RunText>;
}

const noText: RunText = { tokenizer: undefined, template: undefined, note: undefined };

export class Library {
  readonly folder: string;
  #sources: readonly Source[];
  readonly #opened = new Map<string, Opened>();

  private constructor(folder: string, sources: readonly Source[]) {
    this.folder = folder;
    this.#sources = sources;
  }

  /** @throws UserError where nothing is found */
  static async open(folder: string): Promise<Library> {
    return new Library(folder, await findSources(folder));
  }

  get sources(): readonly Source[] {
    return this.#sources;
  }

  /** Runs may have been begun since. */
  async look(): Promise<readonly Source[]> {
    this.#sources = await findSources(this.folder).catch(() => this.#sources);
    return this.#sources;
  }

  /** @throws UserError for an id that is none */
  source(id: string): Source {
    const source = this.#sources.find((one) => one.id === id);
    if (source === undefined) throw new UserError(`${id}: nothing of that name is viewed`);
    return source;
  }

  open(id: string): Opened {
    const source = this.source(id);
    let opened = this.#opened.get(id);
    if (opened === undefined) {
      opened = source.kind === 'evaluation' ? openEvaluation(source) : openRun(source);
      this.#opened.set(id, opened);
    }
    return opened;
  }
}

function openRun(source: Source): Opened {
  const files = new RunFiles(source.folder);
  let text: Promise<RunText> | undefined;
  const textOf = () => {
    text ??= files.config().then(openRunText);
    return text;
  };
  let known: Promise<Known> | undefined;
  const knownOf = () => {
    known ??= (async () => {
      const config = await files.config();
      const { tokenizer } = await textOf();
      const questions = await questionsOfRun(config).catch(() => new Map());
      return { questions, decode: tokenizer && ((ids: readonly number[]) => tokenizer.decode(ids)) };
    })();
    return known;
  };
  const collection = new Collection({ folder: source.folder, kind: 'run', known: knownOf, knownAs: 'run' });
  return { source, collection, files, pairs: new Pairs(files), text: textOf };
}

function openEvaluation(source: Source): Opened {
  const known = async (): Promise<Known> => ({ questions: new Map(), decode: undefined });
  const files = new RunFiles(source.folder);
  return {
    source,
    collection: new Collection({ folder: source.folder, kind: 'evaluation', known, knownAs: 'evaluation' }),
    files,
    pairs: new Pairs(files),
    text: async () => noText,
  };
}
