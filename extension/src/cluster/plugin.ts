/** The command that shows the Dask cluster which runs are sent to. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette, type MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

import { runsIcon } from '../common/icon';
import { showInMain } from '../common/mainView';
import { PLUGIN_ID } from '../common/settings';
import { schedulerAddress } from './settings';
import { ClusterView } from './view';

export const CLUSTER = 'kernelkit:cluster';

/** The cluster; every token is optional. */
export const clusterPlugin: JupyterFrontEndPlugin<void> = {
  id: '@kernelkit/labextension:cluster',
  description: 'Shows the Dask cluster that runs are sent to.',
  autoStart: true,
  optional: [ICommandPalette, ILayoutRestorer, ISettingRegistry],
  activate: (
    app: JupyterFrontEnd,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    registry: ISettingRegistry | null
  ) => {
    const tracker = new WidgetTracker<MainAreaWidget<ClusterView>>({ namespace: 'kernelkit-cluster' });
    const openSettings = (): void => void app.commands.execute('settingeditor:open', { query: 'kernelkit' });
    app.commands.addCommand(CLUSTER, {
      label: 'Show Dask Cluster of Runs',
      icon: runsIcon,
      execute: async () => {
        const open = tracker.find(() => true);
        if (open !== undefined) {
          app.shell.activateById(open.id);
          return;
        }
        const content = new ClusterView(
          app.serviceManager.serverSettings,
          () => schedulerAddress(registry),
          openSettings
        );
        const title = { id: 'kernelkit-cluster', label: 'Cluster', caption: 'The Dask cluster that runs are sent to' };
        const widget = showInMain(app, tracker, content, title);
        if (registry !== null) {
          const settings = await registry.load(PLUGIN_ID);
          const refresh = (): void => void content.refresh();
          settings.changed.connect(refresh);
          widget.disposed.connect(() => settings.changed.disconnect(refresh));
        }
      },
      describedBy: { args: { type: 'object', properties: {} } }
    });
    palette?.addItem({ command: CLUSTER, category: 'kernelkit' });
    void restorer?.restore(tracker, { command: CLUSTER, name: () => 'cluster' });
  }
};
