/** Parts of pictures over time: paths, grids, axes. */

import { svg } from './dom';
import { timeTicks, type IScale } from './scale';

type Maybe = number | null;

/** The sides of the drawing area in pixels: all that is right of `left` and left of `right` is data. */
export interface ISides {
  left: number;
  right: number;
}

/** The smallest and the largest value that is known. */
export function extent(...series: readonly (readonly Maybe[])[]): [number, number] {
  let [lo, hi] = [Infinity, -Infinity];
  for (const value of series.flat()) {
    if (value !== null) {
      lo = Math.min(lo, value);
      hi = Math.max(hi, value);
    }
  }
  return [lo, hi];
}

/** The path of a series, interrupted where a value is missing. */
export function linePath(values: readonly Maybe[], x: (index: number) => number, y: IScale): string {
  let pen = 'M';
  let path = '';
  values.forEach((value, i) => {
    if (value === null) {
      pen = 'M';
      return;
    }
    path += `${pen}${x(i).toFixed(1)},${y.at(value).toFixed(1)}`;
    pen = 'L';
  });
  return path;
}

/** Horizontal lines at the ticks of `y`, with their texts left of them. */
export function grid(y: IScale, sides: ISides, text: (tick: number) => string): SVGGElement {
  const group = svg('g', { class: 'kk-Axis' });
  for (const tick of y.ticks) {
    const at = y.at(tick).toFixed(1);
    group.append(
      svg('line', { x1: sides.left, x2: sides.right, y1: at, y2: at }),
      svg('text', { x: sides.left - 8, y: at, 'text-anchor': 'end', 'dominant-baseline': 'central' }, text(tick))
    );
  }
  return group;
}

/** Vertical lines at round moments of `range` (milliseconds) from `top` to `bottom`, with their texts at `foot`. */
export function timeAxis(
  x: IScale,
  range: readonly [number, number],
  sides: ISides,
  place: { top: number; bottom: number; foot: number }
): SVGGElement {
  const group = svg('g', { class: 'kk-Axis' });
  for (const tick of timeTicks(range[0], range[1], Math.floor((sides.right - sides.left) / 80))) {
    const at = x.at(tick.at).toFixed(1);
    group.append(
      svg('line', { x1: at, x2: at, y1: place.top, y2: place.bottom }),
      svg('text', { x: at, y: place.foot, 'text-anchor': 'middle' }, tick.text)
    );
  }
  return group;
}

/** The place in a rising list that is nearest to `value`. */
export function nearest(values: readonly number[], value: number): number {
  let [lo, hi] = [0, values.length - 1];
  while (lo < hi) {
    const middle = (lo + hi) >> 1;
    if ((values[middle] ?? 0) < value) {
      lo = middle + 1;
    } else {
      hi = middle;
    }
  }
  const before = values[lo - 1];
  return before !== undefined && value - before < (values[lo] ?? value) - value ? lo - 1 : lo;
}
