/** What a form says about the runs that it would make. */

import { agoText, parseTime, plural } from '../common/format';
import type { IChecked } from './api';

const MOST_VALUES = 6;

function some(values: readonly unknown[]): string {
  const texts = values.map(String);
  return texts.length <= MOST_VALUES
    ? texts.join(', ')
    : `${texts.slice(0, MOST_VALUES - 2).join(', ')}, … ${texts[texts.length - 1]}`;
}

/** "This makes 12 runs: fast = 5, 10, 15, 20 × slow = 60, 100, 140." */
export function askedText(checked: IChecked): string {
  if (checked.error !== null) {
    return checked.error;
  }
  const wrong = Object.keys(checked.errors);
  if (wrong.length > 0) {
    return `${wrong.join(', ')}: see what is wrong below the field.`;
  }
  const axes = Object.entries(checked.axes).map(([name, values]) => `${name} = ${some(values)}`);
  return checked.runs === 1 ? 'This makes 1 run.' : `This makes ${plural(checked.runs, 'run')}: ${axes.join(' × ')}.`;
}

/** How many of the runs are done already. */
export function done(checked: IChecked): number {
  return checked.known.filter(run => run.status === 'done').length;
}

/** What there is already of these runs, empty where there is nothing. */
export function knownText(checked: IChecked): string {
  const count = done(checked);
  const [first] = checked.known;
  if (checked.runs === 1 && first !== undefined) {
    const ago = agoText(parseTime(first.finished ?? first.created), Date.now());
    return count === 1 ? `It was done ${ago}, with these values.` : `It is there already: ${first.status}.`;
  }
  return count === 0 ? '' : `${count} of them ${count === 1 ? 'is' : 'are'} done already.`;
}
