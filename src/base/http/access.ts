/**
 * Who may ask. Only addresses are known here, no users: what is kept out are web pages of elsewhere in a browser on this
 * machine. A page that has its own name resolve to this address (DNS rebinding) sends that name as Host; a page that asks
 * another origin sends its own as Origin.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';

export interface Access {
  /** What was to be listened on, e.g. 127.0.0.1, localhost or 0.0.0.0. */
  readonly host: string;
  /** The address that was taken. */
  readonly address: string;
  /** Further names by which the server may be asked. */
  readonly names: readonly string[];
}

const WILDCARDS = ['0.0.0.0', '::'];

/** Why a request is not answered; undefined for one that is. */
export function refusedSource({ host, origin }: IncomingHttpHeaders, access: Access): string | undefined {
  const name = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d+)?$/i.exec(host ?? '');
  const asked = (name?.[1] ?? name?.[2] ?? '').toLowerCase();
  if (!isOwnName(asked, access))
    return `Host: this server is not called ${JSON.stringify((host ?? '').slice(0, 100))}; --allow-host NAME allows a name`;
  // A page of this very server, which there is none of, would be the only one with a right to ask.
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`)
    return `Origin: pages of ${JSON.stringify(origin.slice(0, 100))} may not ask this server`;
  return undefined;
}

function isOwnName(asked: string, { host, address, names }: Access): boolean {
  if ([host, address, ...names].some((name) => name.toLowerCase() === asked)) return true;
  // Listening everywhere, every address of this machine is its own; a page cannot make a browser send a wrong one.
  if (WILDCARDS.includes(address)) return isIP(asked) !== 0 || asked === 'localhost';
  return isLoopback(address) && (asked === 'localhost' || isLoopback(asked));
}

function isLoopback(address: string): boolean {
  return address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}
