/** `search-e1 index search`: the best passages for a query. */
import { Command } from 'commander';
import { printable } from '../base/text.ts';
import { openRetriever } from '../retrieval/open-retriever.ts';
import type { Hit } from '../retrieval/retriever.ts';
import { trustOption, wholeNumber } from './arguments.ts';
import { announceOpening } from './opening.ts';
import type { Io } from './widgets/io.ts';
import { brokenAtWords, jsonText } from './widgets/terminal.ts';

interface Options {
  readonly passages: number;
  readonly trustServer: readonly string[];
  readonly json?: boolean;
}

const examples = `
Examples:
  search-e1 index search wiki "who wrote the opera Fidelio"
  search-e1 index search wiki "Fidelio" -k 10 --json | jq '.hits[].id'
`;

export function indexSearchCommand(io: Io): Command {
  return new Command('search')
    .description('The best passages for a query.')
    .argument('<dir>', 'a directory made by `index build`, a corpus file, or the URL of a retrieval server')
    .argument('<query>', 'plain words')
    .option('-k, --passages <number>', 'how many passages', wholeNumber(1), 3)
    .addOption(trustOption())
    .option('--json', 'print one JSON document')
    .addHelpText('after', examples)
    .action(async (folder: string, query: string, { passages: k, trustServer: trust, json }: Options) => {
      announceOpening(io, folder);
      const retriever = await openRetriever(folder, { trust });
      try {
        const [hits = []] = await retriever.search([query], k);
        io.out.write(json ? `${asJson(query, hits)}\n` : asText(hits, Math.min(io.out.columns ?? 100, 100) - 1));
      } finally {
        await retriever.close();
      }
    });
}

function asJson(query: string, hits: readonly Hit[]): string {
  return jsonText({ query, hits: hits.map(({ passage, score }) => ({ score, ...passage })) }, 2);
}

function asText(hits: readonly Hit[], width: number): string {
  if (hits.length === 0) return 'No passage shares a word with the query.\n';
  return hits
    .map(({ passage: { id, title, text }, score }, i) => {
      const head = `${i + 1}. ${oneLine(title) || '(no title)'}  [${oneLine(id)}]  ${score.toFixed(3)}`;
      return `${brokenAtWords(head, width)}\n${brokenAtWords(`   ${oneLine(text)}`, width)}\n`;
    })
    .join('\n');
}

/** Words of others, in which nothing steers the terminal. */
function oneLine(text: string): string {
  return printable(text).replace(/\s+/g, ' ').trim();
}
