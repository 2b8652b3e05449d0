/** `search-e1 index search`: the best passages for a query. */
import { Command } from 'commander';
import { openRetriever } from '../retrieval/open-retriever.ts';
import type { Ties } from '../retrieval/ranking/ties.ts';
import type { Hit } from '../retrieval/retriever.ts';
import { tiesOption, trustOption, wholeNumber } from './arguments.ts';
import type { Io } from './widgets/io.ts';

interface Options {
  readonly k: number;
  readonly ties: Ties;
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
    .argument('<dir>', 'a directory made by `index build`')
    .argument('<query>', 'plain words')
    .option('-k <number>', 'how many passages', wholeNumber(1), 3)
    .addOption(tiesOption())
    .addOption(trustOption())
    .option('--json', 'print one JSON document')
    .addHelpText('after', examples)
    .action(async (folder: string, query: string, { k, ties, trustServer: trust, json }: Options) => {
      const retriever = await openRetriever(folder, { trust, ties });
      try {
        const [hits = []] = await retriever.search([query], k);
        io.out.write(json ? `${asJson(query, hits)}\n` : asText(hits, io.out.columns ?? 100));
      } finally {
        await retriever.close();
      }
    });
}

function asJson(query: string, hits: readonly Hit[]): string {
  return JSON.stringify({ query, hits: hits.map(({ passage, score }) => ({ score, ...passage })) }, null, 2);
}

function asText(hits: readonly Hit[], columns: number): string {
  if (hits.length === 0) return 'No passage shares a word with the query.\n';
  return hits
    .map(({ passage: { id, title, text }, score }, i) => {
      const head = `${i + 1}. ${title || '(no title)'}  [${id}]  ${score.toFixed(3)}`;
      return `${head}\n${wrapped(text, Math.min(columns, 100) - 3)
        .map((line) => `   ${line}\n`)
        .join('')}`;
    })
    .join('\n');
}

/** Lines of at most `width` characters where words allow it. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter((word) => word !== '')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
