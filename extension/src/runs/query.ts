/** Which runs are shown, and in which order. */

import { inOrder, spelt } from '../common/format';
import type { IRun } from './api';

/** Whether a run has a parameter as `train=2Y` says it: a number is that number, a text begins so. */
function hasParameter(run: IRun, word: string): boolean {
  const [name, wanted] = [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)];
  return Object.entries(run.parameters).some(([own, value]) => {
    if (own.toLowerCase() !== name) {
      return false;
    }
    const whole = typeof value === 'number' && wanted !== '';
    return whole ? Number(wanted) === value : spelt(value).toLowerCase().startsWith(wanted);
  });
}

/** Whether a run has every word of a filter; `tag:spx`, `status:done` and `train=2Y` ask for that alone. */
export function matches(run: IRun, filter: string): boolean {
  const text = [run.name, run.status, run.template, run.strategy, run.data?.name, run.verdict?.judgement, ...run.tags]
    .join(' ')
    .toLowerCase();
  const words = filter.toLowerCase().split(/\s+/);
  return words.every(word => {
    if (word.startsWith('tag:')) {
      return run.tags.some(tag => tag.toLowerCase().startsWith(word.slice(4)));
    }
    if (word.startsWith('status:')) {
      return run.status.startsWith(word.slice(7));
    }
    return text.includes(word) || (word.includes('=') && hasParameter(run, word));
  });
}

/** What runs can be sorted by: `created`, `name`, `status`, or a metric. */
export const FIXED = { created: 'Newest', name: 'Name', status: 'Status' } as const;

/** The metrics that some of the runs have, in reading order. */
export function metricsOf(runs: readonly IRun[]): string[] {
  return inOrder([...new Set(runs.flatMap(run => Object.keys(run.metrics)))]);
}

const LIFE = ['running', 'queued', 'lost', 'failed', 'cancelled', 'done'];

function compare(one: IRun, other: IRun, by: string): number {
  switch (by) {
    case 'created':
      return one.created < other.created ? 1 : one.created > other.created ? -1 : 0;
    case 'name':
      return one.name.localeCompare(other.name);
    case 'status':
      return LIFE.indexOf(one.status) - LIFE.indexOf(other.status);
    default:
      return (other.metrics[by] ?? 0) - (one.metrics[by] ?? 0);
  }
}

/** The runs in order: newest, first letter, most urgent, highest number first, or the other way round. */
export function sorted(runs: readonly IRun[], by: string, reversed: boolean): IRun[] {
  const lacks = (run: IRun): number => (by in FIXED || typeof run.metrics[by] === 'number' ? 0 : 1);
  // what has no number is last, whichever way the numbers go
  return [...runs].sort((a, b) => lacks(a) - lacks(b) || (reversed ? -1 : 1) * compare(a, b, by));
}
