#!/usr/bin/env node
// The `search-e1` command. In a checkout it runs the TypeScript source as it is (Node strips the types);
// in the published package it runs the compiled files in dist/.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import http from 'node:http';
import module from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const [major, minor] = process.versions.node.split('.').map(Number);
const recentEnough = major > 22 || (major === 22 && minor >= 18);
const proxied = usesProxy(process.env);
// Node 24 can be told to use the proxies of the environment; Node 22 looks for them only as it starts.
const startsAgain =
  proxied && recentEnough && http.setGlobalProxyFromEnv === undefined && !process.env.NODE_USE_ENV_PROXY;
if (proxied) process.env.NODE_USE_ENV_PROXY ??= '1';
if (recentEnough && !startsAgain) {
  if (proxied) http.setGlobalProxyFromEnv?.(process.env);
  // Started by an older Node (below): when that one is killed, this one ends too.
  if (process.connected) process.on('disconnect', () => process.exit(1)).channel?.unref();
  // Compiled code is kept in the system's temporary folder (NODE_COMPILE_CACHE): the next command starts in half the time.
  // Threads and processes that are started from here find the place in the environment.
  const { directory } = module.enableCompileCache();
  if (directory !== undefined) process.env.NODE_COMPILE_CACHE ??= directory;
  const source = new URL('../src/cli/main.ts', import.meta.url);
  const { main } = await import(
    existsSync(source) ? source.href : new URL('../dist/cli/main.js', import.meta.url).href
  ).catch((error) => {
    // So few that the program itself cannot be read; later on it says so itself.
    if (!/EMFILE|too many open files/.test(error.message)) throw error;
    console.error('search-e1: too many files are open\nRaise the limit, for example with: ulimit -n 4096');
    process.exit(2);
  });
  process.exitCode = await main(process.argv.slice(2));
} else {
  // A checkout has its own Node as a devDependency: use it when the system's is too old.
  const own = startsAgain ? process.execPath : fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));
  if (!existsSync(own)) {
    console.error(
      `search-e1 needs Node 22.18 or newer, found ${process.versions.node}. Install a newer Node, or run it in a checkout after \`npm ci\`.`,
    );
    process.exit(2);
  }
  const quiet = startsAgain ? ['--disable-warning=UNDICI-EHPA'] : [];
  const child = spawn(own, [...quiet, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  // This process waits for the other one, which saves the run before it ends.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

/** Whether HTTPS_PROXY, HTTP_PROXY or their like are set; this machine itself is never asked through one. */
function usesProxy(environment) {
  const names = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'];
  if (!names.some((name) => environment[name])) return false;
  const except = environment.NO_PROXY ?? environment.no_proxy;
  const local = 'localhost,127.0.0.1,[::1],::1';
  environment.NO_PROXY = except ? `${except},${local}` : local;
  environment.no_proxy = environment.NO_PROXY;
  return true;
}
