/** What the parameters of a run know of the sessions of its curve, and whether that lets it be compared. */

import { html } from '../common/dom';
import { placesOf, type IComparison, type Sample } from './api';
import { letter } from './mark';

/** For each run that has a curve. */
export function samplesOf(found: IComparison): Sample[] {
  return placesOf(found).map(place => found.curves[place]?.sample ?? 'in sample');
}

/** "A", "A and B", "A, B and C". */
function listed(names: readonly string[]): string {
  const last = names[names.length - 1] ?? '';
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`;
}

/** "A has fixed parameters", "B and C are in sample". */
function told(sample: Sample, letters: readonly string[]): string {
  const verbs = sample === 'fixed parameters' ? ['has', 'have'] : ['is', 'are'];
  return `${listed(letters)} ${verbs[letters.length === 1 ? 0 : 1] ?? ''} ${sample}`;
}

/** The sentence that is due where curves of several kinds stand side by side. */
export function unfair(found: IComparison): HTMLElement[] {
  const [places, samples] = [placesOf(found), samplesOf(found)];
  const kinds = [...new Set(samples)];
  if (kinds.length < 2) {
    return [];
  }
  const who = listed(kinds.map(kind => told(kind, places.filter((_, k) => samples[k] === kind).map(letter))));
  const verdict = kinds.includes('in sample')
    ? 'This comparison is not fair'
    : 'This comparison is fair only where nobody chose the fixed parameters by these sessions';
  const text = `${verdict}: ${who}. On the sessions that they were chosen on, parameters look better than they are.`;
  return [html('p', { class: 'kk-Message kk-mod-warn', role: 'note' }, text)];
}
