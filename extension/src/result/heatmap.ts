/** The heat map of a metric over two parameters. */

import { html, svg } from '../common/dom';
import { metricLabel, metricText } from '../common/format';
import type { IHeatmap, Label, Maybe } from './result';

const LEFT = 52;
const TOP = 8;
const BOTTOM = 40;
const ROW = [4, 30] as const;
const TEXT_FROM = { width: 36, height: 16 };
/** Cells smaller than this touch, larger ones have a gap. */
const GAP_FROM = 8;
/** More rows or columns than this are not told apart: every second, third ... is drawn. */
const MOST = 100;

/**
 * A theme colour: the brand's for gains, the error's for losses. With both in the picture, equal sizes are equally
 * strong; with one of them, the range of the values is spread out.
 */
function colour(value: number, lo: number, hi: number): string {
  const size = Math.max(Math.abs(lo), Math.abs(hi));
  const least = lo < 0 && hi > 0 ? 0 : Math.min(Math.abs(lo), Math.abs(hi));
  const share = (Math.abs(value) - least) / (size - least || 1);
  const name = value < 0 ? '--jp-error-color1' : '--jp-brand-color1';
  return `color-mix(in srgb, var(${name}) ${(8 + 82 * share).toFixed(0)}%, var(--jp-layout-color1))`;
}

/** The places of the labels that are drawn. */
function kept(labels: readonly Label[]): number[] {
  const every = Math.ceil(labels.length / MOST);
  return labels.map((_, i) => i).filter(i => i % every === 0);
}

interface IFrame {
  width: number;
  cell: number;
  row: number;
}

/** The labels of both axes, as many as do not touch, and the names. */
function axes(map: IHeatmap, columns: readonly Label[], rows: readonly Label[], frame: IFrame): SVGGElement {
  const bottom = TOP + frame.row * rows.length;
  const middle = (TOP + bottom) / 2;
  const group = svg('g', { class: 'kk-Axis' });
  columns.forEach((label, j) => {
    if (j % Math.ceil(34 / frame.cell) === 0) {
      const x = LEFT + frame.cell * (j + 0.5);
      group.append(svg('text', { x, y: bottom + 14, 'text-anchor': 'middle' }, String(label)));
    }
  });
  rows.forEach((label, i) => {
    if (i % Math.ceil(14 / frame.row) === 0) {
      const place = {
        x: LEFT - 6,
        y: TOP + frame.row * (i + 0.5),
        'text-anchor': 'end',
        'dominant-baseline': 'central'
      };
      group.append(svg('text', place, String(label)));
    }
  });
  const across = { x: (LEFT + frame.width) / 2, y: bottom + 32, 'text-anchor': 'middle', class: 'kk-Axis-name' };
  const along = { transform: `translate(10 ${middle}) rotate(-90)`, 'text-anchor': 'middle', class: 'kk-Axis-name' };
  group.append(svg('text', across, map.x), svg('text', along, map.y));
  return group;
}

/** One cell, with its value as tooltip and, where there is room, as text. */
function drawCell(
  value: Maybe,
  title: string,
  metric: string,
  range: readonly [number, number],
  frame: IFrame
): SVGGElement {
  const gap = Math.min(frame.cell, frame.row) < GAP_FROM ? 0 : 1;
  const box = { width: frame.cell - gap, height: frame.row - gap, rx: 2 * gap };
  if (value === null) {
    return svg('g', { class: 'kk-Cell kk-mod-empty' }, svg('rect', box), svg('title', {}, `${title}: not run`));
  }
  const text = metricText(metric, value);
  const place = { x: frame.cell / 2, y: frame.row / 2, 'text-anchor': 'middle', 'dominant-baseline': 'central' };
  const rect = svg('rect', box);
  rect.style.fill = colour(value, ...range);
  return svg(
    'g',
    { class: 'kk-Cell' },
    rect,
    frame.cell >= TEXT_FROM.width && frame.row >= TEXT_FROM.height ? svg('text', place, text) : null,
    svg('title', {}, `${title}: ${text}`)
  );
}

/** The metric over the two dims, the best cell outlined; `width` pixels wide, under `caption`. */
export function drawHeatmap(
  map: IHeatmap,
  dims: Record<string, Label[]>,
  best: Record<string, Label | null>,
  width: number,
  caption = `${metricLabel(map.metric)} of every trial`
): HTMLElement {
  const [allColumns, allRows] = [dims[map.x] ?? [], dims[map.y] ?? []];
  const [across, along] = [kept(allColumns), kept(allRows)];
  const [columns, rows] = [across.map(j => allColumns[j] ?? ''), along.map(i => allRows[i] ?? '')];
  const frame: IFrame = {
    width,
    cell: (width - LEFT - 4) / columns.length,
    row: Math.min(ROW[1], Math.max(ROW[0], 300 / rows.length))
  };
  const height = TOP + frame.row * rows.length + BOTTOM;
  const finite = map.values.flat().filter(v => v !== null);
  const range = [Math.min(...finite), Math.max(...finite)] as const;
  const name = metricLabel(map.metric);
  const picture = svg(
    'svg',
    { class: 'kk-Picture', width, height, role: 'img', 'aria-label': `${name} over ${map.x} and ${map.y}` },
    axes(map, columns, rows, frame)
  );
  const chosen: SVGGElement[] = [];
  rows.forEach((y, i) =>
    columns.forEach((x, j) => {
      const value = map.values[along[i] ?? 0]?.[across[j] ?? 0] ?? null;
      const cell = drawCell(value, `${map.x}=${x}, ${map.y}=${y}`, map.metric, range, frame);
      cell.setAttribute('transform', `translate(${LEFT + frame.cell * j} ${TOP + frame.row * i})`);
      if (best[map.x] === x && best[map.y] === y) {
        cell.classList.add('kk-mod-best');
        chosen.push(cell);
      }
      picture.append(cell);
    })
  );
  picture.append(...chosen); // on top of its neighbours
  const every = Math.ceil(Math.max(allColumns.length, allRows.length) / MOST);
  const thinned = every > 1 ? `, every ${every}th value shown` : '';
  return html('figure', { class: 'kk-Figure' }, html('figcaption', {}, `${caption}${thinned}`), picture);
}
