/** The ledger of the project in the main area: its strategies, and the trail of one of them. */

import type { ServerConnection } from '@jupyterlab/services';
import { Widget } from '@lumino/widgets';

import { html } from '../common/dom';
import { count, metricText, plural } from '../common/format';
import { fetchLedger, fetchTrail, type ICost, type IFamily, type ILedger, type IStrategy, type ITrail } from './api';
import { drawDays } from './days';
import { drawTree } from './tree';

const MIN_WIDTH = 420;
const MAX_WIDTH = 1100;

/** Shows the strategies of the ledger, and the one that is chosen. */
export class LedgerView extends Widget {
  constructor(settings: ServerConnection.ISettings, strategy: string) {
    super();
    this.addClass('kk-View');
    this.addClass('kk-Ledger');
    this._settings = settings;
    this._strategy = strategy;
    this.node.append(this._list, this._main);
    this._observer.observe(this._main);
    void this.refresh();
  }

  /** The strategy that is shown, '' for none. */
  get strategy(): string {
    return this._strategy;
  }

  /** Called when another strategy was chosen. */
  onChosen: () => void = () => {};

  override dispose(): void {
    this._observer.disconnect();
    super.dispose();
  }

  /** Ask the server anew. */
  async refresh(): Promise<void> {
    this._say('Reading the ledger …', false);
    try {
      this._ledger = await fetchLedger(this._settings);
    } catch (error) {
      this._say(`The ledger cannot be read: ${(error as Error).message}`, true);
      return;
    }
    this._drawList();
    await this.choose(this._strategy);
  }

  /** Show another strategy, '' for the whole ledger. */
  async choose(strategy: string): Promise<void> {
    this._strategy = strategy;
    this._trail = null;
    this.onChosen();
    this._mark();
    if (strategy === '') {
      this._draw();
      return;
    }
    this._say(`Reading what was tried of ${strategy} …`, false);
    try {
      const found = await fetchTrail(this._settings, strategy);
      if (strategy === this._strategy) {
        this._trail = found;
        this._draw();
      }
    } catch (error) {
      if (strategy === this._strategy) {
        this._say(`${strategy} cannot be shown: ${(error as Error).message}`, true);
      }
    }
  }

  private _say(text: string, wrong: boolean): void {
    const message = html('p', { class: wrong ? 'kk-Message kk-mod-error' : 'kk-Message', role: 'status' }, text);
    this._main.replaceChildren(message);
  }

  private _drawList(): void {
    const { strategies } = this._ledger ?? { strategies: [] };
    const whole = this._entry('', 'All strategies', '');
    const own = strategies.map(one => this._entry(one.strategy, one.strategy, about(one)));
    const refresh = html('button', { type: 'button', class: 'kk-Run-action' }, 'Read again');
    refresh.addEventListener('click', () => void this.refresh());
    const head = html('header', { class: 'kk-View-head' }, html('h2', {}, 'Trial ledger'), refresh);
    this._list.replaceChildren(head, html('div', { class: 'kk-Ledger-entries' }, whole, ...own));
  }

  private _entry(strategy: string, name: string, text: string): HTMLElement {
    const entry = html(
      'button',
      { type: 'button', class: 'kk-Ledger-entry', 'data-strategy': strategy },
      html('b', {}, name),
      html('span', {}, text)
    );
    entry.addEventListener('click', () => void this.choose(strategy));
    return entry;
  }

  private _mark(): void {
    this._list.querySelectorAll<HTMLElement>('.kk-Ledger-entry').forEach(entry => {
      entry.setAttribute('aria-current', String(entry.dataset['strategy'] === this._strategy));
    });
  }

  private _draw(): void {
    this._width = this._room();
    if (this._trail !== null) {
      this._main.replaceChildren(...drawTrail(this._trail, this._width));
    } else if (this._strategy === '' && this._ledger !== null) {
      this._main.replaceChildren(...drawLedger(this._ledger, this._width));
    }
  }

  private _room(): number {
    return Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, Math.floor(this._main.clientWidth) - 40));
  }

  private readonly _settings: ServerConnection.ISettings;
  private readonly _list = html('nav', { class: 'kk-Ledger-list', 'aria-label': 'Strategies' });
  private readonly _main = html('div', { class: 'kk-Ledger-main' });
  private readonly _observer = new ResizeObserver(() => {
    if (this.isVisible && this._room() !== this._width) {
      this._draw();
    }
  });
  private _strategy: string;
  private _ledger: ILedger | null = null;
  private _trail: ITrail | null = null;
  private _width = 0;
}

function about(one: IStrategy): string {
  const best =
    one.best_sharpe_ratio === null ? '' : ` · best Sharpe ${metricText('sharpe_ratio', one.best_sharpe_ratio)}`;
  return `${plural(one.distinct, 'trial')}${best} · ${one.last.slice(0, 10)}`;
}

function section(title: string, ...children: HTMLElement[]): HTMLElement {
  return html('section', { class: 'kk-Section', 'aria-label': title }, html('h3', {}, title), ...children);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): HTMLElement {
  const lines = rows.map(([first = '', ...rest]) =>
    html('tr', {}, html('th', { scope: 'row' }, first), ...rest.map(text => html('td', {}, text)))
  );
  const titles = head.map(text => html('th', { scope: 'col' }, text));
  const found = html(
    'table',
    { class: 'kk-Table' },
    html('thead', {}, html('tr', {}, ...titles)),
    html('tbody', {}, ...lines)
  );
  return html('div', { class: 'kk-Scroll' }, found);
}

function warnings(damage: readonly string[]): HTMLElement[] {
  return damage.map(text =>
    html('p', { class: 'kk-Message kk-mod-error' }, `Part of the ledger cannot be read: ${text}`)
  );
}

function family(one: IFamily): string[] {
  const name = one.generated ? `${one.market}, generated` : one.market;
  return [name, `${one.start} to ${one.end}`, ...[one.runs, one.distinct, one.failed, one.declared].map(count)];
}

/** The whole ledger: trials of each day, and the families. */
function drawLedger(ledger: ILedger, width: number): HTMLElement[] {
  const where = html('p', { class: 'kk-Foot' }, `The ledger at ${ledger.at}. Nothing is ever taken out of it.`);
  if (ledger.strategies.length === 0) {
    const empty = 'Nothing was tried yet: every backtest of this project will be counted here, what failed too.';
    return [...warnings(ledger.damage), html('p', { class: 'kk-Message' }, empty), where];
  }
  const head = ['Market', 'Span', 'Runs', 'Distinct trials', 'Failed', 'Declared'];
  return [
    ...warnings(ledger.damage),
    html('h2', {}, 'All strategies'),
    ...(ledger.days.length === 0 ? [] : [section('Trials per day', drawDays(ledger.days, width))]),
    section('Families: what competes with each other', table(head, ledger.families.map(family))),
    where
  ];
}

function cost(found: ICost): HTMLElement {
  const rows = found.counts.map(one => [
    one.of,
    Number.isInteger(one.trials) ? count(one.trials) : one.trials.toFixed(1),
    one.luck === null ? '–' : metricText('sharpe_ratio', one.luck)
  ]);
  const head = ['Counting', 'Trials', 'Expected best Sharpe by luck'];
  const spread =
    found.years === null
      ? ''
      : `Without skill the Sharpe ratio of ${found.years.toFixed(1)} years has a standard deviation of ${(1 / Math.sqrt(found.years)).toFixed(2)}. `;
  const note = `${spread}How many independent trials they amount to is an estimate; kk.verdict tests the best of them.`;
  return section(
    'What it cost',
    html('p', { class: 'kk-Sentence' }, found.sentence),
    table(head, rows),
    html('p', { class: 'kk-Foot' }, note)
  );
}

function looks(trail: ITrail): HTMLElement {
  const markets = trail.assets.join(', ');
  if (trail.sealed_since === null) {
    return section(
      'Sealed data',
      html(
        'p',
        {},
        `No data of ${markets || 'its markets'} are sealed: kk.seal puts some away for one look at the end.`
      )
    );
  }
  const many = trail.looks.length === 0 ? 'nobody has looked at them' : `${plural(trail.looks.length, 'look')} since`;
  const text = html('p', {}, `Data of ${markets} from ${trail.sealed_since} on are sealed; ${many}.`);
  const rows = trail.looks.map(look => [
    look.at.replace('T', ' ').slice(0, 16),
    look.strategy,
    look.role,
    count(look.trials)
  ]);
  return section(
    'Sealed data',
    text,
    ...(rows.length === 0 ? [] : [table(['When (UTC)', 'Strategy', 'As', 'Trials'], rows)])
  );
}

/** One strategy: its cost, its days, its tree, looks at sealed data. */
function drawTrail(trail: ITrail, width: number): HTMLElement[] {
  const failed = trail.failed === 0 ? '' : `, ${count(trail.failed)} failed`;
  const pruned = trail.pruned === 0 ? '' : `, ${count(trail.pruned)} ended early by a search`;
  const beside =
    trail.beside === 0 ? '' : ` ${count(trail.beside)} more were computed beside them, in training windows and audits.`;
  const text = `${plural(trail.runs, 'run')} of ${plural(trail.distinct, 'distinct trial')}${failed}${pruned}, ${trail.first.slice(0, 10)} to ${trail.last.slice(0, 10)}.${beside}`;
  return [
    ...warnings(trail.damage),
    html('h2', {}, trail.strategy),
    html('p', {}, text),
    ...(trail.cost === null ? [] : [cost(trail.cost)]),
    ...(trail.days.length === 0 ? [] : [section('Trials per day', drawDays(trail.days, width))]),
    section('Family tree', drawTree(trail.versions, trail.strategy)),
    looks(trail)
  ];
}
