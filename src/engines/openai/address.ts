/** Where a model is served: a base URL and, behind "#", the model's name, as in http://127.0.0.1:8000/v1#qwen2.5-3b */
import { UserError } from '../../base/errors.ts';

export interface ServedAddress {
  /** Base URL without a slash at its end, e.g. http://127.0.0.1:8000/v1 */
  readonly url: string;
  /** Undefined when the address names none. */
  readonly model: string | undefined;
}

/** True for what `parseAddress` is meant for, rather than a directory. */
export function isAddress(spec: string): boolean {
  return /^https?:\/\//i.test(spec);
}

/** @throws UserError for anything but an http or https URL without user, password or query */
export function parseAddress(spec: string): ServedAddress {
  const expected = { hint: 'Expected http://HOST:PORT/v1#MODEL; #MODEL may be left out when one model is served.' };
  if (!isAddress(spec) || !URL.canParse(spec)) throw new UserError(`${spec}: not the address of a server`, expected);
  const url = new URL(spec);
  if (url.username !== '' || url.password !== '')
    throw new UserError(`${url.origin}: an address must not hold a password`, {
      hint: 'Put the key into the environment: OPENAI_API_KEY, or another variable with --api-key-env.',
    });
  if (url.search !== '')
    throw new UserError(`${url.origin}: an address with "${url.search}" is not supported`, expected);
  // The address of the very request is what documents of servers show; it names the same server.
  const path = url.pathname.replace(/\/+$/, '').replace(/\/(?:chat\/)?completions$/, '');
  const model = decodeURIComponent(url.hash.slice(1));
  // Every server of this kind has its interface under /v1; the bare host is what people type.
  return { url: url.origin + (path === '' ? '/v1' : path), model: model === '' ? undefined : model };
}
