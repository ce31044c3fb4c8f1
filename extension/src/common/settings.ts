/** The plugin whose schema holds every setting of the extension: `schema/plugin.json`. */

export const PLUGIN_ID = '@kernelkit/labextension:plugin';
