/** A small byte-level tokenizer for tests: greedy longest match, with tokens that cross the borders of tags on purpose. */
import type { Tokenizer } from '../../checkpoint/tokenizer.types.ts';

const longTokens = [
  '<|im_start|>',
  '<|im_end|>',
  '</',
  '<think',
  'think',
  '>\n\n',
  '>.',
  '><',
  '> <',
  'sea',
  'rch>',
  'rch> and',
  'answer',
  'er> so',
  'information',
  ' the',
  ' of',
  'Doc ',
  'Title: ',
  'Question: ',
  // Two of the three bytes of "€": a token may end within a character.
  '\u00e2\u0082',
];

/** With `chat`, the model has a chat format and ends its turns by <|im_end|>. */
export function testTokenizer({ chat = false } = {}): Tokenizer {
  const pieces = [...Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)), ...longTokens];
  const byLength = pieces.map((piece, id) => ({ piece, id })).sort((a, b) => b.piece.length - a.piece.length);
  return {
    vocabulary: pieces.length,
    pieces,
    encode(text) {
      const bytes = Buffer.from(text, 'utf8').toString('latin1');
      const ids: number[] = [];
      for (let at = 0; at < bytes.length; ) {
        const { piece, id } = byLength.find((entry) => bytes.startsWith(entry.piece, at))!;
        ids.push(id);
        at += piece.length;
      }
      return ids;
    },
    decode(ids) {
      return Buffer.from(ids.map((id) => pieces[id]!).join(''), 'latin1').toString('utf8');
    },
    chat(message) {
      if (!chat) return undefined;
      const messages = typeof message === 'string' ? [{ role: 'user', content: message }] : message;
      const said = messages.map(({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`);
      return `${said.join('')}<|im_start|>assistant\n`;
    },
    start: [],
    notes: [],
    endTokens: chat ? [pieces.indexOf('<|im_end|>')] : [],
    hash: 'test',
  };
}
