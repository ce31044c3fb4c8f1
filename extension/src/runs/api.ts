/** Runs as the server describes them. */

import type { ServerConnection } from '@jupyterlab/services';

import type { IPace } from '../common/progress';
import { ask } from '../common/request';

export type Status = 'queued' | 'running' | 'done' | 'failed' | 'cancelled' | 'lost';

/**
 * One run; times are ISO-8601 UTC or empty, `progress` is 0 to 1, `cells` is 0 until it is known, a link is null where
 * there is no such file in reach.
 */
export interface IRun extends IPace {
  id: string;
  name: string;
  template: string;
  status: Status;
  created: string;
  finished: string | null;
  progress: number;
  cell: number;
  cells: number;
  metrics: Record<string, number | null>;
  data: { name?: string } | null;
  error: string | null;
  links: { notebook: string | null; report: string | null };
}

/** The runs, newest first, and where they are kept. */
export interface IRunList {
  root: string;
  notice: string | null;
  runs: IRun[];
}

/** Ask the server for its runs. */
export function fetchRuns(settings: ServerConnection.ISettings): Promise<IRunList> {
  return ask<IRunList>(settings, 'runs');
}
