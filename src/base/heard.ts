/** What was heard from outside (servers, other programs), made fit to be shown and to be kept. */

/** Longest text that is passed on, in characters. */
const LONGEST = 500;
/** A secret that is shorter is looked for as it stands only: its encodings would be found by chance. */
const ENCODED_FROM = 6;

/**
 * The text on one line, without secrets, without control characters, not too long.
 *
 * A server may repeat the key that it was sent, as it is or encoded: it is cut out as plain text, as JSON and URLs write it,
 * in hex, and in base64, wherever in a larger text it was encoded.
 */
export function heard(text: string, secrets: readonly (string | undefined)[] = []): string {
  let clean = text;
  for (const secret of secrets)
    for (const form of secret ? formsOf(secret) : []) clean = clean.replace(new RegExp(literally(form), 'gi'), '…');
  clean = clean
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]+/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return clean.length <= LONGEST ? clean : `${clean.slice(0, LONGEST).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** Ways to write a secret, the longest first. */
function formsOf(secret: string): string[] {
  const forms = [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)];
  if (secret.length >= ENCODED_FROM) {
    const bytes = Buffer.from(secret, 'utf8');
    forms.push(bytes.toString('hex'));
    // Within a larger text base64 begins at any of three places; the characters that share bits with neighbours are left out.
    for (const before of [0, 1, 2]) {
      const shifted = Buffer.concat([Buffer.alloc(before), bytes]);
      for (const alphabet of ['base64', 'base64url'] as const) {
        const from = Math.ceil((before * 8) / 6);
        forms.push(shifted.toString(alphabet).slice(from, Math.floor((shifted.length * 8) / 6)));
      }
    }
  }
  return [...new Set(forms)].sort((a, b) => b.length - a.length);
}

/** A pattern that matches the text itself. */
function literally(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}
