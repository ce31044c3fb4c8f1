/** The growth of all runs over their common sessions, drawdown below. */

import { extent, grid, linePath, nearest, timeAxis } from '../common/chart';
import { html, svg } from '../common/dom';
import { compact, metricText, parseTime } from '../common/format';
import { numberScale, type IScale } from '../common/scale';
import type { IGrowth } from './api';
import { badge, colour, dash } from './mark';

const LEFT = 58;
const RIGHT = 14;
const GROWTH = [10, 290] as const;
const DRAWDOWN = [312, 442] as const;
const HEIGHT = 468;

/** One run's curve: its place among the runs of the view, and its times in milliseconds. */
interface ILine {
  place: number;
  times: number[];
  curve: IGrowth;
}

function path(line: ILine, values: readonly (number | null)[], x: IScale, y: IScale, lit: boolean): SVGPathElement {
  const d = linePath(values, i => x.at(line.times[i] ?? 0), y);
  const drawn = svg('path', { class: lit ? 'kk-Line' : 'kk-Line kk-mod-dim', d, 'stroke-dasharray': dash(line.place) });
  drawn.style.stroke = colour(line.place);
  return drawn;
}

/** Follows the pointer, or the arrow keys: a line at the day, and the values of all runs there; at first of the last day. */
function follow(
  picture: SVGSVGElement,
  lines: readonly ILine[],
  x: IScale,
  day: HTMLElement,
  shown: readonly HTMLElement[]
): void {
  const days = [...new Set(lines.flatMap(line => line.times))].sort((a, b) => a - b);
  const cursor = svg('line', { class: 'kk-Cursor', y1: GROWTH[0], y2: DRAWDOWN[1], visibility: 'hidden' });
  picture.append(cursor);
  let at = days.length - 1;
  const tell = (moment: number): void => {
    lines.forEach((line, k) => {
      const i = nearest(line.times, moment);
      const under = metricText('max_drawdown', line.curve.drawdown[i]);
      shown[k]?.replaceChildren(`${compact(line.curve.growth[i] ?? NaN)} (${under})`);
    });
    day.textContent = new Date(moment).toISOString().slice(0, 10);
  };
  const show = (place: number): void => {
    at = Math.min(days.length - 1, Math.max(0, place));
    const moment = days[at] ?? 0;
    cursor.setAttribute('x1', String(x.at(moment)));
    cursor.setAttribute('x2', String(x.at(moment)));
    cursor.setAttribute('visibility', 'visible');
    tell(moment);
  };
  const hide = (): void => {
    cursor.setAttribute('visibility', 'hidden');
    tell(days[days.length - 1] ?? 0);
  };
  hide();
  const pixels = days.map(moment => x.at(moment));
  picture.addEventListener('pointermove', event => {
    show(nearest(pixels, event.clientX - picture.getBoundingClientRect().left));
  });
  picture.addEventListener('pointerleave', hide);
  picture.addEventListener('blur', hide);
  picture.addEventListener('keydown', event => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      show(at + step);
    }
  });
}

/** The picture, `width` pixels wide; `places` and `samples` are those of the runs that have a curve. */
export function drawGrowth(
  curves: readonly IGrowth[],
  places: readonly number[],
  samples: readonly string[],
  lit: ReadonlySet<number> | null,
  log: boolean,
  width: number
): HTMLElement {
  const lines = curves.map((curve, k): ILine => ({ place: places[k] ?? k, times: curve.time.map(parseTime), curve }));
  const sides = { left: LEFT, right: width - RIGHT };
  const span = extent(...lines.map(line => [line.times[0] ?? 0, line.times[line.times.length - 1] ?? 0]));
  const x = numberScale(span, [sides.left, sides.right]);
  const range = extent(...curves.map(curve => curve.growth));
  const scaled = log && range[0] > 0;
  const y = numberScale(range, [GROWTH[1], GROWTH[0]], scaled);
  const lowest = Math.min(extent(...curves.map(curve => curve.drawdown))[0], -0.01);
  const depth = numberScale([lowest, 0], [DRAWDOWN[1], DRAWDOWN[0]]);
  const isLit = (line: ILine): boolean => lit === null || lit.has(line.place);
  const label = `Growth of 1 and drawdown of ${lines.length} runs; arrow keys move along the days`;
  const picture = svg(
    'svg',
    { class: 'kk-Picture', width, height: HEIGHT, role: 'img', tabindex: 0, 'aria-label': label },
    timeAxis(x, span, sides, { top: GROWTH[0], bottom: DRAWDOWN[1], foot: HEIGHT - 6 }),
    grid(y, sides, compact),
    grid(depth, sides, tick => `${compact(Math.round(1000 * tick) / 10)} %`),
    ...lines.map(line => path(line, line.curve.growth, x, y, isLit(line))),
    ...lines.map(line => path(line, line.curve.drawdown, x, depth, isLit(line)))
  );
  const day = html('span', { class: 'kk-Readout' });
  const shown = lines.map(() => html('span', { class: 'kk-Legend-value' }));
  const legend = lines.map((line, k) =>
    html('span', { class: 'kk-Legend-item' }, badge(line.place), samples[k] ?? '', shown[k] ?? null)
  );
  follow(picture, lines, x, day, shown);
  const refused =
    log && !scaled ? html('span', { class: 'kk-Legend-item' }, 'an account fell to 0: no log scale') : null;
  return html('figure', { class: 'kk-Figure' }, html('div', { class: 'kk-Legend' }, ...legend, refused, day), picture);
}
