/** Where a training server is, and the key that goes there and nowhere else. */
import { readFile } from 'node:fs/promises';
import { UserError } from '../../base/errors.ts';
import { fileError } from '../../base/files.ts';

const KEY_VARIABLE = 'TINKER_API_KEY';

/**
 * The base URL of a server without "/api/v1" and slashes at its end, e.g. http://127.0.0.1:8000
 * @throws UserError for anything but http or https without user, password, query and fragment; for http that leaves this
 * machine unless `plainHttp` allows it: weights, prompts and the key would cross the network in the clear
 */
export function serverUrl(text: string, { plainHttp }: { readonly plainHttp: boolean }): string {
  const expected = { hint: 'Expected http://127.0.0.1:PORT, or https://HOST with a path where the server has one.' };
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new UserError(`engine.url: not the URL of a server`, expected);
  const url = new URL(text);
  if (url.username !== '' || url.password !== '')
    throw new UserError(`engine.url: ${url.origin} is given with a user or password`, {
      hint: `Put the key into the environment (${KEY_VARIABLE}) or into a file named by engine.keyFile.`,
    });
  if (url.search !== '' || url.hash !== '')
    throw new UserError(`engine.url: ${url.origin} is given with a query or fragment`, expected);
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && !plainHttp)
    throw new UserError(`engine.url: ${url.origin} would be reached without encryption`, {
      hint: 'Use https, or a tunnel (ssh -L 8000:127.0.0.1:8000 HOST) and http://127.0.0.1:8000. On a network of your own: engine.plainHttp=true.',
    });
  return url.origin + url.pathname.replace(/\/+$/, '').replace(/\/api\/v1$/, '');
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/**
 * The key: what the file holds, else TINKER_API_KEY, else undefined (some servers ask for none).
 * @throws UserError when the file cannot be read or holds anything but one line
 */
export async function readKey(file: string | null, environment = process.env): Promise<string | undefined> {
  if (file === null) return environment[KEY_VARIABLE] || undefined;
  const key = await readFile(file, 'utf8').then(
    (text) => text.trim(),
    (error: unknown) => {
      throw fileError(error, file, 'read');
    },
  );
  if (!/^[\x21-\x7e]+$/.test(key))
    throw new UserError(`${file}: engine.keyFile must hold the key on a single line`, {
      hint: 'Nothing but printable ASCII characters without spaces.',
    });
  return key;
}
