/** One run as a card of the panel. */

import { html } from '../common/dom';
import { agoText, durationText, metricLabel, metricText, parseTime, plural, shortened } from '../common/format';
import { drawBar } from '../common/progress';
import { runPace, type IRun } from './api';

/**
 * What else a card tells: what is being done to the run, by which parameters it is told from those like it, and why no
 * file of any run can be opened.
 */
export interface IRemark {
  pending: string | null;
  apart: readonly string[];
  notice: string | null;
}

/** A run's headline: the first of these that it has, at most three. */
const HEADLINE = [
  'oos_sharpe_ratio',
  'sharpe_ratio',
  'oos_cagr',
  'cagr',
  'oos_max_drawdown',
  'max_drawdown',
  'total_return'
];

/** So many letters of a parameter have room beside others. */
const PARAMETER = 28;

const SHORT: Record<string, string> = {
  sharpe_ratio: 'Sharpe',
  cagr: 'CAGR',
  max_drawdown: 'Max DD',
  total_return: 'Return'
};

/** A metric's name where there is little room. */
export function shortLabel(name: string): string {
  const plain = name.replace(/^oos_/, '');
  return `${name === plain ? '' : 'OOS '}${SHORT[plain] ?? metricLabel(plain)}`;
}

function headline(run: IRun): HTMLElement | null {
  const known = HEADLINE.filter(name => typeof run.metrics[name] === 'number');
  const covered = (name: string): boolean => known.includes(`oos_${name}`);
  const others = Object.keys(run.metrics).filter(name => !HEADLINE.includes(name));
  const names = [...known.filter(name => !covered(name)), ...others].slice(0, 3);
  if (names.length === 0) {
    return null;
  }
  const pairs = names.map(name =>
    html(
      'div',
      { title: metricLabel(name) },
      html('dt', {}, shortLabel(name)),
      html('dd', {}, metricText(name, run.metrics[name]))
    )
  );
  return html('dl', { class: 'kk-Run-metrics' }, ...pairs);
}

function apartLine(apart: readonly string[]): HTMLElement | null {
  const shown = apart.flatMap(text => [html('span', {}, shortened(text, PARAMETER)), ' ']);
  return apart.length === 0 ? null : html('div', { class: 'kk-Run-apart', title: apart.join('\n') }, ...shown);
}

function verdict(run: IRun): HTMLElement | null {
  if (run.verdict === null) {
    return null;
  }
  const good = run.verdict.judgement.startsWith('significant') ? ' kk-mod-good' : '';
  return html('div', { class: `kk-Run-verdict${good}`, title: run.verdict.meaning }, run.verdict.judgement);
}

function runningText(run: IRun): string {
  const cells = run.cells === 0 ? '' : `cell ${run.cell} of ${run.cells}`;
  const share = `${Math.floor(100 * run.progress)} %`;
  return [share, cells, runPace(run)].filter(text => text !== '').join(' · ');
}

/** What became of the run, in a few words. */
export function outcome(run: IRun): string {
  const at = `at ${Math.floor(100 * run.progress)} %; kernelkit resume goes on with it`;
  switch (run.status) {
    case 'queued':
      return 'waiting for its turn';
    case 'running':
      return runningText(run);
    case 'done': {
      const took = run.finished === null ? null : parseTime(run.finished) - parseTime(run.started ?? run.created);
      const failed = run.failed ? ` · ${plural(run.failed, 'trial')} failed` : '';
      const error = run.error === null ? '' : ` · ${run.error}`;
      return (took === null ? 'finished' : `finished in ${durationText(took / 1000)}`) + failed + error;
    }
    case 'cancelled':
      return `cancelled ${at}`;
    case 'lost':
      return `its process is gone, ${at}`;
    case 'failed':
      return (run.error ?? 'failed without a message').trim().split('\n').slice(-1).join('');
  }
}

/** A cell with a button; one that is off can be reached too, as its title says why it is. */
function action(run: IRun, text: string, command: string, title: string, off = false): HTMLElement {
  const button = html(
    'button',
    {
      type: 'button',
      class: 'kk-Run-action',
      'data-command': command,
      'aria-label': `${text} of ${run.name}`,
      'aria-disabled': String(off),
      title,
      tabindex: -1
    },
    text
  );
  return html('span', { role: 'gridcell' }, button);
}

function opening(run: IRun, what: 'notebook' | 'report', text: string, notice: string | null): HTMLElement {
  const path = run.links[what];
  return action(run, text, `kernelkit:open-${what}`, path ?? missing(run, what, notice), path === null);
}

/** The reason why a file of the run cannot be opened, or the general one that holds for all runs. */
export function missing(run: IRun, what: string, notice: string | null): string {
  const early = run.status === 'running' || run.status === 'queued';
  return notice ?? (early ? `The run has not written its ${what} yet.` : `The run left no ${what}.`);
}

function tagLine(run: IRun): HTMLElement | null {
  const tags = run.tags.map(tag => html('span', { class: 'kk-Tag' }, tag));
  return tags.length === 0 ? null : html('div', { class: 'kk-Run-tags' }, ...tags);
}

/** What a card tells, above its buttons. */
function told(run: IRun, about: string, now: number, { pending, apart }: IRemark): HTMLElement {
  return html(
    'div',
    { role: 'gridcell' },
    html(
      'div',
      { class: 'kk-Run-head' },
      html('span', { class: 'kk-Run-name', title: run.id }, run.name),
      html('span', { class: 'kk-Status' }, pending ?? run.status)
    ),
    html(
      'div',
      { class: 'kk-Run-about' },
      html('span', { title: about }, about),
      html('time', { datetime: run.created }, agoText(parseTime(run.created), now))
    ),
    apartLine(apart),
    run.status === 'running' ? drawBar(run.progress) : null,
    html('div', { class: 'kk-Run-outcome' }, outcome(run)),
    headline(run),
    verdict(run),
    tagLine(run)
  );
}

/** The card; its buttons carry the command to execute in `data-command`. */
export function drawCard(run: IRun, now: number, remark: IRemark): HTMLElement {
  const { pending, apart, notice } = remark;
  const about = [run.template, run.strategy ?? '', run.data?.name ?? ''].filter(text => text !== '').join(' · ');
  const spoken = [run.name, pending ?? run.status, about, ...apart, run.verdict?.judgement ?? '', ...run.tags];
  return html(
    'div',
    {
      class: `kk-Run kk-mod-${run.status}`,
      role: 'row',
      'aria-label': spoken.filter(text => text !== '').join(', '),
      'aria-selected': 'false',
      tabindex: -1,
      'data-run': run.id
    },
    told(run, about, now, remark),
    html(
      'div',
      { class: 'kk-Run-actions', role: 'none' },
      opening(run, 'notebook', 'Notebook', notice),
      opening(run, 'report', 'Report', notice),
      action(run, 'Tags', 'kernelkit:edit-tags', 'Edit tags')
    )
  );
}
