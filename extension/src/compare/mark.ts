/** By what a run is told from the others everywhere in the view: a letter, a colour of the theme, a dash. */

import { html } from '../common/dom';

const COLOURS = [
  '--jp-brand-color1',
  '--jp-warn-color1',
  '--jp-success-color1',
  '--jp-icon-contrast-color0',
  '--jp-error-color1',
  '--jp-info-color1',
  '--jp-icon-contrast-color2',
  '--jp-ui-font-color2'
];
const DASHES = ['none', '6 3', '2 3'];

/** The letter of the run at this place: A, B, ... */
export function letter(place: number): string {
  return String.fromCharCode(65 + place);
}

/** The colour of the run at this place. */
export function colour(place: number): string {
  return `var(${COLOURS[place % COLOURS.length] ?? ''})`;
}

/** The dashes of its line: those that share a colour differ in them. */
export function dash(place: number): string {
  return DASHES[Math.floor(place / COLOURS.length) % DASHES.length] ?? 'none';
}

/** The letter on its colour. */
export function badge(place: number): HTMLElement {
  const mark = html('span', { class: 'kk-Badge' }, letter(place));
  mark.style.setProperty('--kk-mark', colour(place));
  return mark;
}
