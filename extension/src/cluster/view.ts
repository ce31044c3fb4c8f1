/** The Dask cluster of the settings: its workers, their memory and tasks. */

import type { ServerConnection } from '@jupyterlab/services';
import { Poll } from '@lumino/polling';
import { Widget } from '@lumino/widgets';

import { html } from '../common/dom';
import { plural, sizeText } from '../common/format';
import { drawBar } from '../common/progress';
import { ask } from '../common/request';

const INTERVAL = 2000;
const MAX_INTERVAL = 30_000;

interface ILoad {
  threads: number;
  memory: number;
  memory_limit: number | null;
  executing: number;
  waiting: number;
}

interface IWorker extends ILoad {
  name: string;
  address: string;
  status: string;
  cpu_percent: number;
}

interface ICluster {
  address: string;
  workers: IWorker[];
  total: ILoad & { workers: number };
}

/** Looks at the cluster every two seconds while it can be seen. */
export class ClusterView extends Widget {
  constructor(settings: ServerConnection.ISettings, address: () => Promise<string>, openSettings: () => void) {
    super();
    this.addClass('kk-View');
    this.addClass('kk-Cluster');
    this._settings = settings;
    this._address = address;
    this._openSettings = openSettings;
    this.node.append(this._head, this._body);
    this._poll = new Poll({
      auto: false,
      name: '@kernelkit/labextension:cluster',
      factory: () => this._load(),
      frequency: { interval: INTERVAL, backoff: true, max: MAX_INTERVAL },
      standby: () => (this.isVisible ? 'when-hidden' : true)
    });
  }

  override dispose(): void {
    this._poll.dispose();
    super.dispose();
  }

  /** Look now. */
  async refresh(): Promise<void> {
    await this._poll.refresh();
  }

  protected override onAfterShow(): void {
    void this.refresh();
  }

  private async _load(): Promise<void> {
    const address = await this._address();
    const button = html('button', { type: 'button', class: 'kk-Run-action' }, 'Settings');
    button.addEventListener('click', this._openSettings);
    const title = html('div', {}, html('h2', {}, 'Dask cluster'), html('p', {}, address));
    if (this._shown !== address) {
      this._shown = address;
      this._head.replaceChildren(title, button);
    }
    if (address === '') {
      this._say(
        'No cluster: trials run on this machine. Write the address of a Dask scheduler, such as tcp://127.0.0.1:8786, into the setting "Dask scheduler".',
        false
      );
      return;
    }
    try {
      const found = await ask<ICluster>(this._settings, `cluster?address=${encodeURIComponent(address)}`);
      this._body.replaceChildren(...draw(found));
    } catch (error) {
      this._say((error as Error).message, true);
      throw error;
    }
  }

  private _say(text: string, wrong: boolean): void {
    const message = html('p', { class: wrong ? 'kk-Message kk-mod-error' : 'kk-Message', role: 'status' }, text);
    this._body.replaceChildren(message);
  }

  private readonly _settings: ServerConnection.ISettings;
  private readonly _address: () => Promise<string>;
  private readonly _openSettings: () => void;
  private readonly _poll: Poll;
  private readonly _head = html('header', { class: 'kk-View-head' });
  private readonly _body = html('div', {});
  private _shown: string | null = null;
}

function memory(load: ILoad): HTMLElement {
  const text =
    load.memory_limit === null ? sizeText(load.memory) : `${sizeText(load.memory)} of ${sizeText(load.memory_limit)}`;
  return html(
    'div',
    { class: 'kk-Memory' },
    html('span', {}, text),
    load.memory_limit === null ? null : drawBar(load.memory / load.memory_limit)
  );
}

function tasks(load: ILoad): string {
  return load.waiting === 0 ? String(load.executing) : `${load.executing} + ${load.waiting} waiting`;
}

function draw(cluster: ICluster): HTMLElement[] {
  const { total } = cluster;
  const head = ['Worker', 'Threads', 'CPU', 'Tasks', 'Memory'].map(text => html('th', { scope: 'col' }, text));
  const rows = cluster.workers.map(worker =>
    html(
      'tr',
      {},
      html(
        'th',
        { scope: 'row', title: worker.address },
        worker.status === 'running' ? worker.name : `${worker.name} (${worker.status})`
      ),
      html('td', {}, String(worker.threads)),
      html('td', {}, `${worker.cpu_percent.toFixed(0)} %`),
      html('td', {}, tasks(worker)),
      html('td', {}, memory(worker))
    )
  );
  const sum = `${plural(total.workers, 'worker')}, ${plural(total.threads, 'thread')}, tasks: ${tasks(total)}`;
  const none =
    total.workers === 0
      ? [
          html(
            'p',
            { class: 'kk-Message' },
            'Nobody works for this scheduler; start workers with: dask worker ' + cluster.address
          )
        ]
      : [];
  const table = html(
    'table',
    { class: 'kk-Table' },
    html('thead', {}, html('tr', {}, ...head)),
    html('tbody', {}, ...rows)
  );
  return [
    html('div', { class: 'kk-Cluster-sum' }, html('p', {}, sum), memory(total)),
    ...none,
    html('div', { class: 'kk-Scroll' }, table)
  ];
}
