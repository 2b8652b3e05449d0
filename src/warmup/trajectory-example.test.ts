import { describe, expect, it } from 'vitest';
import { tokenizerFromJson } from '../checkpoint/tokenizer.ts';
import { worldTemplate } from '../protocol/templates.ts';
import { worldTokenizerJson } from '../world/vocabulary.ts';
import { trajectoryExample } from './trajectory-example.ts';

const tokenizer = tokenizerFromJson(worldTokenizerJson());
const passage = { id: 'w0-1', title: 'kugo libus', text: 'kugo libus is a city . run by fetun zedor .' };
const turns = [
  {
    policy: '<think> find mayor of kugo libus </think> <search> kugo </search>',
    passages: [passage],
    supervised: false,
  },
  {
    policy: '<think> mayor is fetun zedor . done </think> <answer> fetun zedor </answer>',
    passages: [],
    supervised: true,
  },
];
const question = "what is city kugo libus 's mayor ?";
const learnedText = ({ ids, weights }: ReturnType<typeof trajectoryExample>) =>
  tokenizer.decode(ids.filter((_, t) => weights[t] === 1));

describe('a trajectory as an example', () => {
  it('is prompt, turns and observations in order, and only supervised turns are learned', () => {
    const example = trajectoryExample(tokenizer, worldTemplate, question, turns, 100);
    expect(tokenizer.decode(example.ids)).toBe(
      `<q> ${question} </q> ${turns[0]!.policy} <information> [ ${passage.title} ] ${passage.text} </information> ${turns[1]!.policy}`,
    );
    expect(learnedText(example)).toBe(turns[1]!.policy);
    expect(example.weights).toHaveLength(example.ids.length);
  });

  it('shows an expert in the prompt only', () => {
    const expert = '<think> done </think> <answer> fetun zedor </answer>';
    const example = trajectoryExample(tokenizer, worldTemplate, question, turns, 100, expert);
    expect(tokenizer.decode(example.ids)).toContain(`<q> ${question} </q> <ref> ${expert} </ref> <think> find`);
    expect(learnedText(example)).toBe(turns[1]!.policy);
  });

  it('keeps the limit on an observation', () => {
    const whole = trajectoryExample(tokenizer, worldTemplate, question, turns, 100);
    const cut = trajectoryExample(tokenizer, worldTemplate, question, turns, 10);
    // <information> [ kugo libus ] + eleven words + </information> are 17 tokens.
    expect(whole.ids.length - cut.ids.length).toBe(17 - 10);
    expect(learnedText(cut)).toBe(turns[1]!.policy);
  });
});
