/** The progress event, `application/vnd.kernelkit.progress.v1+json`. */

import { html } from './dom';
import { compact, durationText } from './format';

export const PROGRESS_MIME = 'application/vnd.kernelkit.progress.v1+json';

export interface IProgress {
  label: string;
  done: number;
  total: number;
  eta_s: number | null;
  candles_per_s: number | null;
}

/** A bar filled to `share` (0 to 1). */
export function drawBar(share: number): HTMLElement {
  const percent = Math.round(100 * Math.min(1, Math.max(0, share)));
  const fill = html('i', {});
  fill.style.width = `${percent}%`;
  const aria = { role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': percent };
  return html('div', { class: 'kk-Bar', ...aria }, fill);
}

/** What is left to wait, and how fast it goes: "12 s left · 25.3M candles/s". */
export function paceText(eta: number | null, speed: number | null): string {
  return [
    eta === null ? '' : `${durationText(eta)} left`,
    speed === null ? '' : `${compact(speed)} candles/s`
  ]
    .filter(text => text !== '')
    .join(' · ');
}

/** One line of text above a bar. */
export function drawProgress(event: IProgress): HTMLElement[] {
  const [done, total] = [event.done, event.total].map(n => n.toLocaleString('en-US'));
  const count = event.total === 1 ? '' : `${done} of ${total}`;
  const over = event.done >= event.total;
  const pace = paceText(over ? null : event.eta_s, event.candles_per_s);
  const line = [event.label, count, pace].filter(text => text !== '').join(' · ');
  return [html('div', { class: 'kk-Progress-line' }, line), drawBar(event.done / (event.total || 1))];
}
