/** The commands of runs, which are those of their context menu too. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Clipboard, Dialog, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { runsIcon } from '../common/icon';
import { openInTab } from '../common/open';
import type { IRun } from './api';
import { missing } from './card';
import type { RunsPanel } from './panel';

export const CommandIDs = {
  showRuns: 'kernelkit:show-runs',
  refreshRuns: 'kernelkit:refresh-runs',
  openNotebook: 'kernelkit:open-notebook',
  openReport: 'kernelkit:open-report',
  compareRuns: 'kernelkit:compare-runs',
  runAgain: 'kernelkit:run-again',
  copyCode: 'kernelkit:copy-code',
  editTags: 'kernelkit:edit-tags',
  cancelRuns: 'kernelkit:cancel-runs',
  resumeRuns: 'kernelkit:resume-runs',
  deleteRuns: 'kernelkit:delete-runs'
} as const;

/** Commands of other parts of the extension, which may not be there. */
const COMPARE = 'kernelkit:compare';
const LAUNCH = 'kernelkit:launch';

const NO_ARGUMENTS = { args: { type: 'object', properties: {} } } as const;
const RUN_ARGUMENTS = {
  args: {
    type: 'object',
    properties: { id: { type: 'string', description: 'The id of a run; the selected ones without it' } }
  }
} as const;

/** A command about runs: its words, why it is off (null where it is not), and what it does. */
interface IDeed {
  label: string;
  off(runs: readonly IRun[]): string | null;
  execute(runs: readonly IRun[]): unknown;
}

/** Adds the commands to the application, and those of runs to their context menu. */
export function addCommands(app: JupyterFrontEnd, panel: RunsPanel): void {
  const { commands } = app;
  const { model } = panel;

  commands.addCommand(CommandIDs.showRuns, {
    label: 'Show Backtest Runs',
    icon: runsIcon,
    execute: () => app.shell.activateById(panel.id),
    describedBy: NO_ARGUMENTS
  });
  commands.addCommand(CommandIDs.refreshRuns, {
    label: 'Refresh Backtest Runs',
    execute: () => model.refresh(),
    describedBy: NO_ARGUMENTS
  });

  const deeds: Record<string, IDeed> = {
    [CommandIDs.openNotebook]: {
      label: 'Open Executed Notebook',
      off: runs => lacking(runs, 'notebook'),
      execute: ([run]) => commands.execute('docmanager:open', { path: run?.links.notebook ?? '' })
    },
    [CommandIDs.openReport]: {
      label: 'Open Report in New Browser Tab',
      off: runs => lacking(runs, 'report'),
      execute: ([run]) => openInTab(app.serviceManager.serverSettings, run?.links.report ?? '')
    },
    [CommandIDs.compareRuns]: {
      label: 'Compare',
      off: runs => (runs.length < 2 ? 'select two runs or more' : absent(COMPARE)),
      execute: runs => commands.execute(COMPARE, { ids: runs.map(run => run.id) })
    },
    [CommandIDs.runAgain]: {
      label: 'Run Again with Changes…',
      off: runs => single(runs) ?? runs[0]?.again.off ?? absent(LAUNCH),
      execute: ([run]) => {
        const again = run?.again;
        return again?.off === undefined ? commands.execute(LAUNCH, { ...again }) : undefined;
      }
    },
    [CommandIDs.copyCode]: {
      label: 'Copy as Code',
      off: none,
      execute: runs => Clipboard.copyToSystem(panel.code(runs))
    },
    [CommandIDs.editTags]: {
      label: 'Edit Tags',
      off: single,
      execute: async ([run]) => {
        const tags = run === undefined ? null : await panel.editTags(run);
        if (run !== undefined && tags !== null && tags.join(' ') !== run.tags.join(' ')) {
          await model.tag(run.id, tags);
        }
      }
    },
    [CommandIDs.cancelRuns]: {
      label: 'Cancel',
      off: runs => none(runs) ?? (runs.some(isLive) ? null : 'it is not running'),
      execute: runs => inTurn(runs.filter(isLive), run => model.cancel(run.id))
    },
    [CommandIDs.resumeRuns]: {
      label: 'Resume',
      off: runs => none(runs) ?? (runs.some(isLeft) ? null : runs.some(isLive) ? 'it goes on' : 'it is done'),
      execute: runs => inTurn(runs.filter(isLeft), run => model.resume(run.id))
    },
    [CommandIDs.deleteRuns]: {
      label: 'Delete…',
      off: runs => none(runs) ?? (runs.some(isLive) ? 'cancel it first' : null),
      execute: async runs => {
        if (await confirm(runs)) {
          await inTurn(runs, run => model.delete(run.id));
        }
      }
    }
  };

  function meant(args: ReadonlyPartialJSONObject): IRun[] {
    const id = args['id'];
    const run = typeof id === 'string' ? model.run(id) : null;
    return run === null ? (id === undefined ? panel.selected : []) : [run];
  }

  function lacking(runs: readonly IRun[], what: 'notebook' | 'report'): string | null {
    const [run] = runs;
    const reason = single(runs);
    if (reason !== null || run === undefined || run.links[what] !== null) {
      return reason;
    }
    const said = missing(run, what, model.list?.notice ?? null).replace(/\.$/, '');
    return said.charAt(0).toLowerCase() + said.slice(1);
  }

  function absent(command: string): string | null {
    return commands.hasCommand(command) ? null : 'this JupyterLab has no such view';
  }

  for (const [id, deed] of Object.entries(deeds)) {
    commands.addCommand(id, {
      label: args => {
        const why = deed.off(meant(args));
        return why === null ? deed.label : `${deed.label.replace(/…$/, '')} (${why})`;
      },
      isEnabled: args => deed.off(meant(args)) === null,
      execute: async args => {
        try {
          await deed.execute(meant(args));
        } catch (error) {
          await showErrorMessage(deed.label.replace(/…$/, ''), error as Error);
        }
      },
      describedBy: RUN_ARGUMENTS
    });
  }
  Object.keys(deeds).forEach((command, rank) => {
    app.contextMenu.addItem({ command, selector: '.kk-Run', rank });
  });
  // a menu that closes leaves the focus nowhere
  app.contextMenu.menu.aboutToClose.connect(() => {
    const card = app.contextMenuHitTest(node => node.classList.contains('kk-Run'));
    panel.focus(card?.dataset['run'] ?? '');
  });
}

const isLive = (run: IRun): boolean => run.status === 'running' || run.status === 'queued';

/** Whether it has ended, but did not come to its end. */
const isLeft = (run: IRun): boolean => !isLive(run) && run.status !== 'done';

const none = (runs: readonly IRun[]): string | null => (runs.length === 0 ? 'select a run' : null);

const single = (runs: readonly IRun[]): string | null =>
  none(runs) ?? (runs.length > 1 ? 'select one run alone' : null);

/** One after the other: the server's disk is not asked for all at once, and the first refusal is the one that is told. */
async function inTurn(runs: readonly IRun[], work: (run: IRun) => Promise<void>): Promise<void> {
  for (const run of runs) {
    await work(run);
  }
}

async function confirm(runs: readonly IRun[]): Promise<boolean> {
  const what = runs.length === 1 ? (runs[0]?.id ?? '') : `${runs.length} runs`;
  const answer = await showDialog({
    title: 'Delete',
    body: `Delete ${what} with notebook, report and results? This cannot be undone.`,
    buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: 'Delete' })]
  });
  return answer.button.accept;
}
