/** One parameter of a template: its label, control and help, and what is wrong with it. */

import { html } from '../common/dom';
import type { IChoices, IField } from './api';

const FILE = /\.(py|ipynb|zarr)(:|$)/;
const SWEPT = ['int', 'float'];

/** What a kind of value is called, and how one types several. */
function placeholder(field: IField): string {
  return SWEPT.includes(field.kind) ? 'a number, or a:b:c for a run each' : '';
}

/** A field of the form; `changed` is called after each stroke. */
export class Field {
  constructor(
    readonly field: IField,
    prefix: string,
    private readonly _changed: () => void
  ) {
    const id = `${prefix}-${field.name}`;
    this._control = field.kind === 'bool' ? html('input', { type: 'checkbox' }) : html('input', { type: 'text' });
    this._control.id = id;
    this._control.addEventListener('input', () => this._onInput());
    this._help.id = `${id}-help`;
    this._note.id = `${id}-note`;
    this._control.setAttribute('aria-describedby', `${this._help.id} ${this._note.id}`);
    if (this._control.type === 'text') {
      Object.assign(this._control, { spellcheck: false, autocomplete: 'off', placeholder: placeholder(field) });
      if (field.choices !== null) {
        this._control.setAttribute('list', `${prefix}-${field.choices}`);
      }
    }
    this._reset.addEventListener('click', () => {
      this.text = null;
      this._changed();
      this._control.focus();
    });
    const kind = SWEPT.includes(field.kind) || field.kind === 'bool' ? field.kind : 'text';
    this.node = html(
      'div',
      { class: `kk-Field kk-mod-${kind}`, 'data-field': field.name },
      html('label', { for: id }, field.name),
      html('div', { class: 'kk-Field-control' }, this._control, this._help, this._reset, this._note)
    );
    this._help.textContent = field.help;
    this.text = null;
  }

  readonly node: HTMLElement;

  /** What is typed, null where it is the default. */
  get text(): string | null {
    return this._text() === this.field.text ? null : this._text();
  }

  set text(text: string | null) {
    const shown = text ?? this.field.text ?? '';
    if (this._control.type === 'checkbox' && !/^(true|false)$/i.test(shown)) {
      this._control.type = 'text'; // both of them, a run each
    }
    this._control.value = shown;
    this._control.checked = /^true$/i.test(shown);
    this._touched = text !== null;
    this._showDefault();
  }

  /** Says what is wrong, or nothing. */
  set error(sentence: string | null) {
    this._error = sentence;
    this._showNote();
  }

  /** The names that are known. */
  set choices(choices: IChoices) {
    this._names = this.field.choices === null ? null : choices[this.field.choices];
    this._showNote();
  }

  focus(): void {
    this._control.focus();
  }

  private _text(): string | null {
    if (this._control.type === 'checkbox') {
      return this._control.checked ? 'True' : 'False';
    }
    // a default that cannot be typed is left alone until something is typed
    return this.field.text === null && this._control.value === '' ? null : this._control.value;
  }

  private _onInput(): void {
    this._touched = true;
    this._showDefault();
    this._showNote();
    this._changed();
  }

  private _showDefault(): void {
    const own = this._touched && this.text !== null;
    this._reset.hidden = !own;
    this._reset.textContent = `Default: ${(this.field.text ?? String(this.field.default)) || 'empty'}`;
    this._reset.title = 'Take the default again';
    this.node.classList.toggle('kk-mod-own', own);
  }

  /** The error, or that a name is not among those known here, which may still be right. */
  private _showNote(): void {
    const unknown = (this._text() ?? '')
      .split(',')
      .map(name => name.trim().replace(/^(['"])(.*)\1$/, '$2'))
      .find(name => name !== '' && !FILE.test(name) && this._names?.includes(name) === false);
    const what = this.field.choices === 'data' ? 'data' : 'strategy';
    const note = unknown === undefined ? '' : `No ${what} is known here as ${unknown}.`;
    this._note.textContent = this._error ?? note;
    this._note.classList.toggle('kk-mod-error', this._error !== null);
    this._control.setAttribute('aria-invalid', String(this._error !== null));
  }

  private readonly _control: HTMLInputElement;
  private readonly _help = html('div', { class: 'kk-Field-help' });
  private readonly _reset = html('button', { type: 'button', class: 'kk-Field-reset' });
  private readonly _note = html('div', { class: 'kk-Field-note', 'aria-live': 'polite' });
  private _names: string[] | null = null;
  private _error: string | null = null;
  private _touched = false;
}
