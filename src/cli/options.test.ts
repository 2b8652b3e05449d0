/** What is called by one name means one thing: an option is spelt and described alike wherever it stands. */
import type { Command, Option } from 'commander';
import { expect, it } from 'vitest';
import { allCommands } from './main.ts';
import { capture } from './testing/capture.ts';

const withSubcommands = (command: Command): Command[] => [command, ...command.commands.flatMap(withSubcommands)];
const commands = (await allCommands({ out: process.stdout, err: process.stderr })).flatMap(withSubcommands);

/** Each form in which an option of that name is listed. */
function formsOf(name: string, form: (option: Option) => string): string[] {
  const listed = commands.flatMap(({ options }) => options.filter(({ long, hidden }) => long === name && !hidden));
  expect(listed.length, name).toBeGreaterThan(1);
  return [...new Set(listed.map(form))];
}

it.each(['--offline', '--threads', '--device', '--template', '--trust-server', '--allow-host', '--policy', '--ties'])(
  '%s is one option, wherever it stands',
  (name) => {
    expect(formsOf(name, ({ flags, description }) => `${flags}  ${description}`)).toHaveLength(1);
  },
);

it.each(['--model', '--retriever', '--passages', '--set', '--seed', '--temperature', '--api-key-env', '--dtype'])(
  '%s takes the same, by whichever command',
  (name) => {
    expect(formsOf(name, ({ flags }) => flags)).toHaveLength(1);
  },
);

it('says of every option that may be repeated that it may', () => {
  const collecting = commands.flatMap(({ options }) =>
    options.filter(({ defaultValue }) => Array.isArray(defaultValue) && defaultValue.length === 0),
  );
  expect(collecting.length).toBeGreaterThan(5);
  for (const { flags, description } of collecting) expect(description, flags).toMatch(/; may be repeated$/);
});

it('shows defaults and choices as one types them', async () => {
  for (const words of [['evaluate'], ['evolve'], ['index', 'build'], ['serve-retriever'], ['view']]) {
    const { out } = await capture(...words, '--help');
    expect(out.replaceAll(/\s+/g, ' ')).not.toMatch(/(?:default|choices): "/);
  }
  const { out } = await capture('experiment', '--help');
  expect(out).toContain('(choices: default, smoke, paper; default: default)');
});

it('continues a warm-up in the directory that --resume names, as evolve does', async () => {
  const absent = await capture('warmup', '--resume', 'no-such-folder');
  expect([absent.code, absent.err]).toEqual([
    2,
    expect.stringContaining('no-such-folder: there is no unfinished warm-up here'),
  ]);
  const two = await capture('warmup', '--out', 'one', '--resume', 'another');
  expect([two.code, two.err]).toEqual([
    2,
    expect.stringContaining('--resume another and --out one name two directories'),
  ]);
});
