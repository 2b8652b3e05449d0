/** What is sent to others does not tell where it lay: of the sender's folders and files only their last names stay. */
import { homedir } from 'node:os';
import path from 'node:path';
import type { Overview, TrajectoryDetail } from './wire.ts';

const lastName = (place: string): string => place.split(/[\\/]+/).findLast((part) => part !== '') ?? place;

const isAbsolute = (text: string) => /^(?:[\\/]|~[\\/]|[A-Za-z]:[\\/]|file:)/.test(text);

/** Whether a text of a record is a file or folder of this machine; addresses of servers and models of the Hub are none. */
function isPlace(text: string, isInput: boolean): boolean {
  if (!/[\\/]/.test(text) || /^(?:https?:|hf:)/.test(text)) return false;
  // Among inputs stand files; elsewhere a slash may stand in a sentence.
  return isInput || isAbsolute(text) || !/\s/.test(text);
}

const NAME = '[^\\s\\\\/"\'`“”’,;()<>]+';
/** Absolute paths in a sentence, of two names at least; not what follows a server's name. */
const PATHS = new RegExp(`(?<![\\w:/.~-])(?:file://)?(?:~|[A-Za-z]:)?(?:[\\\\/]${NAME}){2,}[\\\\/]?`, 'g');

/** A place that is known, blanks in its name and all, and what lies in it. */
const within = (place: string) =>
  new RegExp(
    `(?<![\\w:/.])(?:file://)?${place.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')}(?![\\w-])(?:[\\\\/]${NAME})*[\\\\/]?`,
    'g',
  );

/** A folder and those that it lies in. */
function* upwards(folder: string): Generator<string> {
  for (let at = path.resolve(folder); path.dirname(at) !== at; at = path.dirname(at)) yield at;
}

export interface Cleaned {
  readonly overview: Overview;
  readonly detail: (detail: TrajectoryDetail) => TrajectoryDetail;
}

/** @param folders of this machine that a message may name */
export function withoutPlaces(overview: Overview, folders: readonly string[]): Cleaned {
  const places = new Set([...folders, homedir()].flatMap((folder) => [...upwards(folder)]));
  const record = (value: unknown, isInput: boolean): unknown => {
    if (typeof value === 'string') {
      if (!isPlace(value, isInput)) return value;
      places.add(value);
      return lastName(value);
    }
    if (Array.isArray(value)) return value.map((one) => record(one, isInput));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, one]) => [name, record(one, isInput || name === 'inputs')]),
    );
  };
  const settings = JSON.stringify(record(JSON.parse(overview.settings), false), null, 2);
  // The longest first, since one may lie in another.
  const known = [...places].toSorted((a, b) => b.length - a.length).map(within);
  const text = (said: string) => [...known, PATHS].reduce((rest, pattern) => rest.replaceAll(pattern, lastName), said);
  const { source, sentence, facts, stages, notes } = overview;
  return {
    overview: {
      ...overview,
      settings,
      // The folder that was viewed may hold it deep down.
      source: { ...source, id: '.', name: lastName(source.name) },
      sentence: text(sentence),
      facts: facts.map(({ name, value, means }) => {
        const [cleanValue, cleanMeans] = [text(value), means === undefined ? undefined : text(means)];
        return { name, value: cleanValue, ...(cleanMeans && cleanMeans !== cleanValue && { means: cleanMeans }) };
      }),
      stages: stages.map((stage) => ({ ...stage, note: text(stage.note) })),
      notes: notes.map(text),
      // Who gets the page has not the run.
      next: [],
    },
    detail: (detail) => ({
      ...detail,
      notes: detail.notes.map(text),
      failure: detail.failure === null ? null : text(detail.failure),
    }),
  };
}
