/** Finds the model that the user named; a download from the Hub is shown, and Ctrl-C leaves what can be continued. */

import { clock } from '../base/clock.ts';
import { describeModel, type LocatedModel, locateModel } from '../checkpoint/hub-model.ts';
import { interruptible } from './interrupt.ts';
import type { Io } from './widgets/io.ts';
import { bar, LiveArea } from './widgets/live-area.ts';

/** Finds a model and what it is; its weights are not downloaded. */
export function lookUpModel(
  place: string,
  { offline }: { readonly offline?: boolean },
): ReturnType<typeof describeModel> {
  return interruptible('Nothing is lost.', (signal) => describeModel(place, { signal, ...(offline && { offline }) }));
}

export async function fetchModel(
  place: string,
  options: { readonly offline?: boolean; readonly json?: boolean },
  io: Io,
): Promise<LocatedModel> {
  if (!place.startsWith('hf:')) return { folder: place, place };
  const area = new LiveArea(io.err, options.json !== true);
  const megabytes = (bytes: number) => Math.round(bytes / 1e6).toLocaleString('en');
  const started = performance.now();
  let first: number | undefined;
  try {
    const hint = 'The same command continues the download.';
    const located = await interruptible(hint, (signal) =>
      locateModel(place, {
        signal,
        ...(options.offline && { offline: true }),
        onDownload: ({ name, bytes, total }) => {
          // What the cache had already says nothing about the speed.
          first ??= bytes;
          const speed = (bytes - first) / ((performance.now() - started) / 1000);
          const pace = speed > 0 ? `  ${(speed / 1e6).toFixed(1)} MB/s  ${clock((total - bytes) / speed)} left` : '';
          const figures = `${megabytes(bytes)} of ${megabytes(total)} MB${pace}`;
          area.show({
            lines: [`downloading ${name}`, `${bar(bytes / total, 32)}  ${figures}`],
            plain: `downloading ${name}: ${figures.replaceAll('  ', ', ')}`,
            milestone: name,
          });
        },
      }),
    );
    area.print(`model ${located.place}`);
    return located;
  } finally {
    area.finish();
  }
}
