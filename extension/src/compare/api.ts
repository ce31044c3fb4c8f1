/** Runs side by side as the server tells of them. */

import type { ServerConnection } from '@jupyterlab/services';

import { ask } from '../common/request';

export type Maybe = number | null;
export type Matrix = Maybe[][];

export interface IRow {
  id: string;
  status: string;
  parameters: Record<string, unknown>;
  circumstances: Record<string, unknown>;
  metrics: Record<string, Maybe>;
}

/** A test of every pair, row less column; p-values count for all pairs in `adjusted`. */
export interface ITest {
  metric: string;
  method: string;
  level: number;
  difference: Matrix;
  low: Matrix;
  high: Matrix;
  p_value: Matrix;
  adjusted: Matrix;
}

/** Growth of 1 and the drawdown (<= 0) of one run, thinned. */
export interface IGrowth {
  time: string[];
  growth: Maybe[];
  drawdown: Maybe[];
}

/** Runs on their common sessions; lists and matrices in the order of `ids`. */
export interface ICommon {
  ids: string[];
  start: string;
  end: string;
  sessions: number;
  metrics: Record<string, Maybe[]>;
  correlation: Matrix;
  tests: ITest[];
  curves: IGrowth[];
}

/** What the parameters of a run know of the sessions of its curve: nothing, all, or whatever whoever fixed them knew. */
export type Sample = 'out of sample' | 'in sample' | 'fixed parameters';

export interface IComparison {
  runs: IRow[];
  names: string[];
  best: Record<string, number[]>;
  curves: { name: string | null; sample: Sample | null; sessions: number; reason: string | null }[];
  common: ICommon | null;
  why: string | null;
}

/** Ask the server to put these runs side by side. */
export function fetchComparison(settings: ServerConnection.ISettings, ids: readonly string[]): Promise<IComparison> {
  const query = ids.map(id => `ids=${encodeURIComponent(id)}`).join('&');
  return ask<IComparison>(settings, `compare?${query}`);
}

/** Where the runs that have a curve stand among all. */
export function placesOf(found: IComparison): number[] {
  return (found.common?.ids ?? []).map(id => found.runs.findIndex(run => run.id === id));
}
