import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { launcherPlugin } from './launcher/plugin';
import { runsPlugin } from './runs/plugin';

const plugins: JupyterFrontEndPlugin<void>[] = [runsPlugin, launcherPlugin];

export default plugins;
