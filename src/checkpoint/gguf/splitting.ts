/**
 * How a byte-level vocabulary splits text into words before it joins bytes: llama.cpp has a name for each rule
 * (`tokenizer.ggml.pre`), tokenizer.json spells it out. The rules are those of llama.cpp's llama-vocab.cpp, written as the models'
 * own tokenizer.json has them where that is known.
 */

/** The parts of tokenizer.json that a rule decides. */
export interface Splitting {
  readonly pre_tokenizer: object;
  readonly normalizer: object | null;
  /** Words that are in the vocabulary as a whole are not put together from bytes. */
  readonly ignoreMerges: boolean;
  /** Texts begin with beginning-of-text where the file does not say. */
  readonly addBos: boolean;
}

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const LLAMA3 = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const QWEN2 = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const UPPER = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const LOWER = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';
const TEKKEN = `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const GPT4O = `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+${CONTRACTIONS}?|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*${CONTRACTIONS}?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const SEED = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const DEEPSEEK_V3 =
  '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const DEEPSEEK_LETTERS =
  '\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+';

const byteLevel = (use_regex: boolean) => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex,
});
const split = (pattern: string) => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior: 'Isolated',
  invert: false,
});
const sequence = (...pretokenizers: object[]) => ({ type: 'Sequence', pretokenizers });
/** Each pattern splits what those before it have left whole. */
const patterns = (...texts: string[]) => sequence(...texts.map(split), byteLevel(false));

const plain = { normalizer: null, ignoreMerges: false, addBos: false };
const wholeWords = { normalizer: null, ignoreMerges: true, addBos: true };

/** Names that share a rule stand together; the first is what `ruleNameOf` answers. */
const RULES: readonly { readonly names: readonly string[]; readonly splitting: Splitting }[] = [
  {
    names: [
      'gpt-2',
      'phi-2',
      'mpt',
      'olmo',
      'jais',
      'gigachat',
      'a.x-4.0',
      'mellum',
      'exaone4',
      'trillion',
      'granite-docling',
    ],
    splitting: { ...plain, pre_tokenizer: byteLevel(true) },
  },
  {
    names: ['smollm', 'starcoder', 'refact', 'command-r', 'codeshell', 'exaone', 'minerva-7b', 'mellum2'],
    splitting: { ...plain, pre_tokenizer: sequence({ type: 'Digits', individual_digits: true }, byteLevel(true)) },
  },
  {
    names: ['llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'falcon-h1', 'pixtral', 'midm-2.0', 'lfm2'],
    splitting: { ...wholeWords, pre_tokenizer: patterns(LLAMA3) },
  },
  { names: ['dbrx', 'smaug-bpe'], splitting: { ...plain, pre_tokenizer: patterns(LLAMA3) } },
  { names: ['qwen2'], splitting: { ...plain, normalizer: { type: 'NFC' }, pre_tokenizer: patterns(QWEN2) } },
  {
    names: ['deepseek-r1-qwen', 'megrez', 'stablelm2', 'hunyuan', 'kormo', 'f2llmv2', 'solar-open', 'grok-2'],
    splitting: { ...plain, pre_tokenizer: patterns(QWEN2) },
  },
  { names: ['tekken'], splitting: { ...wholeWords, pre_tokenizer: patterns(TEKKEN) } },
  { names: ['gpt-4o', 'llama4', 'kanana2', 'talkie'], splitting: { ...plain, pre_tokenizer: patterns(GPT4O) } },
  { names: ['seed-coder'], splitting: { ...plain, pre_tokenizer: patterns(SEED) } },
  {
    names: ['deepseek-llm'],
    splitting: {
      ...plain,
      pre_tokenizer: patterns(
        '[\\r\\n]',
        DEEPSEEK_LETTERS,
        '\\s?[!-/:-~！-／：-～‘-‟　-。]+',
        '\\s+$',
        '[一-龥ࠀ-一가-퟿]+',
        '\\p{N}+',
      ),
    },
  },
  {
    names: ['deepseek-coder'],
    splitting: {
      ...plain,
      pre_tokenizer: patterns('[\\r\\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', '[一-龥ࠀ-一가-퟿]+', '\\p{N}'),
    },
  },
  {
    names: ['deepseek-v3', 'hunyuan-dense', 'joyai-llm'],
    splitting: { ...plain, pre_tokenizer: patterns('\\p{N}{1,3}', '[一-龥぀-ゟ゠-ヿ]+', DEEPSEEK_V3) },
  },
  {
    names: ['default'],
    splitting: { ...plain, pre_tokenizer: patterns('[\\p{P}\\$\\+<=>\\^~\\|]+', GPT2, '\\p{N}+', '[0-9][0-9][0-9]') },
  },
];

export const ruleNames: readonly string[] = RULES.flatMap(({ names }) => names);

/** The rule of a name; undefined for one that is not known. */
export function splittingOf(name: string): Splitting | undefined {
  return RULES.find(({ names }) => names.includes(name))?.splitting;
}

/** The patterns of all rules that take a time proportional to the text: not the one that looks for its end from every blank. */
export const linearPatterns: ReadonlySet<string> = new Set(
  [GPT2, ...RULES.flatMap(({ splitting }) => patternsOf(splitting.pre_tokenizer))].filter(
    (pattern) => !pattern.endsWith('$'),
  ),
);

function patternsOf(preTokenizer: object): string[] {
  const { pretokenizers = [], pattern } = preTokenizer as {
    readonly pretokenizers?: object[];
    readonly pattern?: { readonly Regex: string };
  };
  return [...(pattern ? [pattern.Regex] : []), ...pretokenizers.flatMap(patternsOf)];
}

/** The name of a tokenizer.json's rule, if it is one of these; normalisers are passed over, since llama.cpp has none. */
export function ruleNameOf(preTokenizer: unknown, ignoreMerges: boolean): string | undefined {
  const wanted = essence(preTokenizer);
  return RULES.find(
    ({ splitting }) => essence(splitting.pre_tokenizer) === wanted && splitting.ignoreMerges === ignoreMerges,
  )?.names[0];
}

/** What decides where text is split, in one form: nested sequences are flat, and fields that only concern offsets are left out. */
function essence(preTokenizer: unknown): string {
  const steps = (step: unknown): unknown[] => {
    if (typeof step !== 'object' || step === null) return [step];
    const { type, pretokenizers, pattern, behavior, invert, use_regex, add_prefix_space, individual_digits } =
      step as Readonly<Record<string, unknown>>;
    if (type === 'Sequence' && Array.isArray(pretokenizers)) return pretokenizers.flatMap(steps);
    if (type === 'ByteLevel') return [[type, use_regex ?? true, add_prefix_space ?? true]];
    if (type === 'Digits') return steps(split(individual_digits ? '\\p{N}' : '\\p{N}+'));
    if (type === 'Split') return [[type, pattern, String(behavior).toLowerCase(), invert ?? false]];
    return [step];
  };
  return JSON.stringify(steps(preTokenizer));
}
