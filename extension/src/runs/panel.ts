/** The side panel of runs. */

import type { ServiceManager } from '@jupyterlab/services';
import { refreshIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { Message } from '@lumino/messaging';
import { Panel, Widget } from '@lumino/widgets';

import { html } from '../common/dom';
import { count, metricLabel } from '../common/format';
import { runsIcon } from '../common/icon';
import type { IRun } from './api';
import { dragged, openingCode } from './code';
import { RunsList } from './list';
import { RunsModel } from './model';
import { FIXED, matches, metricsOf, sorted } from './query';
import { editTags } from './tags';

/** Lists the runs of the server, filtered and sorted. */
export class RunsPanel extends Panel {
  /** `folder` is that of what is being worked on, below the server's root: code is written for it. */
  constructor(services: ServiceManager.IManager, commands: CommandRegistry, folder: () => string) {
    super();
    this.id = 'kernelkit-runs';
    this.title.icon = runsIcon;
    this.title.caption = 'Backtest runs';
    this.addClass('kk-Runs');
    this.model = new RunsModel(services, () => this.isVisible);
    this._list = new RunsList(() => dragged(this.code(this.selected)));
    this._folder = folder;
    this._build();
    this.model.changed.connect(() => this._show());
    this._list.wished.connect((_, wish) => {
      const command = wish === 'open' ? 'kernelkit:open-notebook' : 'kernelkit:delete-runs';
      if (commands.isEnabled(command)) {
        void commands.execute(command);
      }
    });
    this._list.node.addEventListener('click', event => {
      const button = (event.target as Element).closest('button');
      const id = button?.closest<HTMLElement>('.kk-Run')?.dataset['run'];
      if (button !== null && id !== undefined && button.getAttribute('aria-disabled') === 'false') {
        void commands.execute(button.dataset['command'] ?? '', { id });
      }
    });
  }

  readonly model: RunsModel;

  override dispose(): void {
    this.model.dispose();
    super.dispose();
  }

  /** The selected runs, from top to bottom. */
  get selected(): IRun[] {
    return this._list.selection.map(id => this.model.run(id)).filter(run => run !== null);
  }

  /** Python that opens these runs. */
  code(runs: readonly IRun[]): string {
    return openingCode(runs, this.model.list?.root ?? 'runs', this._folder());
  }

  /** Give the focus to the card of a run. */
  focus(id: string): void {
    this._list.focus(id);
  }

  /** Let the tags of a run be edited in its card; null where nothing is to be changed. */
  async editTags(run: IRun): Promise<string[] | null> {
    const card = this._list.node.querySelector<HTMLElement>(`[data-run="${CSS.escape(run.id)}"]`);
    if (card === null || this._editing) {
      return null;
    }
    // a card that is drawn anew would lose what is being typed
    this._editing = true;
    const tags = await editTags(card, run.tags);
    this._editing = false;
    this._show();
    return tags;
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    void this.model.refresh();
  }

  private _build(): void {
    const refresh = html('button', { type: 'button', class: 'kk-Refresh', title: 'Look for runs now' });
    refreshIcon.element({ container: refresh });
    refresh.addEventListener('click', () => void this.model.refresh());
    this._filter.addEventListener('input', () => this._show());
    this._sort.addEventListener('change', () => this._show());
    this._turn.addEventListener('click', () => {
      this._reversed = !this._reversed;
      this._show();
    });
    const title = html('h2', {}, 'Backtest runs', this._count);
    const head = html('div', {}, html('header', { class: 'kk-Runs-head' }, title, refresh), this._tools, this._message);
    this._tools.append(this._filter, this._sort, this._turn);
    this.addWidget(new Widget({ node: head }));
    this.addWidget(this._list);
  }

  private _show(): void {
    if (this._editing) {
      return;
    }
    const runs = this.model.list?.runs ?? [];
    this._offer(metricsOf(runs));
    const shown = sorted(
      runs.filter(run => matches(run, this._filter.value)),
      this._sort.value,
      this._reversed
    );
    const all = count(runs.length);
    this._count.textContent = runs.length === 0 ? '' : shown.length < runs.length ? `${shown.length} of ${all}` : all;
    this._tools.hidden = runs.length === 0;
    this._turn.textContent = this._reversed ? '↑' : '↓';
    this._turn.setAttribute('aria-pressed', String(this._reversed));
    this._say(runs.length, shown.length);
    const notice = this.model.list?.notice ?? null;
    this._list.draw(shown, run => ({
      pending: this.model.pending(run.id),
      apart: this.model.apart(run.id),
      notice
    }));
  }

  /** Offers to sort by these metrics too. */
  private _offer(metrics: readonly string[]): void {
    const names = [...Object.keys(FIXED), ...metrics];
    if (names.join() === [...this._sort.options].map(option => option.value).join()) {
      return;
    }
    const chosen = this._sort.value;
    const labels: Record<string, string> = FIXED;
    this._sort.replaceChildren(
      ...names.map(name => html('option', { value: name }, labels[name] ?? metricLabel(name)))
    );
    this._sort.value = names.includes(chosen) ? chosen : 'created';
  }

  /** The line above the list: a problem, a notice, or what to do when the list is empty. */
  private _say(all: number, shown: number): void {
    const { list, problem } = this.model;
    let text = problem ?? list?.notice ?? '';
    if (text === '' && all === 0 && list !== null) {
      text = `No runs in ${list.root} yet. Start one in a terminal: kernelkit run walk_forward --out ${list.root}`;
    } else if (text === '' && shown === 0 && all > 0) {
      text = 'No run has these words in its name, status, template, strategy, data, verdict, tags or parameters.';
    }
    this._message.textContent = text;
    this._message.hidden = text === '';
    this._message.classList.toggle('kk-mod-error', problem !== null);
  }

  private readonly _list: RunsList;
  private readonly _folder: () => string;
  private readonly _count = html('span', { class: 'kk-Count' });
  private readonly _tools = html('div', { class: 'kk-Runs-tools', hidden: '' });
  private readonly _filter = html('input', {
    type: 'search',
    class: 'kk-Filter',
    placeholder: 'Filter runs',
    title: 'Words that a run has; tag:spx, status:done and train=2Y ask for that alone'
  });
  private readonly _sort = html(
    'select',
    { class: 'kk-Sort', 'aria-label': 'Sort by', title: 'Sort by' },
    html('option', { value: 'created' }, 'Newest')
  );
  private readonly _turn = html('button', {
    type: 'button',
    class: 'kk-Turn',
    title: 'The other way round',
    'aria-label': 'The other way round'
  });
  private readonly _message = html('p', { class: 'kk-Message', role: 'status', hidden: '' });
  private _reversed = false;
  private _editing = false;
}
