/** `search-e1 index`: search indexes: building, looking inside, searching, evaluating. One file for each subcommand. */
import { Command } from 'commander';
import { indexBuildCommand } from './index-build.ts';
import { indexEvalCommand } from './index-eval.ts';
import { indexInfoCommand } from './index-info.ts';
import { indexSearchCommand } from './index-search.ts';
import type { Io } from './widgets/io.ts';

const examples = `
Examples:
  search-e1 index build --corpus passages.jsonl.gz --out wiki
  search-e1 index search wiki "who wrote the opera Fidelio"
  search-e1 index info wiki
`;

export function indexCommand(io: Io): Command {
  const group = new Command('index').addHelpText('after', examples);
  for (const command of [indexBuildCommand(io), indexSearchCommand(io), indexEvalCommand(io), indexInfoCommand(io)])
    group.addCommand(command);
  return group;
}
