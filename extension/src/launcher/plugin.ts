/** Templates in the launcher and the command palette of JupyterLab, and their forms in the main area. */

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import type { IDocumentWidget } from '@jupyterlab/docregistry';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { UUID, type ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { schedulerAddress } from '../cluster/settings';
import { launchIcon } from '../common/icon';
import { openInTab } from '../common/open';
import { TemplateClient, type ITemplate, type Values } from './api';
import { LaunchForm, type IDesk, type ILaunch } from './form';

const LAUNCH = 'kernelkit:launch';
const CATEGORY = 'kernelkit';

const ARGUMENTS = {
  type: 'object',
  required: ['template'],
  properties: {
    template: { type: 'string', description: 'The name of a template, or the path of a notebook' },
    values: { type: 'object', description: 'What is typed into its fields', additionalProperties: { type: 'string' } },
    name: { type: 'string', description: 'What the runs are called' }
  }
} as const;

function templateOf(args: ReadonlyPartialJSONObject): string {
  return typeof args['template'] === 'string' ? args['template'] : '';
}

/** What the form of these arguments begins with; a restored one has its own id. */
function launchOf(args: ReadonlyPartialJSONObject): ILaunch {
  const { id, template, values, name, hideCode, follow } = args;
  if (typeof template !== 'string' || template === '') {
    throw new Error(`${LAUNCH} wants the argument template, the name of a template`);
  }
  return {
    id: typeof id === 'string' ? id : `kernelkit-launch-${UUID.uuid4()}`,
    template,
    values: (values ?? {}) as Values,
    name: typeof name === 'string' ? name : null,
    hideCode: hideCode === true,
    follow: Array.isArray(follow) ? (follow as string[]) : []
  };
}

/** Opens notebooks and reports in `app`, beside the folder that `browser` shows. */
function deskOf(app: JupyterFrontEnd, browser: IDefaultFileBrowser | null, registry: ISettingRegistry | null): IDesk {
  const { commands, serviceManager } = app;
  return {
    commands,
    services: serviceManager,
    folder: () => serviceManager.contents.localPath(browser?.model.path ?? ''),
    openNotebook: async (path, run) => {
      const widget = (await commands.execute('docmanager:open', { path })) as IDocumentWidget;
      if (run) {
        // cells that are run before the kernel answers are dropped silently
        await widget.context.ready;
        await widget.context.sessionContext.ready;
        await widget.context.sessionContext.session?.kernel?.info;
        app.shell.activateById(widget.id);
        await commands.execute('notebook:run-all-cells');
      }
    },
    openReport: path => openInTab(serviceManager.serverSettings, path),
    scheduler: () => schedulerAddress(registry)
  };
}

/** The forms of templates; every token is optional. */
export const launcherPlugin: JupyterFrontEndPlugin<void> = {
  id: '@kernelkit/labextension:launcher',
  description: 'Cards, commands and forms of the templates of backtests.',
  autoStart: true,
  optional: [ILauncher, ICommandPalette, ILayoutRestorer, IDefaultFileBrowser, ISettingRegistry],
  activate: async (
    app: JupyterFrontEnd,
    launcher: ILauncher | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    browser: IDefaultFileBrowser | null,
    registry: ISettingRegistry | null
  ) => {
    const client = new TemplateClient(app.serviceManager.serverSettings);
    const desk = deskOf(app, browser, registry);
    const tracker = new WidgetTracker<MainAreaWidget<LaunchForm>>({ namespace: 'kernelkit-launch' });
    const known = new Map<string, ITemplate>();

    app.commands.addCommand(LAUNCH, {
      label: args => {
        const title = known.get(templateOf(args))?.title ?? 'Template';
        return args['isPalette'] === true ? `Launch ${title}` : title;
      },
      caption: args => known.get(templateOf(args))?.about ?? 'Open the form of a template of backtests',
      icon: args => (args['isPalette'] === true ? undefined : launchIcon),
      describedBy: { args: ARGUMENTS },
      execute: async args => {
        const launch = launchOf(args);
        const open = tracker.find(one => one.content.launch.template === launch.template);
        const plain = args['values'] === undefined && args['id'] === undefined;
        if (plain && open !== undefined) {
          app.shell.activateById(open.id);
          return open;
        }
        const content = new LaunchForm(client, desk, launch);
        const widget = new MainAreaWidget({ content });
        widget.id = launch.id;
        content.changed.connect(() => void tracker.save(widget));
        await tracker.add(widget);
        app.shell.add(widget, 'main');
        app.shell.activateById(widget.id);
        return widget;
      }
    });
    if (restorer !== null) {
      void restorer.restore(tracker, {
        command: LAUNCH,
        args: widget => ({ ...widget.content.launch }),
        name: widget => widget.id
      });
    }

    const templates = await client.templates();
    templates.forEach((template, rank) => {
      known.set(template.name, template);
      const args = { template: template.name };
      launcher?.add({ command: LAUNCH, args, category: CATEGORY, rank });
      palette?.addItem({ command: LAUNCH, args: { ...args, isPalette: true }, category: CATEGORY });
    });
  }
};
