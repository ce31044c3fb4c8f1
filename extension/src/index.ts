import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { runsPlugin } from './runs/plugin';

const plugins: JupyterFrontEndPlugin<void>[] = [runsPlugin];

export default plugins;
