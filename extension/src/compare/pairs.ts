/** Whether the differences between runs are more than luck: a row a pair. */

import { html } from '../common/dom';
import { metricLabel, metricText } from '../common/format';
import type { ITest, Maybe } from './api';
import { badge } from './mark';

/** A p-value that counts for all pairs, in words; there is none without a spread, as of a run that never traded. */
export function evidence(p: Maybe, difference: Maybe): string {
  if (p === null) {
    return difference === 0 ? 'they are the same' : 'cannot be told';
  }
  const words: [number, string][] = [
    [0.01, 'strong evidence of a difference'],
    [0.05, 'evidence of a difference'],
    [0.1, 'weak evidence of a difference']
  ];
  return words.find(([level]) => p < level)?.[1] ?? 'no evidence of a difference';
}

function probability(p: Maybe): string {
  return p === null ? '–' : p < 0.001 ? '< 0.001' : p.toFixed(3);
}

/** Returns are told in percent a year, ratios as they are. */
function amount(metric: string, value: Maybe | undefined): string {
  return metricText(metric === 'mean_return' ? 'cagr' : metric, value);
}

function row(test: ITest, i: number, j: number, places: readonly number[]): HTMLElement {
  const at = (name: 'difference' | 'low' | 'high' | 'p_value' | 'adjusted'): Maybe => test[name][i]?.[j] ?? null;
  const adjusted = at('adjusted');
  const clear = adjusted !== null && adjusted < 1 - test.level;
  return html(
    'tr',
    { class: clear ? 'kk-mod-clear' : '' },
    html('th', { scope: 'row' }, badge(places[i] ?? i), ' − ', badge(places[j] ?? j)),
    html('td', {}, amount(test.metric, at('difference'))),
    html('td', {}, `${amount(test.metric, at('low'))} to ${amount(test.metric, at('high'))}`),
    html('td', {}, probability(at('p_value'))),
    html('td', {}, probability(adjusted)),
    html('td', { class: 'kk-mod-text' }, evidence(adjusted, at('difference')))
  );
}

/** The test of every pair, those that are clearest first; `places` are those of the runs in the view. */
export function drawPairs(test: ITest, places: readonly number[]): HTMLElement {
  const pairs = places.flatMap((_, i) => places.slice(i + 1).map((_, k): [number, number] => [i, i + 1 + k]));
  const p = ([i, j]: [number, number]): number => test.p_value[i]?.[j] ?? 2;
  const rows = [...pairs].sort((a, b) => p(a) - p(b)).map(([i, j]) => row(test, i, j, places));
  const name = test.metric === 'mean_return' ? 'Mean return a year' : metricLabel(test.metric);
  const interval = `${Math.round(100 * test.level)} % interval`;
  const head = ['Pair', 'Difference', interval, 'p-value', 'of all pairs', ''].map(text =>
    html('th', { scope: 'col' }, text)
  );
  const caption = html('caption', {}, `${name}: which differences are more than luck`);
  const table = html(
    'table',
    { class: 'kk-Table kk-Pairs' },
    caption,
    html('thead', {}, html('tr', {}, ...head)),
    html('tbody', {}, ...rows)
  );
  return html(
    'div',
    {},
    html('div', { class: 'kk-Scroll kk-mod-tall' }, table),
    html('p', { class: 'kk-Foot' }, `${test.method}. A pair without evidence is not shown to be alike.`)
  );
}
