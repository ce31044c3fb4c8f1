/** The progress event, `application/vnd.kernelkit.progress.v1+json`. */

import { html } from './dom';
import { compact, count, durationText, sizeText } from './format';

export const PROGRESS_MIME = 'application/vnd.kernelkit.progress.v1+json';

/** What an event and a run tell of work that goes on; what earlier versions did not say is not there. */
export interface IPace {
  eta_s: number | null;
  candles_per_s: number | null;
  failed?: number | null;
  cpu_percent?: number | null;
  memory_bytes?: number | null;
}

export interface IProgress extends IPace {
  label: string;
  done: number;
  total: number;
}

/** A bar filled to `share` (0 to 1). */
export function drawBar(share: number): HTMLElement {
  const percent = Math.round(100 * Math.min(1, Math.max(0, share)));
  const fill = html('i', {});
  fill.style.width = `${percent}%`;
  const aria = { role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': percent };
  return html('div', { class: 'kk-Bar', ...aria }, fill);
}

/**
 * What failed, what is left to wait, how fast it goes: "2 failed · 12 s left · 25.3M candles/s · CPU 187 % · 1.2 GB";
 * `left` says of what the time is left.
 */
export function paceText(pace: IPace, left = 'left'): string {
  const { eta_s: eta, candles_per_s: speed } = pace;
  const [failed, cpu, memory] = [pace.failed ?? 0, pace.cpu_percent ?? null, pace.memory_bytes ?? null];
  return [
    failed === 0 ? '' : `${count(failed)} failed`,
    eta === null ? '' : `${durationText(eta)} ${left}`,
    speed === null ? '' : `${compact(speed)} candles/s`,
    cpu === null ? '' : `CPU ${cpu.toFixed(0)} %`,
    memory === null ? '' : sizeText(memory)
  ]
    .filter(text => text !== '')
    .join(' · ');
}

/** One line of text above a bar. */
export function drawProgress(event: IProgress): HTMLElement[] {
  const [done, total] = [event.done, event.total].map(count);
  const share = event.total === 1 ? '' : `${done} of ${total}`;
  const over = event.done >= event.total;
  const pace = paceText(over ? { ...event, eta_s: null } : event);
  const line = [event.label, share, pace].filter(text => text !== '').join(' · ');
  return [html('div', { class: 'kk-Progress-line' }, line), drawBar(event.done / (event.total || 1))];
}
