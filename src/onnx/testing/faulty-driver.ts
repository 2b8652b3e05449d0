/** Builds faulty-driver.c around SwiftShader, for processes that shall meet what it does. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const SWIFTSHADER = '/usr/lib/chromium/libvk_swiftshader.so';

/** As in faulty-driver.c; 'absent': there is no driver at all. */
export type Fault = 'absent' | 'open=0' | `${'lost' | 'full' | 'shader'}=${number}`;

/** Why it cannot be built here; undefined when it can. */
export function missingForFaultyDriver(): string | undefined {
  if (!existsSync(SWIFTSHADER)) return `${SWIFTSHADER} is missing`;
  return spawnSync('cc', ['--version']).status === 0 ? undefined : 'there is no C compiler';
}

/** @returns by fault, the environment of a process that meets it */
export async function buildFaultyDriver(folder: string): Promise<(fault: Fault) => NodeJS.ProcessEnv> {
  const source = fileURLToPath(new URL('./faulty-driver.c', import.meta.url));
  const library = path.join(folder, 'faulty-driver.so');
  const built = spawnSync('cc', ['-shared', '-fPIC', '-Wall', '-Werror', '-o', library, source, '-ldl'], {
    encoding: 'utf8',
  });
  if (built.status !== 0) throw new Error(`cc ${source} failed:\n${built.stderr}`);
  const manifest = path.join(folder, 'faulty-driver.json');
  await writeFile(
    manifest,
    JSON.stringify({ file_format_version: '1.0.0', ICD: { library_path: library, api_version: '1.0.5' } }),
  );
  return (fault) => {
    const driver = fault === 'absent' ? path.join(folder, 'none.json') : manifest;
    return {
      ...process.env,
      VK_DRIVER_FILES: driver,
      VK_ICD_FILENAMES: driver,
      FAULTY_DRIVER: fault,
      FAULTY_DRIVER_OF: SWIFTSHADER,
    };
  };
}
