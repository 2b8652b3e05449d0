/**
 * One file of a repository on the Hugging Face Hub, downloaded because the user named it: resumed after a cut, checked
 * against the Hub's checksum, written whole or not at all.
 *
 * HF_ENDPOINT (another server), HF_TOKEN (private repositories) are honoured. @huggingface/hub finds the file; its own
 * downloads are not used, since they begin anew after a cut and check nothing.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  fileDownloadInfo,
  HubApiError,
  type ListFileEntry,
  listFiles,
  modelInfo,
  type PathInfo,
  pathsInfo,
} from '@huggingface/hub';
import { messageOf, UserError } from './errors.ts';
import { fileError, makeFolder, syncFolder } from './files.ts';
import { Passing, patiently } from './retry.ts';

export interface HubFile {
  readonly type: 'model' | 'dataset';
  /** owner/name */
  readonly repository: string;
  /** A branch, tag or commit. */
  readonly revision: string;
  /** The file's path inside the repository. */
  readonly path: string;
}

/** What the Hub says of a file. */
export interface HubFileInfo {
  readonly bytes: number;
  /** What the content must hash to: SHA-256 of the bytes for files in LFS, git's SHA-1 of the blob for others. */
  readonly checksum: { readonly kind: 'sha256' | 'git-sha1'; readonly value: string };
}

export interface DownloadOptions {
  readonly signal?: AbortSignal;
  /** Bytes on disk so far, and in all. */
  readonly onProgress?: (bytes: number, total: number) => void;
  /** First wait after a failure, in milliseconds; it doubles each time. */
  readonly backOff?: number;
}

/** Connections that may fail one after the other without a byte gained. */
const ATTEMPTS = 5;
/** A connection that brings nothing for this long is given up, in milliseconds. */
const SILENCE = 60_000;

export function hubEndpoint(): string {
  return (process.env.HF_ENDPOINT ?? 'https://huggingface.co').replace(/\/+$/, '');
}

/**
 * Where the Hub is and who asks.
 * @throws UserError for an HF_TOKEN that is none
 */
export function hubAccess(): { readonly hubUrl: string; readonly accessToken?: string } {
  const token = process.env.HF_TOKEN;
  if (token !== undefined && token !== '' && !token.startsWith('hf_'))
    throw new UserError('HF_TOKEN: expected a token that begins with hf_', {
      hint: 'Correct the environment variable or unset it; public files need none.',
    });
  return { hubUrl: hubEndpoint(), ...(token === undefined || token === '' ? {} : { accessToken: token }) };
}

/** @throws UserError when repository or file do not exist or may not be read, or the Hub is out of reach */
export async function hubFileInfo(file: HubFile, signal?: AbortSignal): Promise<HubFileInfo> {
  const { type, repository, revision } = file;
  let found: PathInfo | undefined;
  try {
    [found] = await pathsInfo({
      ...hubAccess(),
      repo: { type, name: repository },
      paths: [file.path],
      revision,
      fetch: guardedFetch(signal),
    });
  } catch (error) {
    throw hubError(error, nameOf(file), signal);
  }
  if (found === undefined)
    throw new UserError(`${nameOf(file)}: no such file in the repository`, {
      hint: 'Check the name and the revision.',
    });
  return infoOf(found, nameOf(file));
}

/**
 * The commit that a model's revision stands for, and the files at the top of the repository.
 * @throws UserError as `hubFileInfo` does
 */
export async function hubModelFiles(
  repository: string,
  revision: string,
  signal?: AbortSignal,
): Promise<{ readonly commit: string; readonly files: ReadonlyMap<string, HubFileInfo> }> {
  const place = `${repository}@${revision}`;
  const common = { ...hubAccess(), fetch: guardedFetch(signal) };
  try {
    const { sha } = await modelInfo({ ...common, name: repository, revision, additionalFields: ['sha'] });
    const files = new Map<string, HubFileInfo>();
    for await (const entry of listFiles({ ...common, repo: { type: 'model', name: repository }, revision: sha }))
      if (entry.type === 'file') files.set(entry.path, infoOf(entry, `${place}/${entry.path}`));
    return { commit: sha, files };
  } catch (error) {
    throw hubError(error, place, signal);
  }
}

type Entry = Pick<ListFileEntry, 'size' | 'lfs' | 'oid'>;

function infoOf({ lfs, oid, size }: Entry, name: string): HubFileInfo {
  if (lfs !== undefined) return { bytes: lfs.size, checksum: { kind: 'sha256', value: lfs.oid } };
  if (oid === undefined) throw new UserError(`${name}: the Hub gave no checksum for it`);
  return { bytes: size, checksum: { kind: 'git-sha1', value: oid } };
}

/**
 * Downloads to `target`; what an earlier, broken attempt left beside it is continued.
 * @throws UserError when the connection keeps failing or the content is not what the Hub says
 */
export async function downloadHubFile(
  file: HubFile,
  info: HubFileInfo,
  target: string,
  { signal, onProgress, backOff = 1000 }: DownloadOptions = {},
): Promise<void> {
  await makeFolder(path.dirname(target));
  // The checksum is part of the name: what was begun of another version is never continued.
  const partial = `${target}.${info.checksum.value.slice(0, 16)}.part`;
  const patience = { attempts: ATTEMPTS, firstWait: backOff / 500, longestWait: 30 };
  // An empty file needs no connection.
  if (info.bytes === 0) await writeFile(partial, '');
  for (let have = await sizeOf(partial); have < info.bytes; have = await sizeOf(partial)) {
    // A connection that broke, but brought something, was worth it: patience begins anew.
    const gain = () =>
      fetchRest(file, partial, have, info.bytes, signal, onProgress).catch(async (error: unknown) => {
        if (error instanceof UserError || isRefusal(error)) throw error;
        if ((await sizeOf(partial)) === have) throw new Passing(messageOf(error), { cause: error });
      });
    await patiently(patience, gain, signal).catch((error: unknown) => {
      signal?.throwIfAborted();
      throw hubError(error instanceof Passing ? error.cause : error, nameOf(file), signal);
    });
  }
  const found = await checksumOf(partial, info);
  if (found !== info.checksum.value) {
    await rm(partial, { force: true });
    throw new UserError(`${nameOf(file)}: the content does not match the Hub's checksum`, {
      hint: `Expected ${info.checksum.kind} ${info.checksum.value}, found ${found}. What was downloaded is removed; try again.`,
    });
  }
  await rename(partial, target);
  await syncFolder(path.dirname(target));
}

/** Appends the bytes from `have` on. */
async function fetchRest(
  file: HubFile,
  partial: string,
  have: number,
  bytes: number,
  signal: AbortSignal | undefined,
  onProgress: DownloadOptions['onProgress'],
): Promise<void> {
  const { type, repository, revision } = file;
  const silence = new AbortController();
  const watch = setTimeout(() => silence.abort(new Error(`nothing came for ${SILENCE / 1000} s`)), SILENCE);
  const stop = signal === undefined ? silence.signal : AbortSignal.any([signal, silence.signal]);
  const { hubUrl, accessToken } = hubAccess();
  const handle = await open(partial, 'a').catch((error: unknown) => {
    throw fileError(error, partial, 'write');
  });
  try {
    const place = await fileDownloadInfo({
      ...(accessToken === undefined ? {} : { accessToken }),
      hubUrl,
      repo: { type, name: repository },
      path: file.path,
      revision,
      fetch: guardedFetch(stop),
    });
    if (place === null) throw new UserError(`${nameOf(file)}: no such file in the repository`);
    const response = await fetch(place.url, {
      headers: {
        Range: `bytes=${have}-`,
        // Ranges of compressed content would be ranges of something else.
        'Accept-Encoding': 'identity',
        ...(accessToken === undefined ? {} : { Authorization: `Bearer ${accessToken}` }),
      },
      signal: stop,
    });
    if (response.status !== 206 && !(response.status === 200 && have === 0))
      throw new Error(`expected status 206, found ${response.status} from ${place.url}`);
    let written = have;
    for await (const chunk of response.body ?? []) {
      watch.refresh();
      if (written + chunk.length > bytes)
        throw new UserError(`${nameOf(file)}: the server sent more than the ${bytes} bytes that the Hub promised`);
      await handle.write(chunk);
      written += chunk.length;
      onProgress?.(written, bytes);
    }
    if (written < bytes) throw new Error(`the connection ended after ${written} of ${bytes} bytes`);
    await handle.sync();
  } finally {
    clearTimeout(watch);
    await handle.close();
  }
}

/** Whether a file on disk is what the Hub has. */
export async function isHubContent(file: string, info: HubFileInfo): Promise<boolean> {
  return (await sizeOf(file)) === info.bytes && (await checksumOf(file, info)) === info.checksum.value;
}

async function checksumOf(file: string, { bytes, checksum }: HubFileInfo): Promise<string> {
  const hash: Hash = checksum.kind === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${bytes}\0`);
  for await (const part of createReadStream(file)) hash.update(part);
  return hash.digest('hex');
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

/** fetch with a deadline and, where given, a signal. */
export function guardedFetch(signal: AbortSignal | undefined): typeof fetch {
  const deadline = () => AbortSignal.timeout(SILENCE);
  return (input, init) =>
    fetch(input, { ...init, signal: signal === undefined ? deadline() : AbortSignal.any([signal, deadline()]) });
}

/** The server said no; asking again will not change that. */
function isRefusal(error: unknown): boolean {
  return error instanceof HubApiError && error.statusCode >= 400 && error.statusCode < 500 && error.statusCode !== 429;
}

/** What to throw for an error of the Hub or of the way there; `name` says what was asked for. */
export function hubError(error: unknown, name: string, signal: AbortSignal | undefined): unknown {
  if (error instanceof UserError || signal?.aborted) return error;
  if (
    error instanceof HubApiError &&
    (error.statusCode === 401 || error.statusCode === 403 || error.statusCode === 404)
  )
    return new UserError(`${name}: the Hub answered ${error.statusCode} (${error.url})`, {
      hint: 'Check the name; private and gated repositories need a token in HF_TOKEN.',
      cause: error,
    });
  const cause = error instanceof Error && error.cause !== undefined ? `: ${messageOf(error.cause)}` : '';
  return new UserError(`${name}: could not be fetched from ${hubEndpoint()} (${messageOf(error)}${cause})`, {
    hint: 'Check the network or set HF_ENDPOINT to a mirror; what was downloaded is kept and continued.',
    cause: error,
  });
}

function nameOf({ type, repository, revision, path: inside }: HubFile): string {
  return `${type === 'dataset' ? 'datasets/' : ''}${repository}@${revision}/${inside}`;
}
