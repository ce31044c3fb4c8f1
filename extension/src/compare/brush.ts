/** A brush along an upright axis: what lies within is kept. It is dragged, or its two ends are moved by keys. */

import { svg } from '../common/dom';

/** A drag shorter than this is a click, which takes the brush away. */
const CLICK = 4;
/** So near to an end a drag moves that end. */
const GRIP = 6;
/** Pixels of an end from top to bottom. */
const END = 6;
/** How many stops a key moves an end. */
const STEPS: Record<string, number> = {
  ...{ ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, Home: -Infinity, End: Infinity }
};

/** The pixels that are brushed, top first. */
export type Brush = readonly [number, number];

/** A value that some run has: the keys move from one to the next. */
export interface IStop {
  at: number;
  text: string;
}

/** An axis `x` pixels from the left: its ends in pixels, top first, and its stops, the lowest value first. */
export interface IBrushed {
  key: string;
  label: string;
  x: number;
  range: Brush;
  stops: readonly IStop[];
  brush: Brush | undefined;
}

/** The places of the lowest and the highest stop within the brush. */
function within({ stops, brush }: IBrushed): readonly [number, number] {
  const last = stops.length - 1;
  if (brush === undefined) {
    return [0, last];
  }
  const low = stops.findIndex(stop => stop.at <= brush[1]);
  const above = stops.findIndex(stop => stop.at < brush[0]);
  return [low < 0 ? last : low, above < 0 ? last : Math.max(0, above - 1)];
}

/** The brush from one stop to another, null where that is all of them. */
function between(stops: readonly IStop[], low: number, high: number): Brush | null {
  const [top, bottom] = [stops[high]?.at, stops[low]?.at];
  const all = low === 0 && high === stops.length - 1;
  return all || top === undefined || bottom === undefined ? null : [top, bottom];
}

/** The lower or the upper end of the brush as a slider over the stops; `kept` says what its place comes to. */
function drawEnd(
  axis: IBrushed,
  name: 'lower' | 'upper',
  kept: string,
  set: (brush: Brush | null) => void
): SVGElement {
  const { stops, x, label } = axis;
  const [low, high] = within(axis);
  const [now, min, max] =
    name === 'lower' ? [low, 0, Math.max(low, high)] : [high, Math.min(low, high), stops.length - 1];
  const end = svg('rect', {
    class: axis.brush === undefined ? 'kk-Brush-end' : 'kk-Brush-end kk-mod-set',
    ...{ x: x - 6, width: 12, height: END, rx: END / 2, tabindex: 0, role: 'slider', 'aria-orientation': 'vertical' },
    ...{ 'aria-valuemin': min, 'aria-valuemax': max, 'aria-valuenow': now },
    'aria-valuetext': `${stops[now]?.text ?? ''}, ${kept}`,
    'aria-label': `${label}, ${name} end`,
    'data-focus': `${axis.key}, ${name} end`
  });
  end.addEventListener('keydown', event => {
    const step = STEPS[event.key];
    if (step === undefined && event.key !== 'Escape') {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    const to = Math.min(max, Math.max(min, now + (step ?? 0)));
    set(
      step === undefined
        ? null
        : name === 'lower'
          ? between(stops, to, Math.max(to, high))
          : between(stops, Math.min(low, to), to)
    );
  });
  return end;
}

/** The brush of an axis with the area in which it is dragged; `set` takes another one, null for none. */
export function drawBrush(axis: IBrushed, kept: string, set: (brush: Brush | null) => void): SVGElement[] {
  const { x, stops, brush } = axis;
  const [first, last] = axis.range;
  const area = svg('rect', { class: 'kk-Brush-area', x: x - 12, y: first, width: 24, height: last - first });
  const shown = svg('rect', { class: 'kk-Brush', x: x - 6, width: 12 });
  const ends = stops.length < 2 ? [] : (['lower', 'upper'] as const).map(name => drawEnd(axis, name, kept, set));
  const place = (top: number, bottom: number): void => {
    shown.setAttribute('y', String(top));
    shown.setAttribute('height', String(bottom - top));
    ends.forEach((end, k) => end.setAttribute('y', String((k === 0 ? bottom : top) - END / 2)));
  };
  if (brush === undefined) {
    place(first, last);
    shown.setAttribute('height', '0');
  } else {
    place(...brush);
  }
  const height = (event: PointerEvent): number =>
    Math.min(last, Math.max(first, event.clientY - (area.ownerSVGElement?.getBoundingClientRect().top ?? 0)));
  area.addEventListener('pointerdown', begun => {
    const pressed = height(begun);
    const gripped = brush?.findIndex(at => Math.abs(at - pressed) < GRIP) ?? -1;
    const from = gripped < 0 ? pressed : (brush?.[1 - gripped] ?? pressed);
    area.setPointerCapture(begun.pointerId);
    const span = (event: PointerEvent): Brush => {
      const to = height(event);
      return from < to ? [from, to] : [to, from];
    };
    const move = (event: PointerEvent): void => place(...span(event));
    area.addEventListener('pointermove', move);
    area.addEventListener(
      'pointerup',
      event => {
        area.removeEventListener('pointermove', move);
        set(Math.abs(height(event) - pressed) < CLICK ? null : span(event));
      },
      { once: true }
    );
  });
  return [shown, area, ...ends];
}
