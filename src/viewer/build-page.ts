/** `npm run build`: writes the viewer's page into dist/, where the package has it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { buildPage } from './page-files.ts';

const target = fileURLToPath(new URL('../../dist/viewer/page/', import.meta.url));
const { script, style } = await buildPage();
await mkdir(target, { recursive: true });
await writeFile(`${target}app.js`, script);
await writeFile(`${target}app.css`, style);
