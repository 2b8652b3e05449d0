/** Charts: curves whose points lead to their step, bins that choose a range, intervals of differences. */

import type { Histogram } from '../filter.ts';
import type { Curve, Experiment } from '../wire.ts';
import { short } from './parts.tsx';

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [420, 190, 44, 12, 20, 22];

export function niceTicks(low: number, high: number): number[] {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999)!;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

const tickText = (value: number) =>
  (value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(0) : String(value)).replace('-', '−');

export function CurveChart({
  curve,
  href,
}: {
  curve: Curve;
  href: (stage: string, step: number, heldOut: boolean) => string | undefined;
}) {
  const points = curve.lines.flatMap((line) => line.points);
  const ticks = niceTicks(Math.min(...points.map(({ value }) => value)), Math.max(...points.map(({ value }) => value)));
  const last = Math.max(...points.map(({ at }) => at), 1);
  const x = (at: number) => LEFT + (at / last) * (WIDTH - LEFT - RIGHT);
  const y = (value: number) =>
    HEIGHT - BOTTOM - ((value - ticks[0]!) / (ticks.at(-1)! - ticks[0]! || 1)) * (HEIGHT - TOP - BOTTOM);
  const path = (line: Curve['lines'][number]) =>
    line.points.map(({ at, value }, i) => `${i === 0 ? 'M' : 'L'}${x(at).toFixed(1)},${y(value).toFixed(1)}`).join('');
  return (
    <figure class="chart">
      <figcaption>
        {curve.title} <span class="soft">{curve.means}</span>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="group" aria-label={curve.title}>
        {ticks.map((tick) => (
          <g key={tick}>
            <line class="grid" x1={LEFT} x2={WIDTH - RIGHT} y1={y(tick)} y2={y(tick)} />
            <text x={LEFT - 6} y={y(tick)} dy=".32em" text-anchor="end">
              {tickText(tick)}
            </text>
          </g>
        ))}
        {curve.lines
          .filter(({ heldOut }) => !heldOut)
          .map((line) => (
            <text key={line.stage} x={x(line.points[0]!.at)} y={TOP - 8}>
              {line.label}
            </text>
          ))}
        {curve.lines.map((line) => (
          <g key={`${line.stage}${line.heldOut}`} class={line.heldOut ? 's2' : 's1'}>
            <path class="curve" d={path(line)} />
            {line.points.map(({ at, step, value }) => {
              const place = href(line.stage, step, line.heldOut);
              const label = `${line.label}${line.heldOut ? ', held-out questions after' : ','} step ${step}: ${Number(value.toPrecision(4))}`;
              const dot = (
                <circle cx={x(at)} cy={y(value)} r={line.heldOut ? 3.4 : points.length > 60 ? 2.2 : 3}>
                  <title>{label}</title>
                </circle>
              );
              return place === undefined ? (
                <g key={at}>{dot}</g>
              ) : (
                <a key={at} href={place} aria-label={label}>
                  {dot}
                </a>
              );
            })}
          </g>
        ))}
      </svg>
    </figure>
  );
}

export function Bins({
  histogram,
  chosen,
  choose,
}: {
  histogram: Histogram;
  chosen: boolean;
  choose: (range: string | null) => void;
}) {
  const { figure, bins } = histogram;
  if (bins.length < 2 && !chosen) return null;
  const most = Math.max(...bins.map(({ count }) => count));
  const label = ({ from, to }: (typeof bins)[number]) =>
    from === to ? short(from, 2) : `${short(from, 2)} to ${short(to, 2)}`;
  return (
    <div class="bins">
      <div class="bins-head">
        <h3>{figure === 'tokens' ? 'policy tokens' : figure}</h3>
        {chosen && (
          <button type="button" class="plain" onClick={() => choose(null)}>
            all
          </button>
        )}
      </div>
      <div class="bars">
        {bins.map((bin) => (
          <button
            type="button"
            key={bin.from}
            title={`${label(bin)}: ${bin.count}`}
            aria-label={`${figure} ${label(bin)}: ${bin.count} rollouts`}
            onClick={() => choose(`${bin.from}..${bin.open ? '<' : ''}${bin.to}`)}
          >
            <i style={{ height: `${bin.count === 0 ? 0 : Math.max(4, (100 * bin.count) / most)}%` }} />
          </button>
        ))}
      </div>
      {/* Of a choice that leaves nothing there are no bins. */}
      <div class="ends soft">
        <span>{short(bins[0]?.from, 2)}</span>
        <span>{short(bins.at(-1)?.to, 2)}</span>
      </div>
    </div>
  );
}

export function Forest({ differences, reference }: { differences: Experiment['differences']; reference: string }) {
  const ends = differences.flatMap(({ low, high }) => [low, high, 0]);
  const [least, most] = [Math.min(...ends), Math.max(...ends)];
  // Arms that do not differ at all lie in the middle.
  const ticks = least === most ? [-1, 1] : niceTicks(least, most);
  const x = (value: number) => ((value - ticks[0]!) / (ticks.at(-1)! - ticks[0]!)) * 100;
  return (
    <ul class="forest">
      {differences.map(({ arm, means, estimate, low, high }) => (
        <li key={arm}>
          <span class="arm">
            {arm} − {reference}
            <small class="soft">{means}</small>
          </span>
          <svg
            viewBox="0 0 100 12"
            preserveAspectRatio="none"
            role="img"
            aria-label={`${arm} minus ${reference}: ${short(estimate)}, from ${short(low)} to ${short(high)}`}
          >
            <line class="zero" x1={x(0)} x2={x(0)} y1="0" y2="12" />
            <line class="range" x1={x(low)} x2={x(high)} y1="6" y2="6" />
            <line class="mid" x1={x(estimate)} x2={x(estimate)} y1="2" y2="10" />
          </svg>
          <span class="figures">
            {short(estimate)}{' '}
            <span class="soft">
              [{short(low)}, {short(high)}]
            </span>
          </span>
        </li>
      ))}
    </ul>
  );
}
