/** The runs that a form has started, until they are done. */

import { html, place, renew } from '../common/dom';
import { plural } from '../common/format';
import { drawBar } from '../common/progress';
import type { IRun } from '../runs/api';
import { outcome } from '../runs/card';
import { RunsModel } from '../runs/model';
import type { IDesk } from './form';

const LIVE: readonly string[] = ['queued', 'running'];
/** More than these are a count and a bar; the panel of runs has them all. */
const MOST = 12;

function share(run: IRun): number {
  return LIVE.includes(run.status) ? run.progress : 1;
}

/** "5 done · 2 running · 5 queued". */
function countText(runs: readonly IRun[]): string {
  const states = ['done', 'failed', 'cancelled', 'lost', 'running', 'queued'];
  return states
    .map(state => [runs.filter(run => run.status === state).length, state] as const)
    .filter(([count]) => count > 0)
    .map(([count, state]) => `${count} ${state}`)
    .join(' · ');
}

/** The names of the parameters that are not the same in all runs. */
function differing(runs: readonly IRun[]): string[] {
  const names = [...new Set(runs.flatMap(run => Object.keys(run.parameters)))];
  return names.filter(name => new Set(runs.map(run => JSON.stringify(run.parameters[name]))).size > 1);
}

/** Shows how far the runs have come while one goes on and `isVisible` says that somebody looks; then `over`. */
export class Followed {
  constructor(
    private readonly _desk: IDesk,
    private readonly _isVisible: () => boolean,
    private _ids: string[],
    private readonly _over: () => void
  ) {
    this.node.append(
      html('header', {}, this._title, this._count, this._button('Show all runs', 'panel', '')),
      this._bar,
      this._rows,
      this._trouble
    );
    this.node.addEventListener('click', event => this._onClick(event));
    if (_ids.length > 0) {
      this._ask();
    }
  }

  readonly node = html('section', { class: 'kk-Followed', 'aria-label': 'Runs of this form', hidden: '' });

  get ids(): string[] {
    return this._ids;
  }

  dispose(): void {
    this._model?.dispose();
  }

  /** Follow these runs in place of those before. */
  follow(runs: readonly IRun[]): void {
    this._ids = runs.map(run => run.id);
    this._runs = [...runs];
    this._problem = '';
    this._show();
    this._ask();
  }

  /** Look now, if there is anything to look at. */
  async look(): Promise<void> {
    this._goesOn = true;
    await this._model?.refresh();
  }

  /** Asks anew: an answer to an older question does not know of the runs. */
  private _ask(): void {
    this._model?.dispose();
    this._goesOn = true;
    const model = new RunsModel(this._desk.services, () => this._goesOn && this._isVisible());
    model.changed.connect(() => this._onChanged(model));
    this._model = model;
    void model.refresh();
  }

  private _onChanged(model: RunsModel): void {
    this._problem = model.problem ?? '';
    if (model.list !== null) {
      const runs = new Map(model.list.runs.map(run => [run.id, run]));
      this._runs = this._ids.map(id => runs.get(id)).filter(run => run !== undefined);
      const wentOn = this._goesOn;
      this._goesOn = this._runs.some(run => LIVE.includes(run.status));
      if (wentOn && !this._goesOn) {
        this._over();
      }
    }
    this._show();
  }

  private _show(): void {
    const runs = this._runs;
    this.node.hidden = runs.length === 0 && this._problem === '';
    const total = runs.reduce((sum, run) => sum + share(run), 0) / Math.max(1, runs.length);
    this._title.textContent = runs.length === 1 ? 'Run' : plural(runs.length, 'run');
    this._count.textContent = countText(runs);
    this._bar.replaceChildren(runs.length > 1 ? drawBar(total) : '');
    this._trouble.textContent = this._problem;
    const shown = runs.filter(run => runs.length <= MOST || run.status === 'running' || run.status === 'failed');
    const names = differing(runs);
    const old = new Map([...this._rows.children].map(row => [row.getAttribute('data-id'), row]));
    place(
      this._rows,
      shown.slice(0, MOST).map(run => renew(old.get(run.id), this._row(run, names)))
    );
  }

  private _row(run: IRun, names: readonly string[]): HTMLElement {
    const own = names.filter(name => name in run.parameters);
    const label = own.map(name => `${name}=${String(run.parameters[name])}`).join(', ') || run.id;
    const { report, notebook } = run.links;
    return html(
      'li',
      { class: `kk-Followed-run kk-mod-${run.status}`, 'data-id': run.id, title: run.id },
      html('span', { class: 'kk-Followed-name' }, label),
      html('span', { class: 'kk-Status' }, run.status),
      run.status === 'running' ? drawBar(run.progress) : null,
      html('span', { class: 'kk-Followed-state' }, outcome(run)),
      html(
        'span',
        { class: 'kk-Followed-actions' },
        LIVE.includes(run.status) ? this._button('Cancel', 'cancel', run.id) : null,
        report === null ? null : this._button('Open report', 'report', report),
        notebook === null || run.status === 'running' ? null : this._button('Open notebook', 'notebook', notebook)
      )
    );
  }

  private _button(text: string, does: string, what: string): HTMLButtonElement {
    return html('button', { type: 'button', class: 'kk-Launch-link', 'data-does': does, 'data-what': what }, text);
  }

  private _onClick(event: Event): void {
    const { does, what } = (event.target as Element).closest<HTMLElement>('[data-does]')?.dataset ?? {};
    if (does === 'panel') {
      void this._desk.commands.execute('kernelkit:show-runs');
    } else if (does === 'report') {
      this._desk.openReport(what ?? '');
    } else if (does === 'notebook') {
      void this._desk.openNotebook(what ?? '', false);
    } else if (does === 'cancel') {
      void this._cancel(what ?? '');
    }
  }

  private async _cancel(id: string): Promise<void> {
    try {
      await this._model?.cancel(id);
    } catch (error) {
      this._problem = (error as Error).message;
      this._show();
    }
  }

  private readonly _title = html('h3', {});
  private readonly _count = html('span', { class: 'kk-Followed-count', 'aria-live': 'polite' });
  private readonly _bar = html('div', {});
  private readonly _rows = html('ul', {});
  private readonly _trouble = html('p', { class: 'kk-Launch-problem' });
  private _runs: IRun[] = [];
  private _model: RunsModel | null = null;
  private _goesOn = true;
  private _problem = '';
}
