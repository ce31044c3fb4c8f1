/** The picture of a result: equity of the best trial and the benchmark, drawdown below. */

import { extent, grid, linePath, nearest, timeAxis } from '../common/chart';
import { html, svg } from '../common/dom';
import { compact, metricText, parseTime } from '../common/format';
import type { ICurve } from './result';
import { numberScale } from '../common/scale';

const LEFT = 58;
const RIGHT = 14;
const EQUITY = [10, 210] as const;
const DRAWDOWN = [234, 304] as const;
const HEIGHT = 328;

/** A growth beyond this factor is drawn on a logarithmic axis, on which equal slopes are equal returns. */
const LOG_FROM = 3;

function swatch(kind: string, text: string): HTMLSpanElement {
  return html('span', { class: `kk-Legend-item kk-mod-${kind}` }, html('i'), text);
}

/** Follows the pointer: a line in the picture, and the values under it in words. */
function follow(
  picture: SVGSVGElement,
  readout: HTMLElement,
  curve: ICurve,
  x: (index: number) => number,
  under: (pixel: number) => number
): void {
  const cursor = svg('line', { class: 'kk-Cursor', y1: EQUITY[0], y2: DRAWDOWN[1], visibility: 'hidden' });
  picture.append(cursor);
  picture.addEventListener('pointermove', event => {
    const i = under(event.clientX - picture.getBoundingClientRect().left);
    cursor.setAttribute('x1', String(x(i)));
    cursor.setAttribute('x2', String(x(i)));
    cursor.setAttribute('visibility', 'visible');
    const [equity, benchmark] = [curve.equity[i] ?? null, curve.benchmark[i] ?? null];
    readout.textContent = [
      (curve.time[i] ?? '').slice(0, 16).replace('T', ' ').replace(' 00:00', ''),
      `strategy ${metricText('final_equity', equity)}`,
      `benchmark ${metricText('final_equity', benchmark)}`,
      `drawdown ${metricText('max_drawdown', curve.drawdown[i])}`
    ].join('   ');
  });
  picture.addEventListener('pointerleave', () => {
    cursor.setAttribute('visibility', 'hidden');
    readout.textContent = '';
  });
}

/** Equity above drawdown, `width` pixels wide, with a legend and a readout under the pointer. */
export function drawCurves(curve: ICurve, best: string, benchmark: string, width: number): HTMLElement {
  const times = curve.time.map(parseTime);
  const sides = { left: LEFT, right: width - RIGHT };
  const span: [number, number] = [times[0] ?? 0, times[times.length - 1] ?? 0];
  const time = numberScale(span, [sides.left, sides.right]);
  const x = (i: number): number => time.at(times[i] ?? 0);
  const range = extent(curve.equity, curve.benchmark);
  const log = range[0] > 0 && range[1] / range[0] > LOG_FROM;
  const money = numberScale(range, [EQUITY[1], EQUITY[0]], log);
  const depth = numberScale([Math.min(extent(curve.drawdown)[0], -0.01), 0], [DRAWDOWN[1], DRAWDOWN[0]]);
  const under = linePath(curve.drawdown, x, depth);
  const zero = depth.at(0).toFixed(1);
  const closed = `M${x(0).toFixed(1)},${zero}${under.replaceAll('M', 'L')}L${x(times.length - 1).toFixed(1)},${zero}Z`;
  const picture = svg(
    'svg',
    {
      class: 'kk-Picture',
      width,
      height: HEIGHT,
      role: 'img',
      'aria-label': `Equity and drawdown of ${best} beside ${benchmark}`
    },
    timeAxis(time, span, sides, { top: EQUITY[0], bottom: DRAWDOWN[1], foot: HEIGHT - 6 }),
    grid(money, sides, compact),
    grid(depth, sides, tick => `${compact(Math.round(1000 * tick) / 10)} %`),
    svg('path', { class: 'kk-Line kk-mod-benchmark', d: linePath(curve.benchmark, x, money) }),
    svg('path', { class: 'kk-Line kk-mod-best', d: linePath(curve.equity, x, money) }),
    svg('path', { class: 'kk-Area kk-mod-drawdown', d: closed }),
    svg('path', { class: 'kk-Line kk-mod-drawdown', d: under })
  );
  const readout = html('span', { class: 'kk-Readout' });
  const at = times.map((_, i) => x(i));
  follow(picture, readout, curve, x, pixel => nearest(at, pixel));
  const legend = html(
    'div',
    { class: 'kk-Legend' },
    swatch('best', best),
    swatch('benchmark', benchmark),
    swatch('drawdown', 'drawdown'),
    log ? html('span', { class: 'kk-Legend-item' }, 'log scale') : null,
    readout
  );
  return html('figure', { class: 'kk-Figure' }, legend, picture);
}
