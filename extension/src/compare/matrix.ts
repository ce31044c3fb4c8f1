/** The matrix of runs and metrics: a row a run, sorted by any column. */

import { html } from '../common/dom';
import { inOrder, metricLabel, metricText, spelt } from '../common/format';
import type { IComparison, Maybe } from './api';
import { badge, letter } from './mark';

type Value = Maybe | string;

interface IColumn {
  key: string;
  label: string;
  kind: 'run' | 'text' | 'number';
  value: (row: number) => Value;
  text: (row: number) => string;
}

/** Which column the rows are sorted by. */
export interface IOrder {
  key: string;
  down: boolean;
}

function parameterColumn(found: IComparison, name: string): IColumn {
  const value = (row: number): unknown => found.runs[row]?.parameters[name];
  const numbers = found.runs.every((_, row) => value(row) === undefined || typeof value(row) === 'number');
  return {
    key: `parameter ${name}`,
    label: name,
    kind: numbers ? 'number' : 'text',
    value: row => (numbers ? ((value(row) as number | undefined) ?? null) : spelt(value(row))),
    text: row => spelt(value(row))
  };
}

function columns(found: IComparison): IColumn[] {
  const { runs } = found;
  const parameters = [...new Set(runs.flatMap(run => Object.keys(run.parameters)))];
  const metrics = inOrder([...new Set(runs.flatMap(run => Object.keys(run.metrics)))]);
  const statuses = new Set(runs.map(run => run.status));
  const plain = (key: string, label: string, kind: 'run' | 'text', of: (row: number) => string): IColumn => ({
    ...{ key, label, kind, value: of, text: of }
  });
  return [
    plain('run', 'Run', 'run', row => runs[row]?.id ?? ''),
    ...(statuses.size > 1 ? [plain('status', 'Status', 'text', row => runs[row]?.status ?? '')] : []),
    ...parameters.map(name => parameterColumn(found, name)),
    ...metrics.map((name): IColumn => ({
      key: `metric ${name}`,
      label: metricLabel(name),
      kind: 'number',
      value: row => runs[row]?.metrics[name] ?? null,
      text: row => metricText(name, runs[row]?.metrics[name])
    }))
  ];
}

/** What is not known comes last, whichever way the rows are sorted. */
function sorted(rows: number[], column: IColumn, down: boolean): number[] {
  const sign = down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    if (x === null || y === null) {
      return Number(x === null) - Number(y === null);
    }
    return sign * (typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y), 'en'));
  });
}

function header(column: IColumn, order: IOrder | null, sort: (key: string) => void): HTMLElement {
  const own = order?.key === column.key ? order : null;
  const arrow = own === null ? '' : own.down ? ' ↓' : ' ↑';
  const button = html(
    'button',
    { type: 'button', class: 'kk-Matrix-sort', title: `Sort by ${column.label}`, 'data-focus': column.key },
    column.label + arrow
  );
  button.addEventListener('click', () => sort(column.key));
  const state = own === null ? 'none' : own.down ? 'descending' : 'ascending';
  return html('th', { scope: 'col', class: `kk-mod-${column.kind}`, 'aria-sort': state }, button);
}

function cell(column: IColumn, row: number, best: boolean): HTMLElement {
  if (column.kind === 'run') {
    const id = html('span', { class: 'kk-Matrix-id' }, column.text(row));
    return html('th', { scope: 'row', class: 'kk-mod-run' }, badge(row), id);
  }
  const text = column.text(row);
  const shown = best ? html('b', {}, text) : text;
  const cell = html('td', { class: `kk-mod-${column.kind}`, title: column.kind === 'text' ? text : '' }, shown);
  if (best) {
    cell.classList.add('kk-mod-best');
    cell.title = 'best of these runs';
  }
  return cell;
}

/** The table; `lit` are the rows that a brush has left, null for all. */
export function drawMatrix(
  found: IComparison,
  order: IOrder | null,
  lit: ReadonlySet<number> | null,
  sort: (key: string) => void
): HTMLElement {
  const all = columns(found);
  const by = all.find(column => column.key === order?.key);
  const places = found.runs.map((_, row) => row);
  const rows = by === undefined ? places : sorted(places, by, order?.down ?? false);
  const body = rows.map(row => {
    const cells = all.map(column => {
      const best = found.best[column.key.replace(/^metric /, '')] ?? [];
      return cell(column, row, column.key.startsWith('metric ') && best.includes(row));
    });
    const dim = lit !== null && !lit.has(row) ? 'kk-mod-dim' : '';
    return html('tr', { class: dim, 'data-letter': letter(row) }, ...cells);
  });
  const head = html('tr', {}, ...all.map(column => header(column, order, sort)));
  const caption = html('caption', {}, 'Runs and their metrics; the best of each are bold');
  const table = html(
    'table',
    { class: 'kk-Table kk-Matrix' },
    caption,
    html('thead', {}, head),
    html('tbody', {}, ...body)
  );
  return html('div', { class: 'kk-Scroll' }, table);
}

/** What else is not the same in all runs: code, data, versions. */
export function drawCircumstances(found: IComparison): HTMLElement | null {
  const names = [...new Set(found.runs.flatMap(run => Object.keys(run.circumstances)))];
  if (names.length === 0) {
    return null;
  }
  const head = html(
    'tr',
    {},
    html('th', { scope: 'col' }, 'Not the same'),
    ...found.runs.map((_, k) => html('th', { scope: 'col' }, badge(k)))
  );
  const rows = names.map(name =>
    html(
      'tr',
      {},
      html('th', { scope: 'row' }, name),
      ...found.runs.map(run =>
        html('td', { class: 'kk-mod-text', title: spelt(run.circumstances[name]) }, spelt(run.circumstances[name]))
      )
    )
  );
  const table = html(
    'table',
    { class: 'kk-Table kk-Circumstances' },
    html('thead', {}, head),
    html('tbody', {}, ...rows)
  );
  return html('div', { class: 'kk-Scroll' }, table);
}
