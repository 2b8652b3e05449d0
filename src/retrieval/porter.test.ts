import { expect, test } from 'vitest';
import { porterStem } from './porter.ts';

/** The examples of Porter's paper, each under its step, with the stem that the whole algorithm gives. */
const PAPER = {
  '1a': 'caresses caress ponies poni ties ti caress caress cats cat',
  '1b': `feed feed agreed agre plastered plaster bled bled motoring motor sing sing conflated conflat troubled troubl
    sized size hopping hop tanned tan falling fall hissing hiss fizzed fizz failing fail filing file`,
  '1c': 'happy happi sky sky',
  '2': `relational relat conditional condit rational ration valenci valenc hesitanci hesit digitizer digit
    conformabli conform radicalli radic differentli differ vileli vile analogousli analog vietnamization vietnam
    predication predic operator oper feudalism feudal decisiveness decis hopefulness hope callousness callous
    formaliti formal sensitiviti sensit sensibiliti sensibl`,
  '3': 'triplicate triplic formative form formalize formal electriciti electr electrical electr hopeful hope goodness good',
  '4': `revival reviv allowance allow inference infer airliner airlin gyroscopic gyroscop adjustable adjust
    defensible defens irritant irrit replacement replac adjustment adjust dependent depend adoption adopt
    homologou homolog communism commun activate activ angulariti angular homologous homolog effective effect
    bowdlerize bowdler`,
  '5': 'probate probat rate rate cease ceas controll control roll roll',
  conclusion: 'generalizations gener oscillators oscil',
};

function pairs(text: string): [string, string][] {
  const words = text.split(/\s+/);
  return words.flatMap((word, i) => (i % 2 === 0 ? [[word, words[i + 1]!] as [string, string]] : []));
}

test.each(Object.entries(PAPER))("the paper's examples, step %s", (_step, text) => {
  for (const [word, stem] of pairs(text)) expect([word, porterStem(word)]).toEqual([word, stem]);
});

test('the three departures of the author: short words, bli, logi', () => {
  expect(['as', 'is', 'by'].map(porterStem)).toEqual(['as', 'is', 'by']);
  expect(porterStem('possibly')).toBe('possibl');
  expect(porterStem('archaeology')).toBe('archaeolog');
});

test('a y is a vowel after a consonant and a consonant elsewhere', () => {
  expect(['syzygy', 'toying', 'saying', 'dying', 'yes'].map(porterStem)).toEqual(['syzygi', 'toi', 'sai', 'dy', 'ye']);
});

test('ion goes only after s or t', () => {
  expect(['extension', 'adoption', 'companion', 'legion'].map(porterStem)).toEqual([
    'extens',
    'adopt',
    'companion',
    'legion',
  ]);
});
