/**
 * Index directories are other people's files. They may name servers (a served embedder, OpenSearch, a leg of a hybrid); queries
 * go there, and what the environment holds of keys and passwords, only when whoever runs the command has named the server too.
 */
import { UserError } from '../base/errors.ts';

export interface Trust {
  /** URLs of servers that files may name; what counts is scheme, host and port. */
  readonly trust?: readonly string[] | undefined;
}

/** @throws UserError naming file and server, unless `trust` has it */
export function requireTrusted(url: string, file: string, { trust = [] }: Trust): void {
  const origin = originOf(url);
  if (origin !== undefined && trust.some((named) => originOf(named) === origin)) return;
  throw new UserError(
    `${file}: names the server ${origin ?? JSON.stringify(url.slice(0, 100))}, which this command does not`,
    {
      hint: `Queries would be sent there, and keys from the environment. If you trust it: --trust-server ${origin ?? 'URL'}`,
    },
  );
}

/** Scheme, host and port of a web address; undefined for anything else. */
export function originOf(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const { protocol, origin } = new URL(url);
  return protocol === 'http:' || protocol === 'https:' ? origin : undefined;
}
