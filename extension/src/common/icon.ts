/** The mark of kernelkit: three candles. */

import { LabIcon } from '@jupyterlab/ui-components';

const CANDLES = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M5 6h2v3h1v8H7v3H5v-3H4V9h1z"/>
    <path d="M11 3h2v3h1v7h-1v4h-2v-4h-1V6h1z"/>
    <path d="M17 5h2v4h1v9h-1v3h-2v-3h-1V9h1z"/>
  </g>
</svg>`;

export const runsIcon = new LabIcon({ name: 'kernelkit:runs', svgstr: CANDLES });
