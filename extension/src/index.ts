import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { clusterPlugin } from './cluster/plugin';
import { comparePlugin } from './compare/plugin';
import { launcherPlugin } from './launcher/plugin';
import { ledgerPlugin } from './ledger/plugin';
import { runsPlugin } from './runs/plugin';

const plugins: JupyterFrontEndPlugin<void>[] = [runsPlugin, launcherPlugin, comparePlugin, ledgerPlugin, clusterPlugin];

export default plugins;
