/** Every command of the extension. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { URLExt } from '@jupyterlab/coreutils';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { runsIcon } from '../common/icon';
import type { RunsPanel } from './panel';
import type { IRun } from './api';

export const CommandIDs = {
  showRuns: 'kernelkit:show-runs',
  refreshRuns: 'kernelkit:refresh-runs',
  openNotebook: 'kernelkit:open-notebook',
  openReport: 'kernelkit:open-report'
} as const;

const NO_ARGUMENTS = { args: { type: 'object', properties: {} } } as const;
const RUN_ARGUMENTS = {
  args: { type: 'object', properties: { id: { type: 'string', description: 'The id of a run' } } }
} as const;

/** Adds the commands to the application, and those of one run to its context menu. */
export function addCommands(app: JupyterFrontEnd, panel: RunsPanel): void {
  const { commands } = app;
  const meant = (args: ReadonlyPartialJSONObject): IRun | null => {
    const hit = app.contextMenuHitTest(node => node.dataset['run'] !== undefined);
    const id = args['id'] ?? hit?.dataset['run'];
    return typeof id === 'string' ? panel.run(id) : null;
  };

  commands.addCommand(CommandIDs.showRuns, {
    label: 'Show Backtest Runs',
    icon: runsIcon,
    execute: () => app.shell.activateById(panel.id),
    describedBy: NO_ARGUMENTS
  });
  commands.addCommand(CommandIDs.refreshRuns, {
    label: 'Refresh Backtest Runs',
    execute: () => panel.refresh(),
    describedBy: NO_ARGUMENTS
  });
  commands.addCommand(CommandIDs.openNotebook, {
    label: 'Open Executed Notebook',
    isEnabled: args => typeof meant(args)?.links.notebook === 'string',
    execute: args => commands.execute('docmanager:open', { path: meant(args)?.links.notebook ?? '' }),
    describedBy: RUN_ARGUMENTS
  });
  commands.addCommand(CommandIDs.openReport, {
    label: 'Open Report in New Browser Tab',
    isEnabled: args => typeof meant(args)?.links.report === 'string',
    execute: args => {
      const path = URLExt.encodeParts(meant(args)?.links.report ?? '');
      const url = URLExt.join(app.serviceManager.serverSettings.baseUrl, 'files', path);
      window.open(url, '_blank', 'noopener');
    },
    describedBy: RUN_ARGUMENTS
  });
  [CommandIDs.openNotebook, CommandIDs.openReport].forEach((command, rank) => {
    app.contextMenu.addItem({ command, selector: '.kk-Run', rank });
  });
}
