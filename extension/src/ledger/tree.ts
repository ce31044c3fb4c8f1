/** The family tree of a strategy: a version under the one that it was edited from. */

import { html } from '../common/dom';
import { count, metricText, plural } from '../common/format';
import type { IVersion } from './api';

/** Trees with more versions begin closed below the first generation. */
const OPEN = 30;

function score(version: IVersion): string {
  const [inside, outside] = [version.best_sharpe_ratio, version.oos_sharpe_ratio];
  const parts = [
    inside === null ? '' : `best Sharpe ${metricText('sharpe_ratio', inside)}`,
    outside === null ? '' : `walk-forward ${metricText('sharpe_ratio', outside)}`
  ].filter(text => text !== '');
  return parts.length === 0 ? 'no result' : parts.join(', ');
}

function lines(diff: string): HTMLElement {
  const shown = diff.split('\n').map(line => {
    const kind = line.startsWith('+') ? 'added' : line.startsWith('-') ? 'removed' : 'same';
    return html('span', { class: `kk-mod-${kind}` }, `${line}\n`);
  });
  return html('pre', { class: 'kk-Diff', 'aria-label': 'What this edit changed' }, ...shown);
}

function head(version: IVersion, strategy: string): HTMLElement {
  const failed = version.failed === 0 ? '' : `, ${count(version.failed)} failed`;
  const chips = version.edit.map(kind => html('span', { class: 'kk-Chip' }, kind));
  return html(
    'span',
    { class: 'kk-Version' },
    html('code', {}, version.source),
    version.strategy === strategy ? null : html('b', {}, version.strategy),
    html('time', { datetime: version.first }, version.first.slice(0, 10)),
    html('span', { class: 'kk-Version-trials' }, `${plural(version.trials, 'trial')}${failed}`),
    html('span', { class: 'kk-Version-score' }, score(version)),
    ...chips
  );
}

/** The items of one level; `level` counts from 1. */
function branch(
  versions: readonly IVersion[],
  parent: number | null,
  strategy: string,
  level: number
): HTMLLIElement[] {
  return versions.flatMap((version, k) => {
    if (version.parent !== parent) {
      return [];
    }
    const below = branch(versions, k, strategy, level + 1);
    const inner = [...(version.diff === '' ? [] : [lines(version.diff)]), ...below];
    const open = versions.length <= OPEN || level === 1;
    const twig = html('span', { class: 'kk-Twig', 'aria-hidden': 'true' }, inner.length === 0 ? '·' : '▸');
    const row = html('div', { class: 'kk-Tree-row' }, twig, head(version, strategy));
    const item = html('li', { role: 'treeitem', tabindex: -1, 'aria-level': level }, row);
    if (inner.length > 0) {
      item.setAttribute('aria-expanded', String(open));
      item.append(
        html(
          'ul',
          { role: 'group' },
          ...inner.map(one => (one instanceof HTMLLIElement ? one : html('li', { role: 'none' }, one)))
        )
      );
    }
    return [item];
  });
}

function items(tree: Element): HTMLElement[] {
  return [...tree.querySelectorAll<HTMLElement>('[role="treeitem"]')].filter(
    item => item.parentElement?.closest('[aria-expanded="false"]') === null
  );
}

/** Arrow keys as in any tree: up and down among what is shown, right opens, left closes or goes to the parent. */
function move(tree: HTMLElement, event: KeyboardEvent): void {
  const own = (event.target as Element).closest<HTMLElement>('[role="treeitem"]');
  if (own === null) {
    return;
  }
  const shown = items(tree);
  const at = shown.indexOf(own);
  const open = own.getAttribute('aria-expanded');
  const targets: Record<string, () => HTMLElement | null | undefined> = {
    ArrowDown: () => shown[at + 1],
    ArrowUp: () => shown[at - 1],
    Home: () => shown[0],
    End: () => shown[shown.length - 1],
    ArrowRight: () => (open === 'false' ? toggle(own) : shown[at + 1]),
    ArrowLeft: () => (open === 'true' ? toggle(own) : own.parentElement?.closest<HTMLElement>('[role="treeitem"]')),
    Enter: () => toggle(own),
    ' ': () => toggle(own)
  };
  const target = targets[event.key];
  if (target !== undefined) {
    event.preventDefault();
    focus(tree, target() ?? own);
  }
}

/** Opens or closes an item, and returns it. */
function toggle(item: HTMLElement): HTMLElement {
  const open = item.getAttribute('aria-expanded');
  if (open !== null) {
    item.setAttribute('aria-expanded', String(open === 'false'));
  }
  return item;
}

function focus(tree: HTMLElement, item: HTMLElement): void {
  tree.querySelectorAll('[tabindex="0"]').forEach(other => other.setAttribute('tabindex', '-1'));
  item.setAttribute('tabindex', '0');
  item.focus();
}

/** The tree, with one place for the Tab key. */
export function drawTree(versions: readonly IVersion[], strategy: string): HTMLElement {
  const tree = html(
    'ul',
    { class: 'kk-Tree', role: 'tree', 'aria-label': `Versions of ${strategy}` },
    ...branch(versions, null, strategy, 1)
  );
  tree.querySelector('[role="treeitem"]')?.setAttribute('tabindex', '0');
  tree.addEventListener('keydown', event => move(tree, event));
  tree.addEventListener('click', event => {
    const row = (event.target as Element).closest('.kk-Tree-row');
    const item = row?.closest<HTMLElement>('[role="treeitem"]') ?? null;
    if (item !== null) {
      focus(tree, toggle(item));
    }
  });
  return tree;
}
