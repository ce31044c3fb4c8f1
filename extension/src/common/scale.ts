/** Scales and ticks: from data to pixels. */

export interface IScale {
  at(value: number): number;
  ticks: number[];
}

/** Round values (1, 2 or 5 times a power of ten) that cover lo to hi with about `count` steps. */
function roundTicks(lo: number, hi: number, count: number): number[] {
  const rough = (hi - lo) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find(m => m * power >= rough) ?? 10);
  const first = Math.ceil(lo / step - 1e-9);
  const last = Math.floor(hi / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** Values 1, 2, 5 times powers of ten between lo and hi; less round ones too where that makes fewer than four. */
function logTicks(lo: number, hi: number): number[] {
  const between = (factors: readonly number[]): number[] => {
    const ticks: number[] = [];
    for (let power = 10 ** Math.floor(Math.log10(lo)); power <= hi; power *= 10) {
      ticks.push(...factors.map(m => m * power).filter(v => v >= lo && v <= hi));
    }
    return ticks;
  };
  const round = between([1, 2, 5]);
  return round.length < 4 ? between([1, 1.5, 2, 3, 4, 5, 7]) : round;
}

/** A scale from [lo, hi] to [from, to] in pixels, logarithmic if asked; an empty range is widened. */
export function numberScale(range: readonly [number, number], pixels: readonly [number, number], log = false): IScale {
  const [from, to] = pixels;
  const [lo, hi] = range[0] === range[1] ? [range[0] - 1, range[1] + 1] : range;
  const map = log ? Math.log : (v: number) => v;
  const slope = (to - from) / (map(hi) - map(lo));
  const steps = Math.max(2, Math.round(Math.abs(to - from) / 45));
  return {
    at: value => from + (map(value) - map(lo)) * slope,
    ticks: log ? logTicks(lo, hi) : roundTicks(lo, hi, steps)
  };
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const MONTH = 30.4 * DAY;

type Unit = 'minute' | 'hour' | 'day' | 'month';

const TIME_STEPS: readonly (readonly [Unit, number, number])[] = [
  ...[1, 5, 15, 30].map(n => ['minute', n, (n * HOUR) / 60] as const),
  ...[1, 3, 6, 12].map(n => ['hour', n, n * HOUR] as const),
  ...[1, 2, 5, 10].map(n => ['day', n, n * DAY] as const),
  ...[1, 2, 3, 6, 12, 24, 60, 120, 240].map(n => ['month', n, n * MONTH] as const)
];

export interface ITimeTick {
  at: number;
  text: string;
}

function monthTicks(lo: number, hi: number, step: number): ITimeTick[] {
  const start = new Date(lo);
  const ticks: ITimeTick[] = [];
  let month = Math.floor((12 * start.getUTCFullYear() + start.getUTCMonth()) / step) * step;
  for (; ; month += step) {
    const at = Date.UTC(Math.floor(month / 12), month % 12);
    if (at > hi) {
      return ticks;
    }
    if (at >= lo) {
      const iso = new Date(at).toISOString();
      ticks.push({ at, text: step >= 12 ? iso.slice(0, 4) : iso.slice(0, 7) });
    }
  }
}

/** At most `count` round UTC moments between lo and hi (milliseconds), with their labels. */
export function timeTicks(lo: number, hi: number, count: number): ITimeTick[] {
  const fallback = ['month', 600, 600 * MONTH] as const;
  const [unit, n, size] = TIME_STEPS.find(step => (hi - lo) / step[2] <= count) ?? fallback;
  if (unit === 'month') {
    return monthTicks(lo, hi, n);
  }
  const [from, to] = unit === 'day' ? [5, 10] : [11, 16];
  const ticks: ITimeTick[] = [];
  for (let at = Math.ceil(lo / size) * size; at <= hi; at += size) {
    ticks.push({ at, text: new Date(at).toISOString().slice(from, to) });
  }
  return ticks;
}
