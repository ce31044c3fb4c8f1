/** Runs as the server describes them. */

import type { ServerConnection } from '@jupyterlab/services';

import { paceText, type IPace } from '../common/progress';
import { ask } from '../common/request';

export type Status = 'queued' | 'running' | 'done' | 'failed' | 'cancelled' | 'lost';

/** What a launcher needs to run the same again, or why it cannot. */
export type Again = { template: string; values: Record<string, string>; off?: undefined } | { off: string };

/**
 * One run; times are ISO-8601 UTC or empty, `started` is that of the last attempt where there were several, `progress` is
 * 0 to 1, `cells` is 0 until it is known, a link is null where there is no such file in reach.
 */
export interface IRun extends IPace {
  id: string;
  name: string;
  template: string;
  status: Status;
  created: string;
  started?: string | null;
  finished: string | null;
  progress: number;
  cell: number;
  cells: number;
  parameters: Record<string, unknown>;
  metrics: Record<string, number | null>;
  data: { name?: string } | null;
  strategy: string | null;
  verdict: { judgement: string; meaning: string; p_value: number | null } | null;
  tags: string[];
  error: string | null;
  links: { notebook: string | null; report: string | null };
  again: Again;
}

/** The runs, newest first, and where they are kept. */
export interface IRunList {
  root: string;
  notice: string | null;
  runs: IRun[];
}

/** How a run goes: the time that its record tells of is that of the cell at work, which is not the whole run. */
export function runPace(run: IRun): string {
  return paceText(run, 'left in this cell');
}

/** Ask the server for its runs, or for those of some ids alone. */
export function fetchRuns(settings: ServerConnection.ISettings, ids: readonly string[] = []): Promise<IRunList> {
  const query = ids.map(id => `id=${encodeURIComponent(id)}`).join('&');
  return ask<IRunList>(settings, query === '' ? 'runs' : `runs?${query}`);
}

const at = (id: string, below = ''): string => `runs/${encodeURIComponent(id)}${below}`;

/** Stop a run; resolves when it has stopped. */
export function cancelRun(settings: ServerConnection.ISettings, id: string): Promise<IRun> {
  return ask<IRun>(settings, at(id, '/cancel'), { method: 'POST' });
}

/** Go on with a run from where it was left; resolves when it waits for its turn. */
export function resumeRun(settings: ServerConnection.ISettings, id: string): Promise<IRun> {
  return ask<IRun>(settings, at(id, '/resume'), { method: 'POST' });
}

/** Delete a run with its files. */
export async function deleteRun(settings: ServerConnection.ISettings, id: string): Promise<void> {
  await ask(settings, at(id), { method: 'DELETE' });
}

/** Give a run other tags. */
export async function putTags(settings: ServerConnection.ISettings, id: string, tags: string[]): Promise<void> {
  await ask(settings, at(id, '/tags'), { method: 'PUT', body: JSON.stringify({ tags }) });
}
