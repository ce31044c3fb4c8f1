/** The runs of the server, kept current: by events where they come, by asking again where they do not. */

import type { Event, ServiceManager } from '@jupyterlab/services';
import { Poll } from '@lumino/polling';
import { Signal, type ISignal } from '@lumino/signaling';

import { cancelRun, deleteRun, fetchRuns, putTags, resumeRun, type IRun, type IRunList } from './api';
import { apartOf, type Apart } from './apart';
import { sorted } from './query';

const EVENTS = 'urn:kernelkit:runs';
/** The server sends an event every 5 seconds, if only to say that it looks; three missing are no accident. */
const SILENCE = 15_000;
/** With events the list is asked for so seldom; it is what keeps the server looking. */
const SELDOM = 30_000;
/** A server that is gone is asked again at least so often. */
const MAX_INTERVAL = 10_000;
/** So many changes at once are read as a list. */
const MANY = 100;

/** Loads while `isWanted` says that somebody looks. */
export class RunsModel {
  constructor(services: ServiceManager.IManager, isWanted: () => boolean) {
    this._services = services;
    this._isWanted = isWanted;
    this._poll = new Poll({
      auto: false,
      name: '@kernelkit/labextension:runs',
      factory: () => this._tick(),
      frequency: { interval: 2000, backoff: true, max: MAX_INTERVAL },
      standby: () => (isWanted() ? 'when-hidden' : true)
    });
    services.events.stream.connect(this._onEvent, this);
  }

  dispose(): void {
    this._poll.dispose();
    Signal.clearData(this);
  }

  /** Emitted when there is something else to show. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The runs, newest first, and where they are; null before the first answer. */
  get list(): IRunList | null {
    return this._list;
  }

  /** What tells a run from those like it; nothing where it is alone. */
  apart(id: string): readonly string[] {
    return this._apart.get(id) ?? [];
  }

  /** Why the list is not current, or null. */
  get problem(): string | null {
    return this._problem;
  }

  /** Seconds between two questions where no events come. */
  set pollInterval(seconds: number) {
    const interval = 1000 * seconds;
    this._poll.frequency = { interval, backoff: true, max: Math.max(MAX_INTERVAL, interval) };
  }

  /** The run with this id, or null where it is not listed. */
  run(id: string): IRun | null {
    return this._list?.runs.find(run => run.id === id) ?? null;
  }

  /** What is being done to a run right now, in a word. */
  pending(id: string): string | null {
    return this._pending.get(id) ?? null;
  }

  /** Ask for all runs now. */
  async refresh(): Promise<void> {
    this._asked = 0;
    await this._poll.refresh();
  }

  /** Stop a run. */
  cancel(id: string): Promise<void> {
    return this._during(id, 'cancelling', () => cancelRun(this._settings, id));
  }

  /** Go on with a run from where it was left. */
  resume(id: string): Promise<void> {
    return this._during(id, 'resuming', () => resumeRun(this._settings, id));
  }

  /** Delete a run with its files. */
  delete(id: string): Promise<void> {
    return this._during(id, 'deleting', () => deleteRun(this._settings, id));
  }

  /** Give a run other tags. */
  tag(id: string, tags: string[]): Promise<void> {
    return this._during(id, 'tagging', () => putTags(this._settings, id, tags));
  }

  private get _settings(): ServiceManager.IManager['serverSettings'] {
    return this._services.serverSettings;
  }

  private async _during(id: string, word: string, work: () => Promise<unknown>): Promise<void> {
    this._pending.set(id, word);
    this._changed.emit();
    try {
      await work();
    } finally {
      this._pending.delete(id);
      await this._update([id]).catch(() => this.refresh());
      this._changed.emit();
    }
  }

  private async _tick(): Promise<void> {
    const now = Date.now();
    if (now - this._heard < SILENCE && now - this._asked < SELDOM && this._problem === null) {
      return;
    }
    try {
      await this._read(null);
      this._asked = now;
      this._problem = null;
    } catch (error) {
      const old = this._list === null ? '' : ' What is shown may be old.';
      this._problem = `The runs cannot be read: ${(error as Error).message}${old}`;
      throw error;
    } finally {
      this._changed.emit();
    }
  }

  private _onEvent(_: Event.IManager, event: Event.Emission): void {
    if (event.schema_id !== EVENTS) {
      return;
    }
    this._heard = Date.now();
    const ids = event['ids'] as string[];
    if (ids.length > 0 && this._isWanted()) {
      void (ids.length > MANY || this._list === null ? this.refresh() : this._update(ids).catch(() => this.refresh()));
    }
  }

  /** Reads some runs anew; those that the server knows no more leave the list. */
  private async _update(ids: readonly string[]): Promise<void> {
    await this._read(ids);
    this._changed.emit();
  }

  /** Asks for some runs, or for all, and takes from the answer what no later question has been answered about. */
  private async _read(ids: readonly string[] | null): Promise<void> {
    const question = (this._questions += 1);
    const answer = await fetchRuns(this._settings, ids ?? []);
    const told = (id: string): boolean =>
      (ids === null || ids.includes(id)) && question > Math.max(this._listed, this._told.get(id) ?? 0);
    const kept = this._list?.runs.filter(run => !told(run.id)) ?? [];
    const runs = [...answer.runs.filter(run => told(run.id)), ...kept];
    this._list = { ...answer, runs: sorted(runs, 'created', false) };
    this._apart = apartOf(this._list.runs);
    if (ids === null) {
      this._listed = Math.max(this._listed, question);
    } else {
      ids.filter(told).forEach(id => this._told.set(id, question));
    }
  }

  private readonly _services: ServiceManager.IManager;
  private readonly _isWanted: () => boolean;
  private readonly _poll: Poll;
  private readonly _changed = new Signal<this, void>(this);
  private readonly _pending = new Map<string, string>();
  private _list: IRunList | null = null;
  private _apart: Apart = new Map();
  private _problem: string | null = null;
  private _heard = 0;
  private _asked = 0;
  private _questions = 0;
  /** The latest question that was answered about all runs, and those about single ones. */
  private _listed = 0;
  private readonly _told = new Map<string, number>();
}
