/** Which runs are compared: a list to tick. */

import { html } from '../common/dom';
import { agoText, metricLabel, metricText, parseTime } from '../common/format';
import type { IRun } from '../runs/api';

function line(run: IRun, ticked: boolean): [HTMLLabelElement, HTMLInputElement] {
  const box = html('input', { type: 'checkbox', value: run.id });
  box.checked = ticked;
  const [metric] = Object.entries(run.metrics);
  const score = metric === undefined ? '' : `${metricLabel(metric[0])} ${metricText(...metric)}`;
  const about = [run.data?.name ?? '', score, agoText(parseTime(run.created), Date.now())].filter(text => text !== '');
  return [html('label', {}, box, html('b', {}, run.id), html('span', {}, about.join(' · '))), box];
}

/** The list; `choose` takes the ids that were ticked, `leave` is called where nothing is to change. */
export function drawPicker(
  runs: readonly IRun[],
  chosen: readonly string[],
  choose: (ids: string[]) => void,
  leave: () => void
): HTMLElement {
  const done = runs.filter(run => run.status === 'done' || chosen.includes(run.id));
  const lines = done.map(run => line(run, chosen.includes(run.id)));
  const compare = html('button', { type: 'submit', class: 'kk-Run-action kk-mod-main' }, 'Compare');
  const back = html('button', { type: 'button', class: 'kk-Run-action' }, 'Back');
  back.hidden = chosen.length < 2;
  back.addEventListener('click', leave);
  const said = html('p', { class: 'kk-Message', role: 'status' });
  const ticked = (): string[] => lines.filter(([, box]) => box.checked).map(([, box]) => box.value);
  const update = (): void => {
    const many = ticked().length;
    compare.disabled = many < 2;
    said.textContent =
      done.length < 2 ? 'There are fewer than two finished runs.' : `${many} chosen; two or more can be compared.`;
  };
  const list = html('div', { class: 'kk-Picker-list' }, ...lines.map(([label]) => label));
  const form = html(
    'form',
    { class: 'kk-Picker' },
    html('h2', {}, 'Which runs?'),
    said,
    list,
    html('div', { class: 'kk-Run-actions' }, compare, back)
  );
  form.addEventListener('change', update);
  form.addEventListener('submit', event => {
    event.preventDefault();
    choose(ticked());
  });
  update();
  return form;
}
