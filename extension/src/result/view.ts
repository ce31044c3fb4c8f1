/** The view of one result: what was tested, headline numbers, pictures, all metrics. */

import { drawCurves } from './curves';
import { html } from '../common/dom';
import { count, inOrder, metricLabel, metricText, paramsText, plural } from '../common/format';
import { drawHeatmap } from './heatmap';
import type { IResult } from './result';

const HEADLINE = ['sharpe_ratio', 'cagr', 'max_drawdown', 'volatility', 'n_trades'];

/** From this width on the heat map and the table stand side by side. */
const TWO_COLUMNS = 760;

function tile(name: string, result: IResult): HTMLElement {
  const other = result.benchmark.metrics[name];
  return html(
    'div',
    { class: 'kk-Tile' },
    html('span', { class: 'kk-Tile-label' }, metricLabel(name)),
    html('span', { class: 'kk-Tile-value' }, metricText(name, result.best.metrics[name])),
    typeof other === 'number'
      ? html('span', { class: 'kk-Tile-other' }, `${result.benchmark.name} ${metricText(name, other)}`)
      : null
  );
}

/** What has to be known before any number is read: costs that are none, data that is no market, a run that was stopped. */
function chips(result: IResult): HTMLElement[] {
  const interrupted = (result.notes ?? [])
    .filter(note => note.startsWith('Interrupted'))
    .map(note => note.split(';')[0]);
  const warnings = [...result.data.note.split('; '), ...interrupted].filter(text => text !== undefined && text !== '');
  const free = result.costs === 'none';
  return [
    html('span', { class: free ? 'kk-Chip kk-mod-warn' : 'kk-Chip' }, free ? 'COSTS: NONE' : `costs: ${result.costs}`),
    ...warnings.map(text => html('span', { class: 'kk-Chip kk-mod-warn' }, text ?? ''))
  ];
}

function heading(result: IResult): HTMLElement {
  const size = Object.entries(result.dims).map(([dim, labels]) => `${count(labels.length)} ${dim}`);
  const trials = plural(result.n_trials, 'trial');
  const about = [
    result.strategy === result.name ? '' : result.strategy,
    result.data.name,
    size.length > 0 ? `${trials} (${size.join(' × ')})` : trials
  ];
  return html(
    'header',
    {},
    html('h3', {}, result.name),
    html('p', {}, about.filter(text => text !== '').join(' · ')),
    html('p', { class: 'kk-Chips' }, ...chips(result))
  );
}

function table(result: IResult, best: string): HTMLElement {
  const { metrics } = result.best;
  const other = result.benchmark.metrics;
  const head = ['', best, result.benchmark.name].map(text => html('th', { scope: 'col' }, text));
  const rows = inOrder(Object.keys({ ...metrics, ...other })).map(name =>
    html(
      'tr',
      {},
      html('th', { scope: 'row' }, metricLabel(name)),
      html('td', {}, metricText(name, metrics[name])),
      html('td', {}, metricText(name, other[name]))
    )
  );
  return html(
    'figure',
    { class: 'kk-Figure' },
    html('table', { class: 'kk-Table' }, html('thead', {}, html('tr', {}, ...head)), html('tbody', {}, ...rows))
  );
}

/** Which trial the numbers below are of, and that it was picked after the fact. */
function chosen(result: IResult, params: string): HTMLElement | null {
  if (result.n_trials < 2) {
    return params === '' ? null : html('p', { class: 'kk-Chosen' }, html('b', {}, params));
  }
  const trials = plural(result.n_trials, 'trial');
  const why =
    typeof result.best.metrics['sharpe_ratio'] === 'number'
      ? ` has the highest Sharpe ratio of ${trials}. It was selected in-sample, on the very data it is shown on: part of what it shows is luck.`
      : ` is the first of ${trials}; none has a Sharpe ratio.`;
  return html('p', { class: 'kk-Chosen' }, html('b', {}, params), why);
}

/** The whole view, `width` pixels wide. */
export function drawResult(result: IResult, width: number): HTMLElement[] {
  const params = paramsText(result.best.params);
  const best = params === '' ? result.strategy : params;
  const tiles = HEADLINE.filter(name => name in result.best.metrics).map(name => tile(name, result));
  const half = width >= TWO_COLUMNS ? (width - 24) / 2 : width;
  const { curve, heatmap } = result;
  const choice = chosen(result, params);
  return [
    heading(result),
    ...(choice === null ? [] : [choice]),
    html('div', { class: 'kk-Tiles' }, ...tiles),
    ...(curve.time.length > 1 ? [drawCurves(curve, best, result.benchmark.name, width)] : []),
    html(
      'div',
      { class: 'kk-Columns' },
      heatmap === null ? null : drawHeatmap(heatmap, result.dims, result.best.params, half),
      table(result, best)
    ),
    html('p', { class: 'kk-Foot' }, [...(result.notes ?? []), result.data.detail ?? ''].join(' '))
  ];
}
