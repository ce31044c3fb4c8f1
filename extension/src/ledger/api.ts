/** The ledger as the server tells of it. */

import type { ServerConnection } from '@jupyterlab/services';

import { ask } from '../common/request';

type Maybe = number | null;

/** What was tried: `runs` of rivals, `distinct` of them, `beside` what was computed along with them. */
export interface ICounts {
  runs: number;
  distinct: number;
  failed: number;
  pruned: number;
  beside: number;
  first: string;
  last: string;
}

export interface IStrategy extends ICounts {
  strategy: string;
  best_sharpe_ratio: Maybe;
}

export interface IDay {
  day: string;
  trials: number;
}

export interface IFamily {
  market: string;
  assets: string[];
  generated: boolean;
  start: string;
  end: string;
  runs: number;
  distinct: number;
  failed: number;
  declared: number;
}

export interface ILedger {
  at: string;
  strategies: IStrategy[];
  days: IDay[];
  families: IFamily[];
  damage: string[];
}

/** One source of a strategy; `parent` is the place of what it was edited from. */
export interface IVersion {
  strategy: string;
  source: string;
  parent: number | null;
  edit: string[];
  trials: number;
  failed: number;
  best_sharpe_ratio: Maybe;
  oos_sharpe_ratio: Maybe;
  first: string;
  last: string;
  diff: string;
}

/** `luck` is the Sharpe ratio that the best of so many trials without skill is expected to have. */
export interface ICost {
  sentence: string;
  best: Maybe;
  years: Maybe;
  counts: { of: string; trials: number; luck: Maybe }[];
}

export interface ITrail extends ICounts {
  strategy: string;
  days: IDay[];
  versions: IVersion[];
  cost: ICost | null;
  assets: string[];
  sealed_since: string | null;
  looks: { at: string; strategy: string; role: string; trials: number }[];
  damage: string[];
}

/** Ask the server for its ledger. */
export function fetchLedger(settings: ServerConnection.ISettings): Promise<ILedger> {
  return ask<ILedger>(settings, 'ledger');
}

/** Ask the server for one strategy. */
export function fetchTrail(settings: ServerConnection.ISettings, strategy: string): Promise<ITrail> {
  return ask<ITrail>(settings, `ledger/strategy/${encodeURIComponent(strategy)}`);
}
