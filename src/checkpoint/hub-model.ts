/**
 * Models by name: `hf:owner/name`, `hf:owner/name@revision` (a branch, tag or commit), or one GGUF file of a repository,
 * `hf:owner/name/file.gguf` with or without a revision. Downloaded because the user wrote such a name and for no other reason,
 * into Hugging Face's own cache, in its layout, which Python's libraries share:
 *
 *     $HF_HOME/hub/models--owner--name/refs/main                       the commit
 *                                      snapshots/<commit>/config.json  a link to
 *                                      blobs/<checksum>
 */

import { copyFile, readFile, rm, stat, statfs, symlink } from 'node:fs/promises';
import path from 'node:path';
import { getHFHubCachePath, getRepoFolderName } from '@huggingface/hub';
import { byteSize, gigabytes } from '../base/bytes.ts';
import { hasCode, UserError } from '../base/errors.ts';
import { makeFolder, writeFileAtomic } from '../base/files.ts';
import { downloadHubFile, type HubFileInfo, hubFileInfo, hubModelFiles } from '../base/hub-file.ts';
import { weightFiles } from './model-directory.ts';

export interface HubOptions {
  /** Take models from the cache, never from the network. Default: what HF_HUB_OFFLINE says. */
  readonly offline?: boolean;
  readonly onDownload?: (progress: DownloadProgress) => void;
  readonly signal?: AbortSignal;
}

/** Bytes of all files that the model needs, those found in the cache included. */
export interface DownloadProgress {
  readonly name: string;
  readonly bytes: number;
  readonly total: number;
}

export interface LocatedModel {
  /** A Hugging Face model directory, or a GGUF file: what `readConfig`, `readWeights` and `loadTokenizer` take. */
  readonly folder: string;
  /** The place as given; a name is given with its commit, so that it stands for the same weights for ever. */
  readonly place: string;
}

/** The files of a repository that are used; the first ones say what the model is. */
const DESCRIPTION = ['config.json', 'generation_config.json'];
const FILES = [
  ...DESCRIPTION,
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
  'model.safetensors.index.json',
];
const SHARD = /^model-\d{5}-of-\d{5}\.safetensors$/;
const COMMIT = /^[0-9a-f]{40}$/;
/** owner/name, a GGUF file in it, a revision. */
const NAME = /^hf:(\w[\w.-]*\/\w[\w.-]*)(?:\/(\w[\w./-]*\.gguf))?(?:@(\w[\w./-]*))?$/i;

/**
 * Where a model lies: `place` itself, or for `hf:…` its snapshot or file in the cache, downloaded if need be. When the Hub
 * cannot be reached, a complete snapshot of an earlier time serves.
 * @throws UserError for a name that is none, a repository without the files needed, and what hub-file.ts refuses
 */
export async function locateModel(place: string, options: HubOptions = {}): Promise<LocatedModel> {
  if (!place.startsWith('hf:')) return { folder: place, place };
  const { located, source } = await findModel(place, options);
  if (source === null) return located;
  await download(source, source.files, options);
  const { storage, commit, revision } = source;
  if (revision !== commit) await writeFileAtomic(path.join(storage, 'refs', revision), commit);
  return located;
}

/** What is still to be downloaded of a model. */
export interface MissingFiles {
  readonly bytes: number;
  /** Bytes on the cache's disk that are free. */
  readonly free: number;
  readonly cache: string;
}

/**
 * Finds a model and what it is, without its weights: of one that is not in the cache, the folder holds config.json and
 * generation_config.json and no more.
 * @returns `missing`: null when `locateModel` would download nothing
 * @throws UserError as `locateModel` does
 */
export async function describeModel(
  place: string,
  options: HubOptions = {},
): Promise<LocatedModel & { readonly missing: MissingFiles | null }> {
  if (!place.startsWith('hf:')) return { folder: place, place, missing: null };
  const { located, source } = await findModel(place, options);
  if (source === null) return { ...located, missing: null };
  const { storage, files } = source;
  const bytes = await missingBytes(storage, files);
  // It describes itself, in its first megabytes.
  if (source.gguf !== undefined && bytes > 0)
    throw new UserError(
      `${place}: is not in the cache, and only the file itself says what it is (${byteSize(bytes)})`,
      {
        hint: 'Fetch it with --download.',
      },
    );
  await download(source, new Map([...files].filter(([file]) => DESCRIPTION.includes(file))), options);
  if (bytes === 0) return { ...(await locateModel(place, options)), missing: null };
  return { ...located, missing: { bytes, free: await freeBytes(storage), cache: getHFHubCachePath() } };
}

/** A model as the Hub lists it. */
interface Source {
  /** owner/name */
  readonly name: string;
  readonly revision: string;
  readonly commit: string;
  /** The repository's folder in the cache. */
  readonly storage: string;
  readonly files: ReadonlyMap<string, HubFileInfo>;
  /** The one file that is asked for, where it is a GGUF file. */
  readonly gguf: string | undefined;
}

/** `source`: null where the cache alone is to serve, and holds a complete snapshot. */
async function findModel(
  place: string,
  options: HubOptions,
): Promise<{ readonly located: LocatedModel; readonly source: Source | null }> {
  const [, name, gguf, revision = 'main'] = NAME.exec(place) ?? [];
  // A revision and a file become parts of a path.
  if (name === undefined || `${gguf}/${revision}`.includes('..'))
    throw new UserError(`${place}: expected hf:OWNER/NAME, hf:OWNER/NAME@REVISION or hf:OWNER/NAME/FILE.gguf`, {
      hint: 'For example: hf:Qwen/Qwen2.5-0.5B',
    });
  const storage = path.join(getHFHubCachePath(), getRepoFolderName({ type: 'model', name }));
  const inside = gguf === undefined ? '' : `/${gguf}`;
  const located = (commit: string) => ({
    folder: path.join(snapshotOf(storage, commit), inside),
    place: `hf:${name}${inside}@${commit}`,
  });
  const cached = () => cachedCommit(storage, revision, gguf);

  if (options.offline ?? /^(1|true|yes|on)$/i.test(process.env.HF_HUB_OFFLINE ?? '')) {
    const commit = await cached();
    if (commit !== undefined) return { located: located(commit), source: null };
    throw new UserError(`${place}: is not in the cache (${storage}), or not complete`, {
      hint: 'Run once without --offline and HF_HUB_OFFLINE to download it.',
    });
  }
  let listed: Awaited<ReturnType<typeof hubModelFiles>>;
  try {
    listed = await hubModelFiles(name, revision, options.signal);
  } catch (error) {
    options.signal?.throwIfAborted();
    const commit = isRefusal(error) ? undefined : await cached();
    if (commit === undefined) throw error;
    return { located: located(commit), source: null };
  }
  const { commit } = listed;
  const files =
    gguf === undefined
      ? neededFiles(listed.files, place)
      : await ggufFile(name, commit, gguf, listed.files, options.signal);
  return { located: located(commit), source: { name, revision, commit, storage, files, gguf } };
}

/** The list holds the top of the repository only. */
async function ggufFile(
  name: string,
  commit: string,
  file: string,
  listed: ReadonlyMap<string, HubFileInfo>,
  signal: AbortSignal | undefined,
): Promise<Map<string, HubFileInfo>> {
  const place = { type: 'model', repository: name, revision: commit, path: file } as const;
  return new Map([[file, listed.get(file) ?? (await hubFileInfo(place, signal))]]);
}

function snapshotOf(storage: string, commit: string): string {
  return path.join(storage, 'snapshots', commit);
}

/** Weights last: a snapshot with weights is complete. Some repositories hold them twice, in one file and in shards. */
function neededFiles(files: ReadonlyMap<string, HubFileInfo>, place: string): Map<string, HubFileInfo> {
  const single = 'model.safetensors';
  const weights = files.has(single) ? [single] : [...files.keys()].filter((name) => SHARD.test(name));
  const needed = new Map<string, HubFileInfo>();
  for (const name of [...FILES, ...weights]) {
    const info = files.get(name);
    if (info) needed.set(name, info);
  }
  const ggufs = [...files.keys()].filter((name) => /\.gguf$/i.test(name));
  const refused = (what: string) =>
    new UserError(`${place}: the repository has no ${what}`, {
      ...(ggufs.length > 0 && { hint: `It has GGUF files, which are named one by one: hf:OWNER/NAME/${ggufs[0]}` }),
    });
  for (const name of ['config.json', 'tokenizer.json']) if (!needed.has(name)) throw refused(name);
  if (weights.length === 0) throw refused('weights in safetensors (model.safetensors or shards of it)');
  return needed;
}

async function download(
  { name, storage, commit }: Source,
  files: ReadonlyMap<string, HubFileInfo>,
  { signal, onDownload }: HubOptions,
): Promise<void> {
  const total = [...files.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  const snapshot = snapshotOf(storage, commit);
  await makeFolder(path.join(storage, 'blobs'));
  await makeFolder(snapshot);
  await checkSpace(storage, files);
  let before = 0;
  for (const [file, info] of files) {
    const blob = path.join(storage, 'blobs', info.checksum.value);
    if (!(await exists(blob))) {
      const onProgress = (bytes: number) => onDownload?.({ name, bytes: before + bytes, total });
      const source = { type: 'model', repository: name, revision: commit, path: file } as const;
      await downloadHubFile(source, info, blob, { onProgress, ...(signal && { signal }) });
    }
    await makeFolder(path.dirname(path.join(snapshot, file)));
    await link(blob, path.join(snapshot, file));
    before += info.bytes;
  }
}

/** Refuses what cannot fit before its first byte. */
async function checkSpace(storage: string, files: ReadonlyMap<string, HubFileInfo>): Promise<void> {
  const [missing, free] = [await missingBytes(storage, files), await freeBytes(storage)];
  if (missing > free)
    throw new UserError(`${storage}: ${gigabytes(missing)} are to be downloaded, ${gigabytes(free)} are free`, {
      hint: 'Free some space, or set HF_HOME to a folder on another disk.',
    });
}

async function missingBytes(storage: string, files: ReadonlyMap<string, HubFileInfo>): Promise<number> {
  let missing = 0;
  for (const { bytes, checksum } of files.values())
    if (!(await exists(path.join(storage, 'blobs', checksum.value)))) missing += bytes;
  return missing;
}

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** Links are relative, so that the cache can be moved; where the system refuses links, a copy. */
async function link(blob: string, file: string): Promise<void> {
  if (await exists(file)) return;
  await rm(file, { force: true });
  await symlink(path.relative(path.dirname(file), blob), file).catch(async (error: unknown) => {
    if (hasCode(error, 'EEXIST')) return;
    await copyFile(blob, file);
  });
}

/** The commit of a revision whose snapshot, or whose GGUF file, is complete in the cache. */
async function cachedCommit(storage: string, revision: string, gguf: string | undefined): Promise<string | undefined> {
  const commit = COMMIT.test(revision)
    ? revision
    : await readFile(path.join(storage, 'refs', revision), 'utf8').catch(() => undefined);
  if (commit === undefined || !COMMIT.test(commit)) return undefined;
  const folder = snapshotOf(storage, commit);
  if (gguf !== undefined) return (await exists(path.join(folder, gguf))) ? commit : undefined;
  // Blobs stand under their names only when complete, and weights are linked last.
  const weights = await weightFiles(folder).catch(() => []);
  const needed = [...weights, ...['config.json', 'tokenizer.json'].map((name) => path.join(folder, name))];
  const there = await Promise.all(needed.map(exists));
  return weights.length > 0 && there.every(Boolean) ? commit : undefined;
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/** The Hub was reached and said no. */
function isRefusal(error: unknown): boolean {
  return error instanceof UserError && /the Hub answered/.test(error.message);
}
