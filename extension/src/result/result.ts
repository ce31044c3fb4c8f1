/** The result bundle, `application/vnd.kernelkit.result.v1+json`, and its reader. */

export const RESULT_MIME = 'application/vnd.kernelkit.result.v1+json';

export type Maybe = number | null;
export type Label = string | number | boolean;

/** Equal lengths throughout; `equity` and `benchmark` in money, `drawdown` a fraction <= 0. */
export interface ICurve {
  time: string[];
  equity: Maybe[];
  benchmark: Maybe[];
  drawdown: Maybe[];
}

/** `values[i][j]` belongs to `dims[y][i]` and `dims[x][j]`; null where a cell was excluded. */
export interface IHeatmap {
  x: string;
  y: string;
  metric: string;
  values: Maybe[][];
}

export interface IResult {
  schema: 1;
  name: string;
  strategy: string;
  data: { name: string; note: string; detail?: string };
  costs: string;
  dims: Record<string, Label[]>;
  n_trials: number;
  best: { params: Record<string, Label | null>; metrics: Record<string, Maybe> };
  benchmark: { name: string; metrics: Record<string, Maybe> };
  curve: ICurve;
  heatmap: IHeatmap | null;
  notes?: string[];
}

type Json = Record<string, unknown>;

function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isMaybe(value: unknown): boolean {
  return value === null || typeof value === 'number';
}

function want(holds: boolean, field: string, wanted: string): void {
  if (!holds) {
    throw new Error(`This result cannot be shown: "${field}" must be ${wanted}. Run the cell again.`);
  }
}

function part(parent: Json, field: string): Json {
  const value = parent[field];
  if (!isRecord(value)) {
    throw new Error(`This result cannot be shown: "${field}" must be an object. Run the cell again.`);
  }
  return value;
}

function wantNumbers(parent: Json, field: string, length: number): void {
  const value = parent[field];
  want(Array.isArray(value) && value.length === length && value.every(isMaybe), field, `${length} numbers or nulls`);
}

function wantMetrics(parent: Json, field: string): void {
  const metrics = part(part(parent, field), 'metrics');
  want(Object.values(metrics).every(isMaybe), `${field}.metrics`, 'numbers or nulls');
}

function checkCurve(curve: Json): void {
  const time = curve['time'];
  want(Array.isArray(time) && time.every(t => typeof t === 'string'), 'curve.time', 'a list of ISO times');
  const length = (time as string[]).length;
  for (const field of ['equity', 'benchmark', 'drawdown']) {
    wantNumbers(curve, field, length);
  }
}

function checkHeatmap(heatmap: Json, dims: Json): void {
  const [rows, columns] = ['y', 'x'].map(axis => dims[String(heatmap[axis])]);
  const values = heatmap['values'];
  want(Array.isArray(rows) && Array.isArray(columns), 'heatmap.x and heatmap.y', 'names of dims');
  want(
    Array.isArray(values) && values.length === (rows as unknown[]).length,
    'heatmap.values',
    'one row per value of heatmap.y'
  );
  for (const row of values as unknown[]) {
    wantNumbers({ 'heatmap.values': row }, 'heatmap.values', (columns as unknown[]).length);
  }
}

/** The bundle as a typed result; throws an error that names the field which is not as it should be. */
export function readResult(value: unknown): IResult {
  if (!isRecord(value)) {
    throw new Error('This result cannot be shown: it is not an object. Run the cell again.');
  }
  want(value['schema'] === 1, 'schema', '1 (made by another version of kernelkit)');
  for (const field of ['name', 'strategy', 'costs']) {
    want(typeof value[field] === 'string', field, 'text');
  }
  want(typeof value['n_trials'] === 'number', 'n_trials', 'a number');
  for (const field of ['name', 'note']) {
    want(typeof part(value, 'data')[field] === 'string', `data.${field}`, 'text');
  }
  part(part(value, 'best'), 'params');
  wantMetrics(value, 'best');
  wantMetrics(value, 'benchmark');
  want(typeof part(value, 'benchmark')['name'] === 'string', 'benchmark.name', 'text');
  const dims = part(value, 'dims');
  want(Object.values(dims).every(Array.isArray), 'dims', 'lists of labels');
  checkCurve(part(value, 'curve'));
  const notes = value['notes'] ?? [];
  want(Array.isArray(notes) && notes.every(note => typeof note === 'string'), 'notes', 'a list of texts');
  if (value['heatmap'] !== null) {
    checkHeatmap(part(value, 'heatmap'), dims);
  }
  return value as unknown as IResult;
}
