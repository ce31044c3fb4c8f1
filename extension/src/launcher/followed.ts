/** The runs that a form has started, until they are done. */

import { Poll } from '@lumino/polling';

import { html } from '../common/dom';
import { drawBar, paceText } from '../common/progress';
import type { IMade, TemplateClient } from './api';
import type { IDesk } from './form';

const LIVE: readonly string[] = ['queued', 'running'];
const POLL_MS = 1000;
/** More than these are a count and a bar; the panel of runs has them all. */
const MOST = 12;

function share(run: IMade): number {
  return LIVE.includes(run.status) ? run.progress : 1;
}

/** "5 done · 2 running · 5 queued". */
function countText(runs: readonly IMade[]): string {
  const states = ['done', 'failed', 'cancelled', 'lost', 'running', 'queued'];
  return states
    .map(state => [runs.filter(run => run.status === state).length, state] as const)
    .filter(([count]) => count > 0)
    .map(([count, state]) => `${count} ${state}`)
    .join(' · ');
}

function stateText(run: IMade): string {
  switch (run.status) {
    case 'running':
      return [`${Math.floor(100 * run.progress)} %`, paceText(run)].filter(text => text !== '').join(' · ');
    case 'queued':
      return 'waits for its turn';
    default:
      return run.error ?? '';
  }
}

/** Shows how far the runs have come, looking every second while one goes on and the form can be seen; then `over`. */
export class Followed {
  constructor(
    private readonly _client: TemplateClient,
    private readonly _desk: IDesk,
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
    this._poll = new Poll({
      auto: false,
      name: '@kernelkit/labextension:followed',
      factory: () => this._load(),
      frequency: { interval: POLL_MS, backoff: true, max: 30_000 },
      standby: () => (this.node.offsetParent === null ? true : 'when-hidden')
    });
    if (_ids.length > 0) {
      void this._poll.refresh();
    }
  }

  readonly node = html('section', { class: 'kk-Followed', 'aria-label': 'Runs of this form', hidden: '' });

  get ids(): string[] {
    return this._ids;
  }

  dispose(): void {
    this._poll.dispose();
  }

  /** Follow these runs in place of those before. */
  follow(runs: readonly IMade[]): void {
    this._ids = runs.map(run => run.id);
    this._runs = [...runs];
    this._problem = '';
    this._show();
    void this._poll.refresh();
  }

  /** Look now, if there is anything to look at. */
  async look(): Promise<void> {
    if (this._ids.length > 0) {
      await this._poll.refresh();
    }
  }

  private async _load(): Promise<void> {
    try {
      this._runs = await this._client.runs(this._ids);
      this._problem = '';
    } catch (error) {
      this._problem = `The runs cannot be read: ${(error as Error).message}`;
      throw error;
    } finally {
      this._show();
    }
    if (!this._runs.some(run => LIVE.includes(run.status))) {
      void this._poll.stop();
      this._over();
    }
  }

  private _show(): void {
    const runs = this._runs;
    this.node.hidden = runs.length === 0 && this._problem === '';
    const total = runs.reduce((sum, run) => sum + share(run), 0) / Math.max(1, runs.length);
    this._title.textContent = runs.length === 1 ? 'Run' : `${runs.length} runs`;
    this._count.textContent = countText(runs);
    this._bar.replaceChildren(runs.length > 1 ? drawBar(total) : '');
    this._trouble.textContent = this._problem;
    const shown = runs.filter(run => runs.length <= MOST || run.status === 'running' || run.status === 'failed');
    this._place(shown.slice(0, MOST).map(run => this._row(run, runs)));
  }

  /** Puts the rows in order; an unchanged one stays the same element, so that it can be clicked and keeps the focus. */
  private _place(fresh: readonly HTMLElement[]): void {
    const old = [...this._rows.children];
    const rows = fresh.map(row => old.find(one => one.isEqualNode(row)) ?? row);
    if (rows.length !== old.length || rows.some((row, i) => row !== old[i])) {
      this._rows.replaceChildren(...rows);
    }
  }

  private _row(run: IMade, runs: readonly IMade[]): HTMLElement {
    const names = Object.keys(run.parameters).filter(name =>
      runs.some(other => other.parameters[name] !== run.parameters[name])
    );
    const label = names.map(name => `${name}=${String(run.parameters[name])}`).join(', ') || run.id;
    const { report, notebook } = run.links;
    return html(
      'li',
      { class: `kk-Followed-run kk-mod-${run.status}`, 'data-id': run.id, title: run.id },
      html('span', { class: 'kk-Followed-name' }, label),
      html('span', { class: 'kk-Status' }, run.status),
      run.status === 'running' ? drawBar(run.progress) : null,
      html('span', { class: 'kk-Followed-state' }, stateText(run)),
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
      await this._client.cancel(id);
      await this._poll.refresh();
    } catch (error) {
      this._problem = (error as Error).message;
      this._show();
    }
  }

  private readonly _poll: Poll;
  private readonly _title = html('h3', {});
  private readonly _count = html('span', { class: 'kk-Followed-count', 'aria-live': 'polite' });
  private readonly _bar = html('div', {});
  private readonly _rows = html('ul', {});
  private readonly _trouble = html('p', { class: 'kk-Launch-problem' });
  private _runs: IMade[] = [];
  private _problem = '';
}
