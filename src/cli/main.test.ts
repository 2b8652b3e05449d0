import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageVersion } from '../runs/config-record.ts';
import { capture } from './testing/capture.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'cli-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('search-e1', () => {
  it('tells what it can do', async () => {
    const help = await capture('--help');
    expect(help).toMatchObject({ code: 0, err: '' });
    for (const text of ['evolve', 'warmup', 'Examples:', '--resume']) expect(help.out).toContain(text);
    for (const command of ['evolve', 'warmup']) {
      const { code, out } = await capture(command, '--help');
      expect(code).toBe(0);
      for (const text of [
        '--config',
        '--set',
        '--seed',
        '--out',
        '--resume',
        '--json',
        '--dry-run',
        '--questions',
        'Examples:',
      ])
        expect(out).toContain(text);
    }
    expect(await capture('--version')).toEqual({ code: 0, out: `${packageVersion()}\n`, err: '' });
  });

  it.each([
    ['an unknown command', ['evolv'], /unknown command 'evolv'[\s\S]*Did you mean evolve/],
    ['an unknown option', ['evolve', '--sed', '3'], /unknown option '--sed'[\s\S]*--se/],
    ['an unknown preset', ['evolve', '--preset', 'big'], /Allowed choices are default, smoke, paper/],
    ['a seed that is no number', ['evolve', '--seed', '1.5'], /whole number of at least 0/],
    ['no threads', ['evolve', '--threads', '0'], /whole number of at least 1/],
    [
      'an unknown setting',
      ['evolve', '--set', 'grpo.stepz=3'],
      /unknown setting grpo.stepz, did you mean grpo.steps\?/,
    ],
    ['a bad value', ['evolve', '--set', 'distill.clip=-1'], /distill\.clip: .*found -1/],
    ['a missing configuration', ['evolve', '--config', 'nowhere.json'], /nowhere\.json: no such file/],
    ['an unknown part of a recipe', ['warmup', '--set', 'model.layer=2'], /did you mean model\.layers\?/],
    ['questions without a corpus', ['evolve', '--questions', 'q.jsonl'], /--corpus is missing/],
    ['suites without questions', ['evolve', '--evaluate', 'nq=x.jsonl'], /--evaluate needs --questions/],
    [
      'a suite without a file',
      ['evolve', '--questions', 'q', '--corpus', 'c', '--evaluate', 'nq'],
      /expected SUITE=FILE/,
    ],
    [
      'a directory that is no run',
      ['evolve', '--resume', 'nowhere'],
      /nowhere: not a run directory \(nothing is there\)/,
    ],
    ['an option that there is not', ['evolve', '--run-dir', 'x'], /unknown option '--run-dir'\n\(--help lists/],
    [
      'a model that is no directory',
      ['evolve', '--model', 'nowhere'],
      /nowhere: not a model directory \(nothing is there\)/,
    ],
    ['settings beside --resume', ['evolve', '--resume', 'x', '--seed', '1'], /--seed cannot be given with --resume/],
    ['a warm-up to continue that was never begun', ['warmup', '--resume', '--out', 'nowhere'], /no unfinished warm-up/],
    ['a warm-up with half of the files', ['warmup', '--out', 'nowhere', '--corpus', 'c.jsonl'], /go together/],
    [
      'a pretrained model without questions',
      ['warmup', '--out', 'nowhere', '--model', 'somewhere'],
      /--model needs --questions and --corpus/,
    ],
    [
      'a pretrained model that is not there',
      ['warmup', '--out', 'nowhere', '--model', 'somewhere', '--questions', 'q', '--corpus', 'c'],
      /somewhere: not a model directory \(nothing is there\)/,
    ],
    [
      "a pretrained model's shape",
      ['warmup', '--out', 'nowhere', '--model', 'somewhere', '--set', 'model.layers=2'],
      /unknown setting model\.layers/,
    ],
    [
      'phases of models from nothing, of a pretrained one',
      [
        ...['warmup', '--out', 'nowhere', '--model', 'somewhere', '--questions', 'q', '--corpus', 'c'],
        ...['--set', 'phases=[{"kind":"reading","steps":1,"articles":1,"statements":1}]'],
      ],
      /phases: reading is for models from nothing/,
    ],
    [
      'a template without questions',
      ['warmup', '--out', 'nowhere', '--template', 'world'],
      /--template needs --questions/,
    ],
  ])('refuses %s with exit code 2', async (_, argv, message) => {
    const before = await readdir('.');
    const { code, out, err } = await capture(...argv);
    expect(err).toMatch(message);
    expect(err).not.toContain('    at ');
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(await readdir('.')).toEqual(before);
  });

  it('refuses places that cannot be written, or are taken', async () => {
    const letter = path.join(folder, 'letter.txt');
    await writeFile(letter, 'dear');
    for (const command of ['evolve', 'warmup']) {
      // A path below a file: what a read-only directory is to everyone, this is to root as well.
      const below = await capture(command, '--out', path.join(letter, 'run'));
      expect(below).toMatchObject({ code: 2, out: '' });
      expect(below.err).toContain('a part of this path is not a directory');
      const taken = await capture(command, '--out', folder);
      expect(taken.code).toBe(2);
      expect(taken.err).toContain('is not empty');
    }
    expect(await readdir(folder)).toEqual(['letter.txt']);
  });

  it('refuses broken input files and leaves no run behind', async () => {
    const file = async (name: string, text: string) => {
      await writeFile(path.join(folder, name), text);
      return path.join(folder, name);
    };
    const questions = await file(
      'questions.jsonl',
      '{"id":"1","question":"who?","answers":["x"]}\n{"id":"2","question":"why?"}\n',
    );
    const corpus = await file('corpus.jsonl', '{"id":"p","title":"t","text":"a text"}\n');
    const out = path.join(folder, 'run');
    const args = ['evolve', '--out', out, '--corpus', corpus, '--model', folder];
    const noAnswers = await capture(...args, '--questions', questions);
    expect(noAnswers).toMatchObject({ code: 2 });
    expect(noAnswers.err).toMatch(/questions\.jsonl:2: .*answer/);
    const missing = await capture(...args, '--questions', path.join(folder, 'none.jsonl'));
    expect(missing).toMatchObject({ code: 2 });
    expect(missing.err).toContain('none.jsonl: no such file');
    expect(await readdir(folder)).not.toContain('run');
  });

  it('prints the resolved recipe of a dry run', async () => {
    const { code, out } = await capture('warmup', '--dry-run', '--seed', '7', '--set', 'model.layers=3');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ seed: 7, model: { layers: 3, hidden: 128 } });
  });
});
