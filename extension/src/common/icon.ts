/** The marks of kernelkit: three candles, and candles that are to be run. */

import { LabIcon } from '@jupyterlab/ui-components';

const CANDLES = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M5 6h2v3h1v8H7v3H5v-3H4V9h1z"/>
    <path d="M11 3h2v3h1v7h-1v4h-2v-4h-1V6h1z"/>
    <path d="M17 5h2v4h1v9h-1v3h-2v-3h-1V9h1z"/>
  </g>
</svg>`;

export const runsIcon = new LabIcon({ name: 'kernelkit:runs', svgstr: CANDLES });

const CANDLES_TO_RUN = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M4 7h2v3h1v7H6v3H4v-3H3v-7h1z"/>
    <path d="M10 3h2v3h1v4.5l-2 -1.2v7.7h-1v-3H9V6h1z"/>
  </g>
  <path class="jp-icon-brand1 jp-icon-selectable" fill="#1976d2" d="M13 11l8.5 5.25L13 21.5z"/>
</svg>`;

export const launchIcon = new LabIcon({ name: 'kernelkit:launch', svgstr: CANDLES_TO_RUN });
