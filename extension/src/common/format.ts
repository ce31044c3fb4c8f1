/** How names, numbers and times are written. */

type Kind = 'percent' | 'ratio' | 'count' | 'money';

/** The metrics of a backtest in the order in which they are read. */
const KINDS: Record<string, Kind> = {
  total_return: 'percent',
  cagr: 'percent',
  volatility: 'percent',
  sharpe_ratio: 'ratio',
  sortino_ratio: 'ratio',
  calmar_ratio: 'ratio',
  max_drawdown: 'percent',
  max_drawdown_duration: 'count',
  n_fills: 'count',
  n_trades: 'count',
  win_rate: 'percent',
  profit_factor: 'ratio',
  exposure: 'percent',
  turnover: 'ratio',
  fees: 'money',
  final_equity: 'money'
};

/** Numbers of headlines that no backtest has. */
const FURTHER: Record<string, Kind> = { folds: 'count' };

const LABELS: Record<string, string> = {
  cagr: 'CAGR',
  n_fills: 'Fills',
  n_trades: 'Trades',
  max_drawdown_duration: 'Longest drawdown (days)'
};

const SAMPLES: Record<string, string> = {
  oos_: 'out of sample',
  is_: 'in sample'
};

const DASH = '–';

/** The kind of a metric: its own entry, or that of the longest known ending (`oos_cagr` is a `cagr`). */
function kindOf(name: string): Kind {
  const words = name.split('_');
  for (let from = 0; from < words.length; from++) {
    const ending = words.slice(from).join('_');
    const kind = KINDS[ending] ?? FURTHER[ending];
    if (kind !== undefined) {
      return kind;
    }
  }
  return 'ratio';
}

/** The names of metrics in reading order, unknown ones last: a saved notebook keeps them in that of the alphabet. */
export function inOrder(names: readonly string[]): string[] {
  const known = Object.keys(KINDS).filter(name => names.includes(name));
  return [...known, ...names.filter(name => !(name in KINDS))];
}

function decimal(value: number, digits: number): string {
  return value
    .toLocaleString('en-US', {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits
    })
    .replace('-', '−');
}

/** A metric's name in words: `sharpe_ratio` is "Sharpe ratio", `n_trades` is "Trades". */
export function metricLabel(name: string): string {
  for (const [start, end] of Object.entries(SAMPLES)) {
    if (name.startsWith(start)) {
      return `${metricLabel(name.slice(start.length))}, ${end}`;
    }
  }
  const text = LABELS[name] ?? name.replaceAll('_', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A metric's value in the unit of its kind; a missing one is a dash. */
export function metricText(name: string, value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) {
    return DASH;
  }
  switch (kindOf(name)) {
    case 'percent':
      return `${decimal(100 * value, 1)} %`;
    case 'count':
      return decimal(value, 0);
    case 'money':
      return decimal(value, Math.abs(value) < 1000 ? 2 : 0);
    case 'ratio':
      return decimal(value, 2);
  }
}

/** A number for an axis or a tooltip: four significant digits, thousands as k, M, G. */
export function compact(value: number): string {
  const size = Math.abs(value);
  for (const [scale, suffix] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e4, 'k']
  ] as const) {
    if (size >= scale) {
      return `${Number((value / (scale === 1e4 ? 1e3 : scale)).toPrecision(4))}${suffix}`.replace('-', '−');
    }
  }
  return String(Number(value.toPrecision(4))).replace('-', '−');
}

/** A whole number: "1,204". */
export function count(n: number): string {
  return n.toLocaleString('en-US');
}

/** So many of them: "1 trial", "1,204 trials". */
export function plural(n: number, what: string): string {
  return `${count(n)} ${what}${n === 1 ? '' : 's'}`;
}

/** So many bytes: "1.2 GB", "88 MB". */
export function sizeText(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(0)} MB`;
}

/** A parameter's value: text as it is, anything else as JSON has it, nothing where there is none. */
export function spelt(value: unknown): string {
  return value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
}

/** At most `most` letters of a text. */
export function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/** Parameters as `fast=20, slow=100`. */
export function paramsText(params: Record<string, unknown>): string {
  return Object.entries(params)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(', ');
}

/** A span of seconds in its two largest units: "2 min 5 s". */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) {
    return `${whole} s`;
  }
  if (whole < 3600) {
    return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  }
  if (whole < 86400) {
    return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  }
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/** How long ago a moment was, in its largest unit: "5 min ago"; its UTC day after a month, nothing where it is unknown. */
export function agoText(moment: number, now: number): string {
  if (Number.isNaN(moment)) {
    return '';
  }
  const seconds = (now - moment) / 1000;
  if (seconds > 31 * 86400) {
    return new Date(moment).toISOString().slice(0, 10);
  }
  for (const [unit, size] of [
    ['d', 86400],
    ['h', 3600],
    ['min', 60]
  ] as const) {
    if (seconds >= size) {
      return `${Math.floor(seconds / size)} ${unit} ago`;
    }
  }
  return 'just now';
}

/** Milliseconds since 1970 of an ISO-8601 time; one without a zone is UTC. */
export function parseTime(text: string): number {
  const zoned = !text.includes('T') || /(Z|[+-]\d\d:?\d\d)$/.test(text);
  return Date.parse(zoned ? text : `${text}Z`);
}
