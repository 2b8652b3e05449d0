/** `search-e1 view`: everything that runs, evaluations and experiments hold, as a page in the browser; or a part of it as a file. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command, Option } from 'commander';
import { UserError } from '../base/errors.ts';
import { writeFileAtomic } from '../base/files.ts';
import { marks, type Row } from '../runs/rows/row.ts';
import { apiOf } from '../viewer/api.ts';
import { exportPage } from '../viewer/export-page.ts';
import { choicesOf, type Filter, filterOf, lists } from '../viewer/filter.ts';
import { Library } from '../viewer/library.ts';
import { loadPage } from '../viewer/page-files.ts';
import { csvLines, jsonLines } from '../viewer/records.ts';
import { serveViewer } from '../viewer/server.ts';
import { wholeNumber } from './arguments.ts';
import { interruptible } from './interrupt.ts';
import type { Io } from './widgets/io.ts';

interface Options {
  readonly open: boolean;
  readonly port: number;
  readonly filter?: string;
  readonly export?: string;
  readonly json?: boolean;
  readonly csv?: boolean;
}

const examples = `
The page is served to this machine alone, under an address that nobody can guess; nothing leaves the
machine. It follows a run that is under way. The filter of --filter is what stands behind the
question mark of the page's address; the whole address will do. Its marks are:
  ${marks.map(({ name }) => name).join(', ')}

Examples:
  search-e1 view                                        what is in this folder: runs, evaluations, experiments
  search-e1 view runs/mine                              one run
  search-e1 view runs/mine --no-open --port 9000        on a machine without a browser: ssh -L 9000:127.0.0.1:9000 HOST
  search-e1 view runs/mine --export misread.html --filter "stage=e1-2&mark=misread"
  search-e1 view runs/mine --csv --filter "part=evaluation&not=right" > wrong.csv
  search-e1 view evaluations/mine --json --filter "text=capital of" > some.jsonl
`;

export function viewCommand(io: Io): Command {
  return new Command('view')
    .argument('[folder]', 'a run, an evaluation, an experiment, or a folder of them', '.')
    .option('--no-open', 'only print the address')
    .addOption(
      new Option('--port <number>', 'port on this machine; 0 takes a free one')
        .argParser(wholeNumber(0, 65_535))
        .default(0),
    )
    .option('--filter <query>', "which rollouts, for --export, --json and --csv, as in the page's address")
    .addOption(
      new Option('--export <file>', 'write the page with the chosen rollouts into one HTML file').conflicts([
        'json',
        'csv',
      ]),
    )
    .addOption(new Option('--json', 'print the chosen rollouts as JSON, one a line, with their texts').conflicts('csv'))
    .option('--csv', 'print the chosen rollouts as CSV')
    .addHelpText('after', examples)
    .action(async (folder: string, options: Options) => {
      const library = await Library.open(folder);
      if (options.export !== undefined || options.json || options.csv) return writeChosen(library, options, io);
      if (options.filter !== undefined)
        throw new UserError('--filter goes with --export, --json or --csv', {
          hint: 'On the page, filters are chosen by hand.',
        });
      await serve(library, folder, options, io);
    });
}

async function serve(library: Library, folder: string, { open, port }: Options, io: Io): Promise<void> {
  const page = await loadPage();
  const title = `search-e1: ${path.basename(path.resolve(folder))}`;
  const server = await serveViewer({ port, page, ask: apiOf(library), title });
  const count = library.sources.length;
  io.out.write(`${server.url}\n`);
  io.err.write(
    `${count === 1 ? `${library.sources[0]!.kind} ${library.sources[0]!.name}` : `${count} runs, evaluations and experiments`}, for this machine alone; Ctrl-C stops\n`,
  );
  const opened = open ? await openBrowser(server.url) : undefined;
  try {
    await interruptible('', async (signal) => {
      await new Promise<void>((stopped) => signal.addEventListener('abort', () => stopped(), { once: true }));
    });
  } finally {
    await server.close(1);
    if (opened !== undefined) await rm(opened, { recursive: true, force: true });
  }
}

/**
 * Opens the address by way of a file that only this user can read: the arguments of a process can be read by all. Gives the file's
 * folder; where there is no browser the address that was printed has to do.
 */
async function openBrowser(url: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'search-e1-view-'));
  const file = path.join(folder, 'open.html');
  await writeFile(
    file,
    `<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=${url}"><a href="${url}">search-e1 view</a>`,
    { mode: 0o600 },
  );
  const [command, ...before] =
    process.platform === 'darwin' ? ['open'] : process.platform === 'win32' ? ['cmd', '/c', 'start', ''] : ['xdg-open'];
  spawn(command!, [...before, pathToFileURL(file).href], { stdio: 'ignore', detached: true })
    .on('error', () => {})
    .unref();
  return folder;
}

async function writeChosen(library: Library, options: Options, io: Io): Promise<void> {
  const id = theOne(library);
  const filter = asked(options.filter ?? '');
  const ask = apiOf(library);
  if (options.export !== undefined) {
    const { html, rollouts, of, withTokens } = await exportPage(library, id, filter, await loadPage(), ask);
    await writeFileAtomic(options.export, html);
    const tokens = withTokens ? 'with their tokens' : 'without single tokens, which go with 300 rollouts at most';
    io.err.write(
      `${options.export}: ${rollouts.toLocaleString('en')} of ${of.toLocaleString('en')} rollouts, ${tokens}; ${(Buffer.byteLength(html) / 1e6).toFixed(1)} MB\n`,
    );
    return;
  }
  const { collection } = library.open(id);
  await collection.refresh();
  const rows = collection.select(filter);
  if (rows.length === 0) io.err.write(hintOf(filter, collection.rows));
  if (options.csv) for (const line of csvLines(rows)) io.out.write(line);
  else for await (const line of jsonLines(rows, id, ask)) io.out.write(line);
  io.err.write(`${rows.length.toLocaleString('en')} of ${collection.rows.length.toLocaleString('en')} rollouts\n`);
}

/** Of a filter that leaves nothing: the first name in it that no rollout has, and those that there are. */
function hintOf(filter: Filter, rows: readonly Row[]): string {
  const there = choicesOf(rows);
  for (const [name, list] of Object.entries(lists)) {
    const values = there[list].map(({ value }) => value);
    const missing = filter[list].find((value) => !values.includes(value));
    if (missing !== undefined)
      return `no rollout has ${name}=${missing}; there are: ${values.length > 0 ? values.join(', ') : 'none'}\n`;
  }
  return '';
}

/** A filter that was typed: what means nothing is a mistake here, not passed over as in an address. */
function asked(text: string): Filter {
  // Of a whole address what stands behind its question mark.
  const query = new URLSearchParams(text.replace(/^(?:(?:https?|file):[^?]*)?(?:\?|$)/, ''));
  // Where on the page one was is no part of what is chosen.
  for (const name of ['from', 'show']) query.delete(name);
  const known = [
    'stage',
    'part',
    'mode',
    'suite',
    'stop',
    'mark',
    'not',
    'reward',
    'advantage',
    'searches',
    'tokens',
    'step',
    'question',
    'text',
    'sort',
  ];
  const unknown = [...query.keys()].find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new UserError(`--filter: ${unknown} is nothing to filter by`, { hint: `There are: ${known.join(', ')}.` });
  for (const name of ['mark', 'not'])
    for (const value of query.getAll(name))
      if (!marks.some((mark) => mark.name === value))
        throw new UserError(`--filter: ${name}=${value} means nothing`, {
          hint: `Marks are: ${marks.map((mark) => mark.name).join(', ')}.`,
        });
  const filter = filterOf(query);
  for (const name of ['reward', 'advantage', 'searches', 'tokens', 'step'] as const)
    if (query.has(name) && filter.bounds[name] === undefined)
      throw new UserError(`--filter: ${name}=${query.get(name)} is no range`, {
        hint: `For example ${name}=1..3, ${name}=2.. or ${name}=..<0.5.`,
      });
  if (query.has('sort') && filter.sort === null)
    throw new UserError(`--filter: sort=${query.get('sort')} means nothing`, { hint: 'For example sort=-tokens.' });
  return filter;
}

function theOne(library: Library): string {
  const withRollouts = library.sources.filter(({ kind }) => kind !== 'experiment');
  if (withRollouts.length === 1) return withRollouts[0]!.id;
  throw new UserError(`${library.folder}: holds ${withRollouts.length} runs and evaluations`, {
    hint: `Name one: ${withRollouts
      .slice(0, 5)
      .map(({ name }) => name)
      .join(', ')}${withRollouts.length > 5 ? ', …' : ''}.`,
  });
}
