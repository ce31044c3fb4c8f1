/** The comparison of runs in the main area. */

import type { ServerConnection } from '@jupyterlab/services';
import { Widget } from '@lumino/widgets';

import { html } from '../common/dom';
import { count, inOrder, metricLabel } from '../common/format';
import { drawHeatmap } from '../result/heatmap';
import { fetchRuns } from '../runs/api';
import { fetchComparison, placesOf, type IComparison } from './api';
import { drawGrowth } from './growth';
import { badge, letter } from './mark';
import { drawCircumstances, drawMatrix, type IOrder } from './matrix';
import { drawPairs } from './pairs';
import { drawParallel, within, type Brushes } from './parallel';
import { drawPicker } from './picker';
import { samplesOf, unfair } from './sample';

const MIN_WIDTH = 520;
const MAX_WIDTH = 1400;
/** From this width on the tests and the correlations stand side by side. */
const TWO_COLUMNS = 1000;

/** What runs are usually judged by. */
const USUAL = ['oos_sharpe_ratio', 'sharpe_ratio'];

/** Shows the runs with these ids side by side, and lets others be chosen. */
export class CompareView extends Widget {
  constructor(settings: ServerConnection.ISettings, ids: readonly string[]) {
    super();
    this.addClass('kk-View');
    this.addClass('kk-Compare');
    this._settings = settings;
    this._ids = ids;
    this._observer.observe(this.node);
    void this.refresh();
  }

  /** The runs that are shown. */
  get ids(): readonly string[] {
    return this._ids;
  }

  /** Called when other runs were chosen. */
  onChosen: () => void = () => {};

  override dispose(): void {
    this._observer.disconnect();
    super.dispose();
  }

  /** Show other runs. */
  async choose(ids: readonly string[]): Promise<void> {
    this._ids = ids;
    this._brushes = new Map();
    this._order = null;
    this.onChosen();
    await this.refresh();
  }

  /** Ask the server anew; what comes too late, after others were chosen, is not shown. */
  async refresh(): Promise<void> {
    const ids = this._ids;
    this._found = null;
    this._problem = null;
    if (ids.length < 2) {
      await this._pick();
      return;
    }
    this._draw();
    try {
      const found = await fetchComparison(this._settings, ids);
      if (ids !== this._ids) {
        return;
      }
      this._found = found;
    } catch (error) {
      if (ids !== this._ids) {
        return;
      }
      this._problem = `These runs cannot be compared: ${(error as Error).message}`;
    }
    this._draw();
  }

  private async _pick(): Promise<void> {
    try {
      const { runs } = await fetchRuns(this._settings);
      const picker = drawPicker(
        runs,
        this._ids,
        ids => void this.choose(ids),
        () => this._draw()
      );
      this.node.replaceChildren(picker);
      picker.querySelector('input')?.focus();
    } catch (error) {
      this._problem = `The runs cannot be read: ${(error as Error).message}`;
      this._draw();
    }
  }

  private _draw(): void {
    if (this.isDisposed) {
      return;
    }
    const top = this.node.scrollTop;
    if (this._found === null) {
      const text = this._problem ?? `Comparing ${this._ids.length} runs …`;
      const message = html(
        'p',
        { class: this._problem === null ? 'kk-Message' : 'kk-Message kk-mod-error', role: 'status' },
        text
      );
      this.node.replaceChildren(this._heading(''), message);
      return;
    }
    this._width = this._room();
    const held = this.node.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset : {};
    this.node.replaceChildren(...this._sections(this._found, this._width));
    this.node.scrollTop = top;
    if (held['focus'] !== undefined) {
      this.node
        .querySelector<HTMLElement>(`[data-focus="${CSS.escape(held['focus'])}"]`)
        ?.focus({ preventScroll: true });
    }
  }

  private _room(): number {
    return Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, Math.floor(this.node.clientWidth) - 40));
  }

  private _heading(about: string): HTMLElement {
    const choose = html('button', { type: 'button', class: 'kk-Run-action' }, 'Choose runs');
    choose.addEventListener('click', () => void this._pick());
    return html(
      'header',
      { class: 'kk-View-head' },
      html('div', {}, html('h2', {}, 'Comparison of runs'), html('p', {}, about)),
      choose
    );
  }

  private _sections(found: IComparison, width: number): (HTMLElement | string)[] {
    const { common } = found;
    const about =
      common === null
        ? `${found.runs.length} runs. ${found.why ?? ''}`
        : `${common.ids.length} of ${found.runs.length} runs have a curve of equity; below they are compared over ` +
          `${count(common.sessions)} common sessions, ${common.start} to ${common.end}.`;
    const metrics = inOrder([...new Set(found.runs.flatMap(run => Object.keys(run.metrics)))]);
    const metric = [this._metric, ...USUAL, ...metrics].find(name => metrics.includes(name)) ?? '';
    const lit = within(found, metric, this._brushes);
    const sort = (key: string): void => {
      this._order = { key, down: this._order?.key === key ? !this._order.down : !key.startsWith('run') };
      this._draw();
    };
    const circumstances = drawCircumstances(found);
    return [
      this._heading(about),
      section('Metrics', [drawMatrix(found, this._order, lit, sort), ...reasons(found)]),
      ...(circumstances === null ? [] : [section('What else differs', [circumstances])]),
      ...this._curves(found, lit, width),
      ...this._tests(found, width),
      ...this._parameters(found, metrics, metric, width)
    ];
  }

  private _curves(found: IComparison, lit: ReadonlySet<number> | null, width: number): HTMLElement[] {
    const { common } = found;
    if (common === null) {
      return [];
    }
    const log = html('input', { type: 'checkbox', 'data-focus': 'log' });
    log.checked = this._log;
    log.addEventListener('change', () => {
      this._log = log.checked;
      this._draw();
    });
    const label = html('label', { class: 'kk-Choice' }, log, 'log scale');
    const picture = drawGrowth(common.curves, placesOf(found), samplesOf(found), lit, this._log, width);
    return [section('Growth of 1, drawdown below', [picture], label)];
  }

  private _tests(found: IComparison, width: number): HTMLElement[] {
    const { common } = found;
    const test = common?.tests.find(one => one.metric === this._test) ?? common?.tests[0];
    if (common === null || test === undefined) {
      return [];
    }
    const places = placesOf(found);
    const names = common.tests.map((one): [string, string] => [one.metric, metricLabel(one.metric)]);
    const choice = select('Difference of', names, test.metric, value => {
      this._test = value;
      this._draw();
    });
    const letters = places.map(letter);
    const map = { x: 'run', y: 'run', metric: 'correlation', values: common.correlation };
    const half = width >= TWO_COLUMNS ? Math.min(420, width * 0.36) : Math.min(420, width);
    const correlation = drawHeatmap(map, { run: letters }, {}, half, 'Correlation of returns');
    return [
      section(
        'Luck or difference?',
        [...unfair(found), html('div', { class: 'kk-Columns' }, drawPairs(test, places), correlation)],
        choice
      )
    ];
  }

  private _parameters(found: IComparison, metrics: readonly string[], metric: string, width: number): HTMLElement[] {
    if (metric === '' || found.runs.every(run => Object.keys(run.parameters).length === 0)) {
      return [];
    }
    const choice = select(
      'Coloured by',
      metrics.map(name => [name, metricLabel(name)]),
      metric,
      value => {
        this._metric = value;
        this._brushes = new Map();
        this._draw();
      }
    );
    const picture = drawParallel(found, metric, this._brushes, width, (key, brush) => {
      if (brush === null) {
        this._brushes.delete(key);
      } else {
        this._brushes.set(key, brush);
      }
      this._draw();
    });
    const hint = html(
      'p',
      { class: 'kk-Foot' },
      'Drag along an axis to keep the runs within; click it to take that back. With the keyboard, Tab goes to the ends of ' +
        'an axis, arrows move them, Escape takes that back.'
    );
    return [section('Parameters', [picture, hint], choice)];
  }

  private readonly _settings: ServerConnection.ISettings;
  private readonly _observer = new ResizeObserver(() => {
    if (this._found !== null && this.isVisible && this._room() !== this._width) {
      this._draw();
    }
  });
  private _ids: readonly string[];
  private _found: IComparison | null = null;
  private _problem: string | null = null;
  private _order: IOrder | null = null;
  private _brushes: Brushes = new Map();
  private _metric = '';
  private _test = 'sharpe_ratio';
  private _log = false;
  private _width = 0;
}

function section(title: string, children: readonly HTMLElement[], control?: HTMLElement): HTMLElement {
  const head = html('div', { class: 'kk-Section-head' }, html('h3', {}, title), control ?? null);
  return html('section', { class: 'kk-Section', 'aria-label': title }, head, ...children);
}

function select(
  text: string,
  options: readonly [string, string][],
  value: string,
  set: (value: string) => void
): HTMLElement {
  const choice = html(
    'select',
    { class: 'kk-Select', 'data-focus': text },
    ...options.map(([name, shown]) => html('option', { value: name }, shown))
  );
  choice.value = value;
  choice.addEventListener('change', () => set(choice.value));
  return html('label', { class: 'kk-Choice' }, text, choice);
}

/** Why runs have no curve. */
function reasons(found: IComparison): HTMLElement[] {
  const lines = found.curves.flatMap((curve, k) =>
    curve.reason === null ? [] : [html('li', {}, badge(k), `No curve: ${curve.reason}.`)]
  );
  return lines.length === 0 ? [] : [html('ul', { class: 'kk-Reasons' }, ...lines)];
}
