#!/usr/bin/env node
// The `search-e1` command. In a checkout it runs the TypeScript source as it is (Node strips the types);
// in the published package it runs the compiled files in dist/.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const [major, minor] = process.versions.node.split('.').map(Number);
const recentEnough = major > 22 || (major === 22 && minor >= 18);
if (recentEnough) {
  // Started by an older Node (below): when that one is killed, this one ends too.
  if (process.connected) process.on('disconnect', () => process.exit(1)).channel?.unref();
  // Compiled code is kept in the system's temporary folder (NODE_COMPILE_CACHE): the next command starts in half the time.
  // Threads and processes that are started from here find the place in the environment.
  const { directory } = module.enableCompileCache();
  if (directory !== undefined) process.env.NODE_COMPILE_CACHE ??= directory;
  const source = new URL('../src/cli/main.ts', import.meta.url);
  const { main } = await import(
    existsSync(source) ? source.href : new URL('../dist/cli/main.js', import.meta.url).href
  );
  process.exitCode = await main(process.argv.slice(2));
} else {
  // A checkout has its own Node as a devDependency: use it when the system's is too old.
  const own = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));
  if (!existsSync(own)) {
    console.error(
      `search-e1 needs Node 22.18 or newer, found ${process.versions.node}. Install a newer Node, or run it in a checkout after \`npm ci\`.`,
    );
    process.exit(2);
  }
  const child = spawn(own, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  // This process waits for the other one, which saves the run before it ends.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}
