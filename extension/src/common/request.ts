/** Questions to kernelkit's routes of the Jupyter server. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

/** Ask `kernelkit/<path>` and read the JSON it answers; a refusal throws with the server's own words. */
export async function ask<T>(settings: ServerConnection.ISettings, path: string, init: RequestInit = {}): Promise<T> {
  const url = URLExt.join(settings.baseUrl, 'kernelkit', path);
  const response = await ServerConnection.makeRequest(url, init, settings);
  if (!response.ok) {
    throw await ServerConnection.ResponseError.create(response);
  }
  return (await response.json()) as T;
}
