/** The commands that come after a run, to be pasted as they stand. */
import path from 'node:path';
import { shellCommand } from '../base/shell-command.ts';

/** @param folder the run's directory, as a person types it */
export function commandsFor(folder: string) {
  const name = path.basename(path.resolve(folder));
  const of = (...words: readonly string[]) => shellCommand('search-e1', ...words);
  return {
    resume: of('evolve', '--resume', folder),
    view: of('view', folder),
    ask: of('ask', '--policy', folder),
    evaluate: of('evaluate', '--policy', folder, '--out', path.join('evaluations', name)),
    export: of('export', folder, '--out', path.join('policies', name)),
  };
}
