/** The list of runs as a grid, a row for each: selection by mouse and keyboard, and dragging. */

import type { MimeData } from '@lumino/coreutils';
import { Drag } from '@lumino/dragdrop';
import { Signal, type ISignal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';

import { html, place, renew } from '../common/dom';
import { agoText, parseTime } from '../common/format';
import type { IRun } from './api';
import { drawCard, type IRemark } from './card';

/** Pixels that a pressed mouse moves before it drags. */
const THRESHOLD = 5;
/** The place before the buttons of a card. */
const CARD = -1;

interface ICard {
  run: IRun;
  remark: IRemark;
  node: HTMLElement;
}

/** What a person wants to be done with the selected runs. */
export type Wish = 'open' | 'delete';

export class RunsList extends Widget {
  /** `carry` is what is dragged when the selected runs are. */
  constructor(carry: () => MimeData) {
    super({ node: html('div', { class: 'kk-Runs-list' }) });
    this._carry = carry;
    const aria = { role: 'grid', 'aria-label': 'Backtest runs', 'aria-multiselectable': 'true' };
    Object.entries(aria).forEach(([name, value]) => this.node.setAttribute(name, value));
    for (const type of ['pointerdown', 'pointermove', 'pointerup', 'dblclick', 'contextmenu', 'keydown', 'focusin']) {
      this.node.addEventListener(type, this);
    }
  }

  /** Emitted when other runs are selected. */
  get selectionChanged(): ISignal<this, void> {
    return this._selectionChanged;
  }

  /** Emitted when a person double-clicks, or types Enter or Delete. */
  get wished(): ISignal<this, Wish> {
    return this._wished;
  }

  /** The ids of the selected runs, from top to bottom. */
  get selection(): readonly string[] {
    return this._order.filter(id => this._selected.has(id));
  }

  /** Select these alone. */
  select(ids: readonly string[]): void {
    this._selected = new Set(ids.filter(id => this._cards.has(id)));
    this._mark();
  }

  /** Give the focus to the card of a run. */
  focus(id: string): void {
    this._focus(id, CARD);
  }

  /** Draw `runs` in this order; each keeps its card. */
  draw(runs: readonly IRun[], remark: (run: IRun) => IRemark): void {
    const now = Date.now();
    const focused = this.node.contains(document.activeElement);
    const column = this._columnOf(document.activeElement);
    const cards = runs.map(run => this._card(run, remark(run), now));
    this._cards = new Map(cards.map(card => [card.run.id, card]));
    this._active = this._nearest(this._active);
    this._order = runs.map(run => run.id);
    place(
      this.node,
      cards.map(card => card.node)
    );
    this._selected = new Set(this._order.filter(id => this._selected.has(id)));
    this._mark();
    if (focused && !this.node.contains(document.activeElement)) {
      this._focus(this._active, column);
    }
  }

  handleEvent(event: Event): void {
    switch (event.type) {
      case 'pointerdown': {
        this._onPress(event as PointerEvent);
        return;
      }
      case 'pointermove': {
        this._onMove(event as PointerEvent);
        return;
      }
      case 'pointerup': {
        this._onRelease(event as PointerEvent);
        return;
      }
      case 'dblclick': {
        if (this._idAt(event) !== null && !isControl(event)) {
          this._wished.emit('open');
        }
        return;
      }
      case 'contextmenu': {
        this._onMenu(event);
        return;
      }
      case 'keydown': {
        this._onKey(event as KeyboardEvent);
        return;
      }
      case 'focusin': {
        this._activate(this._idAt(event) ?? this._active);
        return;
      }
    }
  }

  private _card(run: IRun, remark: IRemark, now: number): ICard {
    const old = this._cards.get(run.id);
    const same = old !== undefined && JSON.stringify(old.remark) === JSON.stringify(remark);
    if (same && (old.run === run || JSON.stringify(old.run) === JSON.stringify(run))) {
      const time = old.node.querySelector('time');
      const text = agoText(parseTime(run.created), now);
      if (time !== null && time.textContent !== text) {
        time.textContent = text;
      }
      return { ...old, run };
    }
    return { run, remark, node: renew(old?.node, drawCard(run, now, remark)) };
  }

  /** This run where it has a card, or of those around it the first that has. */
  private _nearest(id: string): string {
    const at = Math.max(0, this._order.indexOf(id));
    const around = [...this._order.slice(at), ...this._order.slice(0, at).reverse()];
    return around.find(one => this._cards.has(one)) ?? id;
  }

  private _idAt(event: Event): string | null {
    return (event.target as Element).closest<HTMLElement>('.kk-Run')?.dataset['run'] ?? null;
  }

  private _onPress(event: PointerEvent): void {
    const id = this._idAt(event);
    if (id === null || event.button !== 0 || isControl(event)) {
      return;
    }
    this._activate(id);
    this._focus(id, CARD);
    if (event.shiftKey) {
      this._extend(id);
    } else if (event.ctrlKey || event.metaKey) {
      this._toggle(id);
    } else {
      this._pressed = { id, x: event.clientX, y: event.clientY };
      if (!this._selected.has(id)) {
        this._choose(id);
      }
    }
    // a press selects no text, and leaves the focus where it was just put
    event.preventDefault();
  }

  private _onMove(event: PointerEvent): void {
    const from = this._pressed;
    if (from === null || Math.hypot(event.clientX - from.x, event.clientY - from.y) < THRESHOLD) {
      return;
    }
    this._pressed = null;
    const n = this.selection.length;
    const name = this._cards.get(from.id)?.run.name ?? from.id;
    const dragImage = html('div', { class: 'kk-Runs-drag' }, n === 1 ? name : `${n} runs`);
    const drag = new Drag({
      dragImage,
      mimeData: this._carry(),
      proposedAction: 'copy',
      supportedActions: 'copy',
      source: this
    });
    void drag.start(event.clientX, event.clientY).then(() => drag.dispose());
  }

  private _onRelease(event: PointerEvent): void {
    const id = this._pressed?.id ?? null;
    this._pressed = null;
    if (id !== null && id === this._idAt(event)) {
      this._choose(id);
    }
  }

  /** A menu is about what was selected before, or about the run that it was opened on. */
  private _onMenu(event: Event): void {
    const id = this._idAt(event);
    if (id !== null && !this._selected.has(id)) {
      this._choose(id);
    }
  }

  private _onKey(event: KeyboardEvent): void {
    if (event.target instanceof HTMLInputElement) {
      return;
    }
    const column = this._columnOf(event.target as Element);
    if (column !== CARD && (event.key === 'Enter' || event.key === ' ')) {
      return; // the button is pressed
    }
    const at = this._order.indexOf(this._active);
    const goals: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + 5,
      PageUp: at - 5,
      Home: 0,
      End: this._order.length - 1
    };
    const goal = goals[event.key];
    const beside: Record<string, number> = { ArrowRight: column + 1, ArrowLeft: column - 1, Escape: CARD };
    const across = beside[event.key];
    if (goal !== undefined) {
      this._go(Math.max(0, Math.min(this._order.length - 1, goal)), column, event);
    } else if (across !== undefined && !event.altKey) {
      this._focus(this._active, across);
    } else if (event.key === 'Enter') {
      this._wished.emit('open');
    } else if (event.key === 'Delete') {
      this._wished.emit('delete');
    } else if (event.key === ' ') {
      this._toggle(this._active);
    } else if (event.key === 'a' && (event.ctrlKey || event.metaKey)) {
      this.select(this._order);
      this._selectionChanged.emit();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  private _go(to: number, column: number, event: KeyboardEvent): void {
    const id = this._order[to];
    if (id === undefined) {
      return;
    }
    this._activate(id);
    this._focus(id, column);
    this._cards.get(id)?.node.scrollIntoView({ block: 'nearest' });
    if (event.shiftKey) {
      this._extend(id);
    } else if (!event.ctrlKey && !event.metaKey) {
      this._choose(id);
    }
  }

  /** Which button of its card an element is, or `CARD`. */
  private _columnOf(element: Element | null): number {
    const card = element?.closest('.kk-Run') ?? null;
    return card === null ? CARD : [...card.querySelectorAll('button')].findIndex(one => one === element);
  }

  /** Focus a button of a card, the last where it has fewer, or the card itself. */
  private _focus(id: string, column: number): void {
    const card = this._cards.get(id)?.node;
    const buttons = [...(card?.querySelectorAll('button') ?? [])];
    (buttons[Math.min(column, buttons.length - 1)] ?? card)?.focus();
  }

  private _choose(id: string): void {
    this._anchor = id;
    this.select([id]);
    this._selectionChanged.emit();
  }

  private _toggle(id: string): void {
    this._anchor = id;
    const others = [...this._selected].filter(one => one !== id);
    this.select(this._selected.has(id) ? others : [...others, id]);
    this._selectionChanged.emit();
  }

  /** Select from where the last selection began to `id`. */
  private _extend(id: string): void {
    const ends = [this._order.indexOf(this._anchor), this._order.indexOf(id)].map(i => Math.max(0, i));
    this.select(this._order.slice(Math.min(...ends), Math.max(...ends) + 1));
    this._selectionChanged.emit();
  }

  private _activate(id: string): void {
    this._active = id;
    this._mark();
  }

  /** Tells the elements which are selected, and which one the tab key reaches. */
  private _mark(): void {
    const reached = this._cards.has(this._active) ? this._active : (this._order[0] ?? '');
    for (const [id, { node }] of this._cards) {
      const [selected, tab] = [String(this._selected.has(id)), id === reached ? '0' : '-1'];
      if (node.getAttribute('aria-selected') !== selected) {
        node.setAttribute('aria-selected', selected);
      }
      if (node.getAttribute('tabindex') !== tab) {
        node.setAttribute('tabindex', tab);
      }
    }
    this._active = reached;
  }

  private readonly _carry: () => MimeData;
  private readonly _selectionChanged = new Signal<this, void>(this);
  private readonly _wished = new Signal<this, Wish>(this);
  private _cards = new Map<string, ICard>();
  private _order: string[] = [];
  private _selected = new Set<string>();
  private _active = '';
  private _anchor = '';
  private _pressed: { id: string; x: number; y: number } | null = null;
}

/** Whether an event belongs to a button or a field inside a card. */
function isControl(event: Event): boolean {
  return (event.target as Element).closest('button, input') !== null;
}
