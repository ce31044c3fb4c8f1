/** Parallel coordinates: an axis for each parameter that differs and for one metric, a line for each run. */

import { html, svg } from '../common/dom';
import { compact, metricLabel, metricText, plural, shortened, spelt } from '../common/format';
import { numberScale, type IScale } from '../common/scale';
import type { IComparison } from './api';
import { drawBrush, type Brush, type IStop } from './brush';
import { dash, letter } from './mark';

const TOP = 34;
const BOTTOM = 250;
const HEIGHT = 268;
const SIDE = 76;
const TEXT = 22;
const LETTER = 12;

/** An axis: where each run lies on it, null where it has no such value. */
interface IAxis {
  key: string;
  label: string;
  scale: IScale;
  values: (number | null)[];
  ticks: readonly number[];
  text: (value: number) => string;
}

/** The brushes by axis. */
export type Brushes = Map<string, Brush>;

function axisOf(key: string, label: string, given: readonly unknown[], text: (value: number) => string): IAxis {
  const pixels = [BOTTOM, TOP] as const;
  const known = given.filter(value => value !== undefined && value !== null);
  if (known.every(value => typeof value === 'number')) {
    const [lo, hi] = [Math.min(...known), Math.max(...known)];
    const scale = numberScale([lo, hi], pixels);
    const values = given.map(value => (typeof value === 'number' ? value : null));
    return { key, label, scale, values, ticks: scale.ticks, text };
  }
  const texts = [...new Set(known.map(spelt))];
  const scale = numberScale([-0.5, texts.length - 0.5], pixels);
  const values = given.map(value => {
    const at = texts.indexOf(spelt(value));
    return at < 0 ? null : at;
  });
  return { key, label, scale, values, ticks: [...texts.keys()], text: at => texts[at] ?? '' };
}

function axes(found: IComparison, metric: string): IAxis[] {
  const names = [...new Set(found.runs.flatMap(run => Object.keys(run.parameters)))];
  return [
    ...names.map(name =>
      axisOf(
        name,
        name,
        found.runs.map(run => run.parameters[name]),
        compact
      )
    ),
    axisOf(
      `metric ${metric}`,
      metricLabel(metric),
      found.runs.map(run => run.metrics[metric]),
      value => metricText(metric, value)
    )
  ];
}

/** The runs that lie within all brushes; null without brushes. */
export function within(found: IComparison, metric: string, brushes: Brushes): ReadonlySet<number> | null {
  if (brushes.size === 0) {
    return null;
  }
  const all = axes(found, metric);
  const kept = found.runs
    .map((_, row) => row)
    .filter(row =>
      all.every(axis => {
        const [brush, value] = [brushes.get(axis.key), axis.values[row] ?? null];
        const at = value === null ? NaN : axis.scale.at(value);
        return brush === undefined || (at >= brush[0] && at <= brush[1]);
      })
    );
  return new Set(kept);
}

/** Where the ends of a brush stop: at the values that there are. */
function stopsOf({ values, scale, text }: IAxis): IStop[] {
  const known = [...new Set(values.filter(value => value !== null))].sort((a, b) => a - b);
  return known.map(value => ({ at: scale.at(value), text: text(value) }));
}

function drawAxis(axis: IAxis, x: number, brush: SVGElement[]): SVGGElement {
  const marks = axis.ticks.flatMap(value => {
    const [y, text] = [axis.scale.at(value), axis.text(value)];
    return [
      svg('line', { x1: x - 4, x2: x, y1: y, y2: y }),
      svg(
        'text',
        { x: x - 8, y, 'text-anchor': 'end', 'dominant-baseline': 'central' },
        shortened(text, TEXT),
        svg('title', {}, text)
      )
    ];
  });
  return svg(
    'g',
    { class: 'kk-Axis' },
    svg('line', { class: 'kk-Axis-line', x1: x, x2: x, y1: TOP, y2: BOTTOM }),
    ...marks,
    svg('text', { class: 'kk-Axis-name', x, y: TOP - 16, 'text-anchor': 'middle' }, axis.label),
    ...brush
  );
}

/** From one theme colour to another as the metric rises; grey where there is none. */
function shade(axis: IAxis | undefined, row: number): string {
  const value = axis?.values[row] ?? null;
  if (axis === undefined || value === null) {
    return 'var(--jp-ui-font-color3)';
  }
  const share = (axis.scale.at(value) - BOTTOM) / (TOP - BOTTOM);
  return `color-mix(in oklab, var(--jp-brand-color1) ${(100 * share).toFixed(0)}%, var(--jp-warn-color1))`;
}

function drawLine(all: readonly IAxis[], row: number, x: (axis: number) => number, lit: boolean): SVGGElement {
  let pen = 'M';
  let d = '';
  all.forEach((axis, k) => {
    const value = axis.values[row] ?? null;
    d += value === null ? '' : `${pen}${x(k).toFixed(1)},${axis.scale.at(value).toFixed(1)}`;
    pen = value === null ? 'M' : 'L';
  });
  const said = all.map(axis => {
    const value = axis.values[row] ?? null;
    return value === null ? '' : `${axis.label} ${axis.text(value)}`;
  });
  const title = svg('title', {}, `${letter(row)}: ${said.filter(text => text !== '').join(', ')}`);
  const path = svg('path', { class: 'kk-Line', d, 'stroke-dasharray': dash(row) });
  path.style.stroke = shade(all[all.length - 1], row);
  return svg('g', { class: lit ? '' : 'kk-mod-dim' }, title, path);
}

/** The letters at the ends of the lines, moved apart where they would touch. */
function drawLetters(metric: IAxis | undefined, x: number): SVGTextElement[] {
  const ends = (metric?.values ?? []).flatMap((value, row) =>
    value === null || metric === undefined ? [] : [{ row, y: metric.scale.at(value) }]
  );
  ends.sort((a, b) => a.y - b.y);
  let below = -Infinity;
  return ends.map(({ row, y }) => {
    below = Math.max(y, below + LETTER);
    return svg('text', { class: 'kk-Parallel-name', x: x + 10, y: below, 'dominant-baseline': 'central' }, letter(row));
  });
}

/** The picture, `width` pixels wide; `set` takes a new brush of an axis, null for none. */
export function drawParallel(
  found: IComparison,
  metric: string,
  brushes: Brushes,
  width: number,
  set: (key: string, brush: Brush | null) => void
): HTMLElement {
  const all = axes(found, metric);
  const lit = within(found, metric, brushes);
  const left = SIDE + 60;
  const x = (k: number): number => left + (k * (width - left - SIDE)) / Math.max(1, all.length - 1);
  const lines = found.runs.map((_, row) => drawLine(all, row, x, lit === null || lit.has(row)));
  const n = plural(found.runs.length, 'run');
  const kept = lit === null ? `all of ${n} kept` : `${lit.size} of ${n} kept`;
  const brushOf = (axis: IAxis, k: number): SVGElement[] =>
    drawBrush(
      { ...axis, x: x(k), range: [TOP, BOTTOM], stops: stopsOf(axis), brush: brushes.get(axis.key) },
      kept,
      brush => set(axis.key, brush)
    );
  const label = `Parameters of ${found.runs.length} runs and their ${metricLabel(metric)}`;
  const picture = svg(
    'svg',
    { class: 'kk-Picture kk-Parallel', width, height: HEIGHT, role: 'group', 'aria-label': label },
    ...lines,
    ...all.map((axis, k) => drawAxis(axis, x(k), brushOf(axis, k))),
    ...drawLetters(all[all.length - 1], x(all.length - 1))
  );
  return html('figure', { class: 'kk-Figure' }, picture);
}
