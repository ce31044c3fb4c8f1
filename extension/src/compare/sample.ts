/** Which sample a run's curve is of: one that its parameters were chosen on, or one that they never saw. */

import { html } from '../common/dom';
import { placesOf, type IComparison } from './api';
import { letter } from './mark';

const SAMPLES: Record<string, string> = { equity_oos: 'out of sample', equity: 'in sample' };

/** In words, for each run that has a curve. */
export function samplesOf(found: IComparison): string[] {
  return placesOf(found).map(place => {
    const name = found.curves[place]?.name ?? '';
    return SAMPLES[name] ?? name;
  });
}

/** "A", "A and B", "A, B and C". */
function listed(names: readonly string[]): string {
  const last = names[names.length - 1] ?? '';
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`;
}

/** The sentence that is due where curves of both kinds stand side by side. */
export function unfair(found: IComparison): HTMLElement[] {
  const [places, samples] = [placesOf(found), samplesOf(found)];
  const kinds = [...new Set(samples)];
  if (kinds.length < 2) {
    return [];
  }
  const who = kinds.map(kind => {
    const letters = places.filter((_, k) => samples[k] === kind).map(letter);
    return `${listed(letters)} ${letters.length === 1 ? 'is' : 'are'} ${kind}`;
  });
  const text =
    `This comparison is not fair: ${listed(who)}. On the sessions that they were chosen on, parameters look better ` +
    'than they are.';
  return [html('p', { class: 'kk-Message kk-mod-warn', role: 'note' }, text)];
}
