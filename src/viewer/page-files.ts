/**
 * The page's script and style: those of the package, or, in a checkout, made from page/ in memory by the build tool of the tests. So
 * neither users nor newcomers build anything.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../base/errors.ts';

export interface Page {
  readonly script: string;
  readonly style: string;
}

const folder = fileURLToPath(new URL('page/', import.meta.url));

/** @throws UserError where the page is neither built nor can be */
export async function loadPage(): Promise<Page> {
  const [script, style] = [`${folder}app.js`, `${folder}app.css`];
  if (existsSync(script)) return { script: await readFile(script, 'utf8'), style: await readFile(style, 'utf8') };
  return buildPage();
}

/** Makes the page from its sources, of which only a checkout has any. */
export async function buildPage(source = folder): Promise<Page> {
  const vite = await import('vite').catch(() => undefined);
  if (vite === undefined || !existsSync(`${source}main.tsx`))
    throw new UserError('the page of the viewer is not in this package', {
      hint: 'In a checkout: npm ci, which brings the tool that makes it.',
    });
  const built = await vite.build({
    configFile: false,
    cacheDir: path.join(tmpdir(), 'search-e1-vite'),
    root: source,
    logLevel: 'error',
    mode: 'production',
    build: {
      write: false,
      cssCodeSplit: false,
      rollupOptions: {
        input: `${source}main.tsx`,
        output: { format: 'iife', entryFileNames: 'app.js', assetFileNames: 'app[extname]' },
      },
    },
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  });
  const output = (Array.isArray(built) ? built : [built]).flatMap((one) => ('output' in one ? one.output : []));
  const script = output.find((file) => file.type === 'chunk');
  const style = output.find((file) => file.type === 'asset' && file.fileName.endsWith('.css'));
  if (script?.type !== 'chunk' || style?.type !== 'asset')
    throw new Error('the page was built without script or style');
  return { script: script.code, style: String(style.source) };
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** The frame of the page; all else is the script's. */
export function pageHtml(title: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,"><link rel="stylesheet" href="app.css"></head>
<body><div id="app"></div><noscript>This page needs JavaScript; report.html in the run’s folder does not.</noscript><script src="app.js"></script></body></html>
`;
}
