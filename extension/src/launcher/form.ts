/** The form of a template: its parameters, what they ask for, and the buttons that make it. */

import type { ServiceManager } from '@jupyterlab/services';
import type { CommandRegistry } from '@lumino/commands';
import { UUID } from '@lumino/coreutils';
import { Debouncer } from '@lumino/polling';
import { Signal, type ISignal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';

import { html } from '../common/dom';
import { launchIcon } from '../common/icon';
import type { IChecked, IForm, TemplateClient, Values } from './api';
import { Field } from './field';
import { Followed } from './followed';
import { askedText, done, knownText } from './words';

const CHECK_MS = 200;

/** What a form was opened with, and what is typed into it by now. */
export interface ILaunch {
  id: string;
  template: string;
  values: Values;
  name: string | null;
  hideCode: boolean;
  follow: string[];
}

/** What the buttons of a form do that needs all of JupyterLab. */
export interface IDesk {
  commands: CommandRegistry;
  services: ServiceManager.IManager;
  /** The folder that the user is in. */
  folder(): string;
  /** Open a notebook, and run its cells where asked to. */
  openNotebook(path: string, run: boolean): Promise<void>;
  openReport(path: string): void;
  /** The address of the cluster that computes the trials, '' for this machine. */
  scheduler(): Promise<string>;
}

/** `off` says why it cannot be done now, and is empty where it can. */
interface IAction {
  button: HTMLButtonElement;
  off: string;
  act: () => Promise<void>;
}

/** The main-area form of one template. */
export class LaunchForm extends Widget {
  constructor(
    private readonly _client: TemplateClient,
    private readonly _desk: IDesk,
    private _launch: ILaunch
  ) {
    super();
    this.id = _launch.id;
    this.addClass('kk-Launch');
    this.title.icon = launchIcon;
    this.title.label = _launch.template;
    this.title.closable = true;
    this._followed = new Followed(
      _desk,
      () => this.isVisible,
      _launch.follow,
      () => void this._check()
    );
    this._here = this._action('Run here', () => this._open(true));
    this._batch = this._action('Run as batch', () => this._start());
    this._copy = this._action('Open as notebook', () => this._open(false));
    this.node.addEventListener('keydown', event => this._onKey(event));
    void this._load();
  }

  override dispose(): void {
    this._checker.dispose();
    this._followed.dispose();
    super.dispose();
  }

  /** Emitted when something else is typed, or other runs are followed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** What is typed by now. */
  get launch(): ILaunch {
    return { ...this._launch, follow: this._followed.ids };
  }

  protected override onActivateRequest(): void {
    (this._fields[0] ?? { focus: () => this.node.focus() }).focus();
  }

  protected override onAfterShow(): void {
    void this._followed.look();
  }

  private async _load(): Promise<void> {
    this.node.tabIndex = -1;
    try {
      this._build(await this._client.form(this._launch.template));
    } catch (error) {
      const again = html('button', { type: 'button', class: 'kk-Launch-button' }, 'Try again');
      again.addEventListener('click', () => void this._load());
      const text = `The template cannot be read: ${(error as Error).message}`;
      this.node.replaceChildren(html('p', { class: 'kk-Launch-problem', role: 'alert' }, text), again);
      return;
    }
    void this._check();
    this._client.choices().then(
      choices => {
        for (const [name, list] of Object.entries(this._lists)) {
          const names = choices[name as 'strategies' | 'data'];
          list.replaceChildren(...names.map(value => html('option', { value })));
        }
        this._fields.forEach(field => (field.choices = choices));
      },
      (error: unknown) => this._say(`The names of strategies and data cannot be listed: ${String(error)}`)
    );
  }

  private _build(form: IForm): void {
    const prefix = `kk-${UUID.uuid4()}`;
    this.title.label = form.title;
    this.title.caption = form.about;
    this._lists = {
      strategies: html('datalist', { id: `${prefix}-strategies` }),
      data: html('datalist', { id: `${prefix}-data` })
    };
    this._fields = form.parameters.map(field => new Field(field, prefix, () => this._onChange()));
    for (const field of this._fields) {
      field.text = this._launch.values[field.field.name] ?? null;
    }
    const known = new Set(form.parameters.map(field => field.name));
    this._strange = Object.fromEntries(Object.entries(this._launch.values).filter(([name]) => !known.has(name)));
    const groups = [...new Set(form.parameters.map(field => field.group))].map(group =>
      html(
        'fieldset',
        { class: 'kk-Launch-group' },
        ...this._fields.filter(field => field.field.group === group).map(field => field.node)
      )
    );
    const name = html('input', { type: 'text', id: `${prefix}-name`, placeholder: form.runs, autocomplete: 'off' });
    name.value = this._launch.name ?? '';
    name.addEventListener('input', () => {
      this._launch.name = name.value.trim() || null;
      this._onChange();
    });
    const hide = html('input', { type: 'checkbox', id: `${prefix}-hide` });
    hide.checked = this._launch.hideCode;
    hide.addEventListener('input', () => {
      this._launch.hideCode = hide.checked;
      this._onChange();
    });
    this._again.addEventListener('input', () => this._show());
    this.node.replaceChildren(
      html('header', {}, html('h2', {}, form.title), html('p', {}, form.about)),
      html(
        'form',
        { class: 'kk-Launch-form', autocomplete: 'off' },
        ...groups,
        html(
          'fieldset',
          { class: 'kk-Launch-group' },
          this._row(`${prefix}-name`, 'name of the runs', name, 'of a batch: its folders begin with it'),
          this._row(`${prefix}-hide`, 'hide code', hide, 'leave the code out of the report of a batch')
        ),
        ...Object.values(this._lists)
      ),
      html(
        'footer',
        { class: 'kk-Launch-foot' },
        this._asked,
        html('div', { class: 'kk-Launch-known' }, this._known, this._redo, this._seen),
        html('div', { class: 'kk-Launch-buttons' }, this._here.button, this._batch.button, this._copy.button),
        this._why,
        this._problem,
        this._followed.node
      )
    );
    this.node.querySelector('form')?.addEventListener('submit', event => event.preventDefault());
    this._redo.replaceChildren(this._again, 'Run again what is done');
    this._show();
  }

  private _row(id: string, label: string, control: HTMLInputElement, help: string): HTMLElement {
    return html(
      'div',
      { class: `kk-Field kk-mod-${control.type === 'checkbox' ? 'bool' : 'text'}` },
      html('label', { for: id }, label),
      html('div', { class: 'kk-Field-control' }, control, html('div', { class: 'kk-Field-help' }, help))
    );
  }

  private _action(text: string, act: () => Promise<void>): IAction {
    const button = html('button', { type: 'button', class: 'kk-Launch-button' }, text);
    button.addEventListener('click', () => void this._act(act));
    return { button, act, off: '' };
  }

  /** What differs from the defaults, as it is typed. */
  private get _values(): Values {
    const typed: Values = { ...this._strange };
    for (const { field, text } of this._fields) {
      if (text !== null) {
        typed[field.name] = text;
      }
    }
    return typed;
  }

  private _onChange(): void {
    this._launch.values = this._values;
    this._changed.emit();
    this._say('');
    void this._checker.invoke();
  }

  private _onKey(event: KeyboardEvent): void {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      event.stopPropagation();
      void this._act(async () => {
        // the last stroke may not have been checked yet
        await this._check();
        const { off, act } = this._primary;
        if (off === '') {
          await act();
        }
      });
    }
  }

  /** Ask the server what is typed; an answer that came too late is not looked at. */
  private async _check(): Promise<void> {
    const asked = ++this._asking;
    try {
      const checked = await this._client.check(this._launch.template, this._values, this._launch.name);
      if (asked !== this._asking || this.isDisposed) {
        return;
      }
      this._checked = checked;
      this._unchecked = '';
    } catch (error) {
      if (asked !== this._asking || this.isDisposed) {
        return;
      }
      this._checked = null;
      this._unchecked = `The server does not answer: ${(error as Error).message}`;
    }
    this._show();
  }

  private get _primary(): IAction {
    return (this._checked?.runs ?? 1) > 1 ? this._batch : this._here;
  }

  private _show(): void {
    const checked = this._checked;
    const errors = checked?.errors ?? {};
    for (const field of this._fields) {
      field.error = errors[field.field.name] ?? null;
    }
    const others = Object.keys(this._strange).map(name => errors[name] ?? '');
    const asked = checked === null ? this._unchecked || 'Checking …' : askedText(checked);
    this._asked.textContent = [asked, ...others].filter(text => text !== '').join(' ');
    const wrong = checked === null ? this._unchecked !== '' : checked.runs === 0;
    this._asked.classList.toggle('kk-mod-error', wrong);
    const before = checked === null ? 0 : done(checked);
    this._known.textContent = checked === null ? '' : knownText(checked);
    this._redo.hidden = before === 0;
    this._offer(checked);
    const many = checked !== null && checked.runs > 1;
    const one = many ? `A notebook takes one value of each field, and this makes ${checked.runs} runs.` : '';
    const over = checked !== null && before === checked.runs && before > 0 && !this._again.checked;
    const bad =
      checked === null ? 'The values are not checked yet.' : checked.runs === 0 ? 'Some values are wrong.' : '';
    const folder = this._desk.folder() || 'the root folder';
    this._enable(this._here, bad || one, `Writes a notebook into ${folder} and runs all of its cells`);
    this._enable(this._copy, bad || one, `Writes a notebook into ${folder} and opens it`);
    const redo = many
      ? 'All of these are done; tick Run again what is done.'
      : 'This is done; tick Run again what is done.';
    this._enable(this._batch, bad || (over ? redo : ''), 'Runs in the background, with a record and a report');
    const reasons = bad ? [] : [this._here.off, this._batch.off];
    this._why.textContent = reasons.filter(text => text !== '').join(' ');
    for (const one of [this._here, this._batch, this._copy]) {
      one.button.classList.toggle('kk-mod-primary', one === this._primary);
    }
  }

  /** Of a run that is there already, what it left. */
  private _offer(checked: IChecked | null): void {
    const [run] = checked !== null && checked.runs === 1 ? checked.known : [];
    const links: [string, string | null, (path: string) => void][] = [
      ['Open its report', run?.links.report ?? null, path => this._desk.openReport(path)],
      ['Open its notebook', run?.links.notebook ?? null, path => void this._desk.openNotebook(path, false)]
    ];
    this._seen.replaceChildren(
      ...links.flatMap(([text, path, open]) => {
        if (path === null) {
          return [];
        }
        const button = html('button', { type: 'button', class: 'kk-Launch-link' }, text);
        button.addEventListener('click', () => open(path));
        return [button];
      })
    );
  }

  private _enable(action: IAction, off: string, does: string): void {
    action.off = off;
    action.button.disabled = off !== '' || this._busy;
    action.button.title = off || does;
  }

  /** Do what a button says, once at a time, and say why it did not work. */
  private async _act(act: () => Promise<void>): Promise<void> {
    if (this._busy) {
      return;
    }
    this._busy = true;
    this._say('');
    this._show();
    try {
      await act();
    } catch (error) {
      this._say((error as Error).message);
    } finally {
      this._busy = false;
      if (!this.isDisposed) {
        this._show();
      }
    }
  }

  private async _start(): Promise<void> {
    const { template, name, hideCode } = this._launch;
    const started = await this._client.start({
      template,
      values: this._values,
      name,
      hide_code: hideCode,
      force: this._again.checked,
      cluster: (await this._desk.scheduler()) || null
    });
    this._again.checked = false;
    this._followed.follow(started.runs);
    this._changed.emit();
    await this._check();
  }

  private async _open(run: boolean): Promise<void> {
    const path = await this._client.copy(this._launch.template, this._values, this._desk.folder());
    await this._desk.openNotebook(path, run);
  }

  private _say(text: string): void {
    this._problem.textContent = text;
  }

  private readonly _followed: Followed;
  private readonly _here: IAction;
  private readonly _batch: IAction;
  private readonly _copy: IAction;
  private readonly _asked = html('p', { class: 'kk-Launch-asked', 'aria-live': 'polite' });
  private readonly _known = html('span', {});
  private readonly _again = html('input', { type: 'checkbox' });
  private readonly _redo = html('label', { class: 'kk-Launch-redo', hidden: '' });
  private readonly _seen = html('span', { class: 'kk-Launch-seen' });
  private readonly _why = html('p', { class: 'kk-Launch-why' });
  private readonly _problem = html('p', { class: 'kk-Launch-problem', role: 'alert' });
  private readonly _changed = new Signal<this, void>(this);
  private readonly _checker = new Debouncer(() => this._check(), CHECK_MS);
  private _fields: Field[] = [];
  private _lists: Record<string, HTMLDataListElement> = {};
  private _strange: Values = {};
  private _checked: IChecked | null = null;
  private _unchecked = '';
  private _asking = 0;
  private _busy = false;
}
