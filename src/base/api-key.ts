/** The API key of a served model: from the environment only, and sent nowhere that the user would not expect. */
import { UserError } from './errors.ts';

const usual = 'OPENAI_API_KEY';

/**
 * The value of the variable that was named; without a name that of OPENAI_API_KEY, if it is set and does not have to cross
 * a network in the clear. Undefined: no key is sent.
 * @throws UserError when the named variable is not set
 */
export function apiKeyFor(url: string, variable: string | undefined, environment = process.env): string | undefined {
  const value = environment[variable ?? usual];
  if (value !== undefined && value !== '') return variable !== undefined || isPrivate(url) ? value : undefined;
  if (variable === undefined) return undefined;
  throw new UserError(`--api-key-env ${variable}: this variable is not set in the environment`, {
    hint: `Set it, e.g. export ${variable}=…, or name another.`,
  });
}

/** Encrypted, or within this machine. */
function isPrivate(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}
