/** Asks the server, or the data of an exported page; what was there stays while the next is on its way. */
import { useEffect, useRef, useState } from 'preact/hooks';

export interface Asked<T> {
  readonly value: T | undefined;
  readonly error: string | undefined;
  readonly isWaiting: boolean;
}

export type Answer = (path: string, query: URLSearchParams) => unknown;

/** Of an exported page, which has nobody to ask. */
let local: Answer | undefined;
export const isExported = (): boolean => local !== undefined;
export function answerLocally(answer: Answer): void {
  local = answer;
}

async function ask(path: string, query: URLSearchParams, signal: AbortSignal): Promise<unknown> {
  if (local !== undefined) return local(path, query);
  const response = await fetch(`api/${path}?${query}`, { signal }).catch((error: unknown) => {
    if (signal.aborted) throw error;
    throw new Error(
      'search-e1 view does not answer any more. Was it stopped? Start it again, and open the address that it prints.',
    );
  });
  const value: unknown = await response.json();
  if (!response.ok) throw new Error((value as { error: string }).error);
  return value;
}

/** @param every asks again after so many milliseconds; undefined: never */
export function useAsk<T>(path: string | null, query: URLSearchParams, every?: number): Asked<T> {
  const [state, setState] = useState<Asked<T> & { path: string | null }>({
    path,
    value: undefined,
    error: undefined,
    isWaiting: true,
  });
  const key = `${path}?${query}`;
  const latest = useRef(key);
  latest.current = key;
  useEffect(() => {
    if (path === null) return;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async () => {
      try {
        const value = (await ask(path, query, abort.signal)) as T;
        if (!abort.signal.aborted) setState({ path, value, error: undefined, isWaiting: false });
      } catch (error) {
        if (abort.signal.aborted) return;
        setState((old) => ({
          path,
          value: old.path === path ? old.value : undefined,
          error: String((error as Error).message),
          isWaiting: false,
        }));
      }
      if (every !== undefined && !abort.signal.aborted) timer = setTimeout(run, every);
    };
    setState((old) =>
      old.path === path ? { ...old, isWaiting: true } : { path, value: undefined, error: undefined, isWaiting: true },
    );
    void run();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, every]);
  return state.path === path ? state : { value: undefined, error: undefined, isWaiting: true };
}
