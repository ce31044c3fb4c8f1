/** The side panel of runs in JupyterLab. */

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { DocumentWidget } from '@jupyterlab/docregistry';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

import { PLUGIN_ID } from '../common/settings';
import { addCommands, CommandIDs } from './commands';
import { RunsPanel } from './panel';

/** The folder of the document in front, below the server's root. */
function workingFolder(app: JupyterFrontEnd): string {
  const front = app.shell.currentWidget;
  return front instanceof DocumentWidget ? PathExt.dirname(front.context.localPath) : '';
}

/** The panel of backtest runs with its commands and settings; every token is optional. */
export const runsPlugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: 'A side panel that lists backtest runs.',
  autoStart: true,
  optional: [ICommandPalette, ILayoutRestorer, ISettingRegistry],
  activate: async (
    app: JupyterFrontEnd,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    registry: ISettingRegistry | null
  ) => {
    const panel = new RunsPanel(app.serviceManager, app.commands, () => workingFolder(app));
    app.shell.add(panel, 'left', { rank: 900 });
    restorer?.add(panel, panel.id);
    addCommands(app, panel);
    for (const command of [CommandIDs.showRuns, CommandIDs.refreshRuns]) {
      palette?.addItem({ command, category: 'kernelkit' });
    }
    if (registry !== null) {
      const settings = await registry.load(PLUGIN_ID);
      const apply = (): void => {
        panel.model.pollInterval = settings.get('pollInterval').composite as number;
      };
      settings.changed.connect(apply);
      apply();
    }
  }
};
