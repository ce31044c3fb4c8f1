/** Trials per day as bars. */

import { html, svg } from '../common/dom';
import { compact, count, plural } from '../common/format';
import { grid, timeAxis } from '../common/chart';
import { numberScale } from '../common/scale';
import type { IDay } from './api';

const LEFT = 58;
const TOP = 8;
const BOTTOM = 108;
const HEIGHT = 130;
const DAY = 86_400_000;
/** So much time is shown at least, none of it after the last day. */
const WEEK = 6 * DAY;
/** A bar is at least so wide, however many days there are. */
const BAR = [2, 18] as const;

/** The picture, `width` pixels wide. */
export function drawDays(days: readonly IDay[], width: number): HTMLElement {
  const moments = days.map(day => Date.parse(day.day));
  const [first, last] = [moments[0] ?? 0, moments[moments.length - 1] ?? 0];
  const span: [number, number] = [Math.min(first, last - WEEK) - DAY / 2, last + DAY / 2];
  const sides = { left: LEFT, right: width - 24 };
  const x = numberScale(span, [sides.left, sides.right]);
  const most = Math.max(...days.map(day => day.trials));
  const y = numberScale([0, most], [BOTTOM, TOP]);
  const bar = Math.min(BAR[1], Math.max(BAR[0], 0.8 * (x.at(first + DAY) - x.at(first))));
  const bars = days.map((day, i) => {
    const at = y.at(day.trials);
    const place = { x: x.at(moments[i] ?? 0) - bar / 2, y: at, width: bar, height: BOTTOM - at };
    return svg('rect', { class: 'kk-Day', ...place }, svg('title', {}, `${day.day}: ${plural(day.trials, 'trial')}`));
  });
  const all = days.reduce((sum, day) => sum + day.trials, 0);
  const peak = days.length === 1 ? '' : `, at most ${count(most)} a day`;
  const label = `${plural(all, 'trial')} on ${plural(days.length, 'day')}${peak}`;
  const picture = svg(
    'svg',
    { class: 'kk-Picture', width, height: HEIGHT, role: 'img', 'aria-label': label },
    timeAxis(x, span, sides, { top: TOP, bottom: BOTTOM, foot: HEIGHT - 6 }),
    grid({ ...y, ticks: y.ticks.filter(Number.isInteger) }, sides, compact),
    ...bars
  );
  return html('figure', { class: 'kk-Figure' }, html('figcaption', {}, label), picture);
}
