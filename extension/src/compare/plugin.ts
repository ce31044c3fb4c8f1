/** The command that puts runs side by side in the main area. */

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, type MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';

import { runsIcon } from '../common/icon';
import { showInMain } from '../common/mainView';
import { CompareView } from './view';

export const COMPARE = 'kernelkit:compare';

const ARGUMENTS = {
  args: {
    type: 'object',
    properties: { ids: { type: 'array', items: { type: 'string' }, description: 'The ids of the runs; none asks' } }
  }
} as const;

/** The comparison; every token is optional. */
export const comparePlugin: JupyterFrontEndPlugin<void> = {
  id: '@kernelkit/labextension:compare',
  description: 'Puts backtest runs side by side.',
  autoStart: true,
  optional: [ICommandPalette, ILayoutRestorer],
  activate: (app: JupyterFrontEnd, palette: ICommandPalette | null, restorer: ILayoutRestorer | null) => {
    const tracker = new WidgetTracker<MainAreaWidget<CompareView>>({ namespace: 'kernelkit-compare' });
    let count = 0;
    app.commands.addCommand(COMPARE, {
      label: 'Compare Backtest Runs',
      icon: runsIcon,
      execute: args => {
        const ids = Array.isArray(args['ids']) ? args['ids'].map(String) : [];
        const content = new CompareView(app.serviceManager.serverSettings, ids);
        const id = `kernelkit-compare-${(count += 1)}`;
        const title = { id, label: 'Comparison', caption: 'Backtest runs side by side' };
        const widget = showInMain(app, tracker, content, title);
        content.onChosen = () => void tracker.save(widget);
      },
      describedBy: ARGUMENTS
    });
    palette?.addItem({ command: COMPARE, category: 'kernelkit' });
    void restorer?.restore(tracker, {
      command: COMPARE,
      args: widget => ({ ids: [...widget.content.ids] }),
      name: widget => widget.content.ids.join(',') || 'none'
    });
  }
};
