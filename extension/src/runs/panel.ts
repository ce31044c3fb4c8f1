/** The side panel of runs. */

import type { ServerConnection } from '@jupyterlab/services';
import { refreshIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import { Poll } from '@lumino/polling';
import { Widget } from '@lumino/widgets';

import { drawCard } from './card';
import { html } from '../common/dom';
import { runsIcon } from '../common/icon';
import { fetchRuns, type IRun, type IRunList } from './api';

const MAX_INTERVAL = 60_000;

/** Lists the runs of the server, looking again every few seconds while it can be seen. */
export class RunsPanel extends Widget {
  constructor(settings: ServerConnection.ISettings, commands: CommandRegistry) {
    super();
    this.id = 'kernelkit-runs';
    this.title.icon = runsIcon;
    this.title.caption = 'Backtest runs';
    this.addClass('kk-Runs');
    this._settings = settings;
    this._commands = commands;
    this._build();
    this._poll = new Poll({
      auto: false,
      name: '@kernelkit/labextension:runs',
      factory: () => this._load(),
      frequency: { interval: 2000, backoff: true, max: MAX_INTERVAL },
      standby: () => (this.isVisible ? 'when-hidden' : true)
    });
  }

  override dispose(): void {
    this._poll.dispose();
    super.dispose();
  }

  /** Seconds between two looks. */
  set pollInterval(seconds: number) {
    this._poll.frequency = { interval: 1000 * seconds, backoff: true, max: Math.max(MAX_INTERVAL, 1000 * seconds) };
  }

  /** The run with this id, or null where it is not listed. */
  run(id: string): IRun | null {
    return this._list?.runs.find(run => run.id === id) ?? null;
  }

  /** Look now. */
  async refresh(): Promise<void> {
    await this._poll.refresh();
  }

  protected override onAfterShow(): void {
    void this.refresh();
  }

  private _build(): void {
    const refresh = html('button', { type: 'button', class: 'kk-Refresh', title: 'Look for runs now' });
    refreshIcon.element({ container: refresh });
    refresh.addEventListener('click', () => void this.refresh());
    this._filter.addEventListener('input', () => this._show());
    this._items.addEventListener('click', event => this._onClick(event));
    this._items.addEventListener('dblclick', event => this._open(event));
    this._items.addEventListener('keydown', event => {
      if (event.key === 'Enter' && event.target instanceof HTMLLIElement) {
        this._open(event);
      }
    });
    const title = html('h2', {}, 'Backtest runs', this._count);
    this.node.append(
      html('header', { class: 'kk-Runs-head' }, title, refresh),
      this._filter,
      this._message,
      this._items
    );
  }

  private async _load(): Promise<void> {
    try {
      this._list = await fetchRuns(this._settings);
      this._problem = null;
    } catch (error) {
      this._problem = `The runs cannot be read: ${(error as Error).message}`;
      throw error;
    } finally {
      this._show();
    }
  }

  private _onClick(event: Event): void {
    const button = (event.target as Element).closest('button');
    const id = (event.target as Element).closest('li')?.dataset['run'];
    if (button !== null && id !== undefined) {
      void this._commands.execute(button.dataset['command'] ?? '', { id });
    }
  }

  private _open(event: Event): void {
    const id = (event.target as Element).closest('li')?.dataset['run'];
    if (id !== undefined && this._commands.isEnabled('kernelkit:open-notebook', { id })) {
      void this._commands.execute('kernelkit:open-notebook', { id });
    }
  }

  private _show(): void {
    const runs = this._list?.runs ?? [];
    const words = this._filter.value.toLowerCase().split(/\s+/);
    const shown = runs.filter(run => {
      const text = [run.name, run.status, run.template, run.data?.name].join(' ').toLowerCase();
      return words.every(word => text.includes(word));
    });
    this._count.textContent = runs.length === 0 ? '' : String(runs.length);
    this._filter.hidden = runs.length === 0;
    this._say(runs.length, shown.length);
    this._place(shown);
  }

  /** The line above the list: a problem, a notice, or what to do when the list is empty. */
  private _say(all: number, shown: number): void {
    let text = this._problem ?? this._list?.notice ?? '';
    if (text === '' && all === 0 && this._list !== null) {
      text = `No runs in ${this._list.root} yet. Start one in a terminal: kernelkit run walk_forward --out ${this._list.root}`;
    } else if (text === '' && shown === 0 && all > 0) {
      text = 'No run has these words in its name, status, template or data.';
    }
    this._message.textContent = text;
    this._message.hidden = text === '';
    this._message.classList.toggle('kk-mod-error', this._problem !== null);
  }

  /** Puts the cards in order; an unchanged card stays the same element, so focus and selection survive. */
  private _place(runs: readonly IRun[]): void {
    const now = Date.now();
    const focused = document.activeElement?.closest<HTMLElement>('.kk-Run')?.dataset['run'];
    const cards = runs.map(run => {
      const fresh = drawCard(run, now, this._list?.notice ?? null);
      const old = this._cards.get(run.id);
      return old?.isEqualNode(fresh) === true ? old : fresh;
    });
    this._cards = new Map(cards.map(card => [card.dataset['run'] ?? '', card]));
    if (cards.some((card, i) => this._items.children[i] !== card) || this._items.childElementCount !== cards.length) {
      this._items.replaceChildren(...cards);
      if (focused !== undefined) {
        this._cards.get(focused)?.focus();
      }
    }
  }

  private readonly _settings: ServerConnection.ISettings;
  private readonly _commands: CommandRegistry;
  private readonly _poll: Poll;
  private readonly _count = html('span', { class: 'kk-Count' });
  private readonly _filter = html('input', { type: 'search', class: 'kk-Filter', placeholder: 'Filter runs', hidden: '' });
  private readonly _message = html('p', { class: 'kk-Message', hidden: '' });
  private readonly _items = html('ul', { class: 'kk-Runs-list' });
  private _cards = new Map<string, HTMLLIElement>();
  private _list: IRunList | null = null;
  private _problem: string | null = null;
}
