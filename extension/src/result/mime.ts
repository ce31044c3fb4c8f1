/** Renderers for the bundles that kernelkit displays in a notebook. */

import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Widget } from '@lumino/widgets';

import { html } from '../common/dom';
import { runsIcon } from '../common/icon';
import { drawProgress, PROGRESS_MIME, type IProgress } from '../common/progress';
import { readResult, RESULT_MIME, type IResult } from './result';
import { drawResult } from './view';

const FILE_TYPE = 'kernelkit-result';

/** Below this width the pictures scroll instead of shrinking. */
const MIN_WIDTH = 420;
const MAX_WIDTH = 1100;

/** Shows a result, and draws its pictures anew when the cell changes its width. */
class ResultRenderer extends Widget implements IRenderMime.IRenderer {
  constructor() {
    super();
    this.addClass('kk-Result');
    this._observer.observe(this.node);
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    try {
      this._result = readResult(model.data[RESULT_MIME]);
      this._width = 0;
      this._draw();
    } catch (error) {
      this._result = null;
      this.node.replaceChildren(html('p', { class: 'kk-Error' }, (error as Error).message));
    }
  }

  override dispose(): void {
    this._observer.disconnect();
    super.dispose();
  }

  private _draw(): void {
    const { paddingLeft, paddingRight } = getComputedStyle(this.node);
    // what is not in the document has no style
    const padding = (parseFloat(paddingLeft) || 0) + (parseFloat(paddingRight) || 0);
    const room = this.node.clientWidth - padding;
    const width = Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, Math.floor(room)));
    if (this._result !== null && width !== this._width) {
      this._width = width;
      this.node.replaceChildren(...drawResult(this._result, width));
    }
  }

  private _result: IResult | null = null;
  private _width = 0;
  private _observer = new ResizeObserver(() => this._draw());
}

/** Shows a progress event; the kernel updates its display in place. */
class ProgressRenderer extends Widget implements IRenderMime.IRenderer {
  constructor() {
    super();
    this.addClass('kk-Progress');
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.node.replaceChildren(...drawProgress(model.data[PROGRESS_MIME] as unknown as IProgress));
  }
}

const extensions: IRenderMime.IExtension[] = [
  {
    id: '@kernelkit/labextension:result',
    rendererFactory: { safe: true, mimeTypes: [RESULT_MIME], createRenderer: () => new ResultRenderer() },
    rank: 0,
    dataType: 'json',
    fileTypes: [
      {
        name: FILE_TYPE,
        displayName: 'Backtest Result',
        extensions: ['.kkr.json'],
        mimeTypes: [RESULT_MIME],
        fileFormat: 'text',
        icon: { name: runsIcon.name, svgstr: runsIcon.svgstr }
      }
    ],
    documentWidgetFactoryOptions: {
      name: 'Backtest Result',
      primaryFileType: FILE_TYPE,
      fileTypes: [FILE_TYPE],
      defaultFor: [FILE_TYPE]
    }
  },
  {
    id: '@kernelkit/labextension:progress',
    rendererFactory: { safe: true, mimeTypes: [PROGRESS_MIME], createRenderer: () => new ProgressRenderer() },
    rank: 0,
    dataType: 'json'
  }
];

export default extensions;
