/** `search-e1 systems`: the systems of the field that a run can be trained as, with source, formula and what each needs from outside. */
import { Command } from 'commander';
import { type SystemName, systemNames, systemOf } from '../evolve/systems.ts';
import type { Io } from './widgets/io.ts';
import { brokenAtWords, fitting } from './widgets/terminal.ts';

const examples = `
Each is a set of settings over a preset; evolve --system NAME takes it, and --config and --set change it further.

Examples:
  search-e1 systems
  search-e1 systems --json | jq '.[] | select(.needs == "none") | .name'
  search-e1 evolve --preset smoke --system gigpo
`;

export function systemsCommand(io: Io): Command {
  return new Command('systems')
    .option('--json', 'print one JSON document, with the settings of each')
    .addHelpText('after', examples)
    .action(({ json }: { readonly json?: boolean }) => {
      if (json) {
        const all = systemNames.map((name) => ({ name, ...systemOf(name) }));
        io.out.write(`${JSON.stringify(all, null, 2)}\n`);
        return;
      }
      const width = io.out.isTTY ? Math.min(100, (io.out.columns || 80) - 1) : 100;
      io.out.write(fitting(brokenAtWords(systemNames.map(asText).join('\n'), width), io.out));
    });
}

function asText(name: SystemName): string {
  const { title, source, formula, needs, departs } = systemOf(name);
  const lines = [`${name}`, `  ${title}: ${formula}`, `  source: ${source}`, `  needs from outside: ${needs}`];
  return `${[...lines, ...(departs === '' ? [] : [`  departs: ${departs}`])].join('\n')}\n`;
}
