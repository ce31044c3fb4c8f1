/** The setting of the cluster that runs are sent to. */

import type { ISettingRegistry } from '@jupyterlab/settingregistry';

import { PLUGIN_ID } from '../common/settings';

/** The address of the Dask scheduler in the settings, '' where trials run in the run's own process. */
export async function schedulerAddress(registry: ISettingRegistry | null): Promise<string> {
  if (registry === null) {
    return '';
  }
  const settings = await registry.load(PLUGIN_ID);
  return (settings.get('scheduler').composite as string).trim();
}
