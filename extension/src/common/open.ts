/** Files of the server in a browser tab of their own. */

import { URLExt } from '@jupyterlab/coreutils';
import type { ServerConnection } from '@jupyterlab/services';

/** Open the file at `path`, below the server's root. */
export function openInTab(settings: ServerConnection.ISettings, path: string): void {
  window.open(URLExt.join(settings.baseUrl, 'files', URLExt.encodeParts(path)), '_blank', 'noopener');
}
