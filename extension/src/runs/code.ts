/** The code that opens a run in a notebook. */

import { PathExt } from '@jupyterlab/coreutils';
import { MimeData } from '@lumino/coreutils';

import type { IRun } from './api';

const CELLS = 'application/vnd.jupyter.cells';

/** How a notebook in `folder` (below the server's root) names a run: by its id, or by its folder where that is not `runs`. */
function named(run: IRun, root: string, folder: string): string {
  if (root.startsWith('/')) {
    return `${root}/${run.id}`;
  }
  const place = PathExt.relative(folder === '' ? '/' : `/${folder}`, `/${root}`);
  return place === 'runs' ? run.id : `${place === '' ? '.' : place}/${run.id}`;
}

/** Python that opens the runs: `res` is the only one, else `runs` are all of them. */
export function openingCode(runs: readonly IRun[], root: string, folder: string): string {
  const calls = runs.map(run => `kk.open_run(${JSON.stringify(named(run, root, folder))})`);
  const body = calls.length === 1 ? `res = ${calls[0]}` : `runs = [\n${calls.map(call => `    ${call},\n`).join('')}]`;
  return `import kernelkit as kk\n\n${body}`;
}

/** What is dragged: a cell for a notebook, text for everything else. */
export function dragged(code: string): MimeData {
  const data = new MimeData();
  data.setData(CELLS, [{ cell_type: 'code', source: code, metadata: {}, outputs: [], execution_count: null }]);
  data.setData('text/plain', code);
  return data;
}
