/** The command that shows the trial ledger in the main area. */

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, type MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';

import { runsIcon } from '../common/icon';
import { showInMain } from '../common/mainView';
import { LedgerView } from './view';

export const LEDGER = 'kernelkit:ledger';

const ARGUMENTS = {
  args: { type: 'object', properties: { strategy: { type: 'string', description: 'A strategy; none shows all' } } }
} as const;

/** The ledger; every token is optional. */
export const ledgerPlugin: JupyterFrontEndPlugin<void> = {
  id: '@kernelkit/labextension:ledger',
  description: 'Shows what was tried in a project.',
  autoStart: true,
  optional: [ICommandPalette, ILayoutRestorer],
  activate: (app: JupyterFrontEnd, palette: ICommandPalette | null, restorer: ILayoutRestorer | null) => {
    const tracker = new WidgetTracker<MainAreaWidget<LedgerView>>({ namespace: 'kernelkit-ledger' });
    app.commands.addCommand(LEDGER, {
      label: 'Show Trial Ledger',
      icon: runsIcon,
      execute: async args => {
        const strategy = typeof args['strategy'] === 'string' ? args['strategy'] : '';
        const open = tracker.find(() => true);
        if (open !== undefined) {
          app.shell.activateById(open.id);
          await (strategy === '' ? open.content.refresh() : open.content.choose(strategy));
          return;
        }
        const content = new LedgerView(app.serviceManager.serverSettings, strategy);
        const title = { id: 'kernelkit-ledger', label: 'Ledger', caption: 'What was tried in this project' };
        const widget = showInMain(app, tracker, content, title);
        content.onChosen = () => void tracker.save(widget);
      },
      describedBy: ARGUMENTS
    });
    palette?.addItem({ command: LEDGER, category: 'kernelkit' });
    void restorer?.restore(tracker, {
      command: LEDGER,
      args: widget => ({ strategy: widget.content.strategy }),
      name: () => 'ledger'
    });
  }
};
