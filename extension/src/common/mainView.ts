/** Views in the main area of JupyterLab. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget, type WidgetTracker } from '@jupyterlab/apputils';
import type { Widget } from '@lumino/widgets';

import { runsIcon } from './icon';

/** Show `content` in a tab of its own, in front, and remember it for a reload. */
export function showInMain<T extends Widget>(
  app: JupyterFrontEnd,
  tracker: WidgetTracker<MainAreaWidget<T>>,
  content: T,
  title: { id: string; label: string; caption: string }
): MainAreaWidget<T> {
  const widget = new MainAreaWidget({ content });
  widget.id = title.id;
  widget.title.label = title.label;
  widget.title.caption = title.caption;
  widget.title.icon = runsIcon;
  widget.title.closable = true;
  app.shell.add(widget, 'main');
  app.shell.activateById(widget.id);
  void tracker.add(widget);
  return widget;
}
