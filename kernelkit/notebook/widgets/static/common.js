// What the widgets share: elements, colours, canvas, scales and ticks, words, arrays, messages, selection.

const DAY = 86400e3;
const TYPES = {
  float64: Float64Array,
  float32: Float32Array,
  int32: Int32Array,
  int64: BigInt64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array
};

// --- elements

/** An element: make("button", { title: "Reset", onclick: f }, "Reset"). */
function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (key.startsWith('aria-') && value !== null && value !== undefined) node.setAttribute(key, String(value));
    else if (value === true) node.setAttribute(key, '');
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, String(value));
  }
  node.append(...children);
  return node;
}

/** A button that says what it does; `pressed` makes it one that stays down. */
function button(text, label, onclick, pressed) {
  const node = make('button', { type: 'button', title: label, 'aria-label': label, onclick }, text);
  if (pressed !== undefined) node.setAttribute('aria-pressed', pressed);
  return node;
}

/** A labelled select: pairs of [value, text]. */
function choice(text, pairs, value, onchange) {
  const node = make('select', { 'aria-label': text, onchange: () => onchange(node.value) });
  for (const [key, name] of pairs) node.append(make('option', { value: key }, name));
  node.value = value;
  return make('label', {}, text, node);
}

/** The root of a widget, with a line for errors, the kernel's too, and one that screen readers speak. */
function frame(model, el, name, label) {
  const root = make('div', { class: `kkw kkw-${name}`, role: 'group', 'aria-label': label });
  const fault = make('div', { class: 'kkw-fault', role: 'alert' });
  const live = make('div', { class: 'kkw-live', 'aria-live': 'polite' });
  root.append(fault, live);
  el.append(root);
  // plain keys belong to the widget that has the focus (to a notebook, d d deletes the cell); Ctrl+S still saves
  const own = event => {
    if (root.contains(event.target))
      event.target.toggleAttribute(
        'data-lm-suppress-shortcuts',
        !(event.ctrlKey || event.metaKey || event.altKey || event.shiftKey)
      );
  };
  addEventListener('keydown', own, true); // before JupyterLab reads it
  const fail = text => {
    fault.textContent = text;
  };
  const clear = () => fail('');
  model.on('change:selected', clear);
  const heard = onMessage(model, { error: ({ text }) => fail(text) });
  return {
    root,
    fail,
    end: () => {
      heard();
      removeEventListener('keydown', own, true);
      model.off('change:selected', clear);
    },
    say: text => {
      live.textContent = text;
    }
  };
}

/** A box that follows the pointer and stays inside the widget: show(text, x, y), hide(). */
function tooltip(root) {
  const box = make('div', { class: 'kkw-tip', role: 'presentation' });
  root.append(box);
  return {
    hide: () => {
      box.style.visibility = 'hidden';
    },
    show: (text, x, y) => {
      box.textContent = text;
      const room = root.clientWidth - box.offsetWidth - 4;
      const left = x + 14 <= room ? x + 14 : x - 14 - box.offsetWidth;
      box.style.transform = `translate(${Math.max(0, Math.min(left, room))}px, ${Math.max(0, y + 12)}px)`;
      box.style.visibility = 'visible';
    }
  };
}

// --- colours and canvas

/** The colours of the theme around the widget, read when drawing: it may change at any time. */
function theme(root) {
  const style = getComputedStyle(root);
  const read = name => style.getPropertyValue(`--kk-${name}`).trim();
  const names = ['ink', 'faint', 'paper', 'line', 'focus', 'blue', 'red', 'amber', 'violet', 'teal', 'font'];
  return Object.fromEntries(names.map(name => [name, read(name)]));
}

/** Call back when the theme changes; returns what ends it. */
function onTheme(changed) {
  const later = () => requestAnimationFrame(changed);
  const seen = new MutationObserver(later);
  const watched = {
    attributes: true,
    attributeFilter: ['class', 'style', 'data-jp-theme-name', 'data-vscode-theme-kind']
  };
  for (const node of [document.documentElement, document.body]) seen.observe(node, watched);
  const media = matchMedia('(prefers-color-scheme: dark)');
  media.addEventListener('change', later);
  return () => {
    seen.disconnect();
    media.removeEventListener('change', later);
  };
}

/**
 * A canvas as wide as its parent, sharp on every screen, drawn at most once a frame.
 * draw(ctx, width, height) is called in CSS pixels; returns { node, redraw, end }.
 */
function canvas(parent, height, draw, attributes = {}) {
  const node = make('canvas', { style: `height:${height}px`, ...attributes });
  parent.append(node);
  const ctx = node.getContext('2d');
  let asked = 0;
  const paint = () => {
    asked = 0;
    const width = node.clientWidth,
      tall = node.clientHeight,
      ratio = devicePixelRatio || 1;
    if (!width || !tall) return;
    if (node.width !== Math.round(width * ratio) || node.height !== Math.round(tall * ratio)) {
      node.width = Math.round(width * ratio);
      node.height = Math.round(tall * ratio);
    }
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, width, tall);
    draw(ctx, width, tall);
  };
  const redraw = () => {
    asked ||= requestAnimationFrame(paint);
  };
  const sized = new ResizeObserver(redraw);
  sized.observe(node);
  const themed = onTheme(redraw);
  return {
    node,
    redraw,
    end: () => {
      sized.disconnect();
      themed();
      cancelAnimationFrame(asked);
    }
  };
}

/** Where a pointer event is, in CSS pixels of a node. */
function place(event, node) {
  const box = node.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

// --- scales and ticks

/** A map of [lo, hi] to [start, stop] and back; logarithmic on request. An empty range is widened. */
function scale(lo, hi, start, stop, log = false) {
  if (!(hi > lo)) {
    const wide = Math.abs(lo) * 0.05 || 1;
    [lo, hi, log] = [lo - wide, hi + wide, false];
  }
  const f = log ? Math.log : v => v,
    g = log ? Math.exp : v => v;
  const from = f(lo),
    slope = (stop - start) / (f(hi) - from);
  const at = value => start + (f(value) - from) * slope;
  const back = pixel => g(from + (pixel - start) / slope);
  return {
    lo,
    hi,
    start,
    stop,
    log,
    at,
    back,
    ticks: count => (log ? logTicks(lo, hi, count) : niceTicks(lo, hi, count))
  };
}

/** Multiples of 1, 2 or 5 times a power of ten inside [lo, hi], about `count`. */
function niceTicks(lo, hi, count = 5) {
  if (!(hi > lo)) return [lo];
  const rough = (hi - lo) / Math.max(1, count),
    exponent = Math.floor(Math.log10(rough));
  const unit = 10 ** exponent;
  const step = [1, 2, 5, 10].find(m => m * unit >= rough * (1 - 1e-9));
  const size = step * unit,
    found = [];
  for (let k = Math.ceil(lo / size - 1e-9); k * size <= hi + 1e-9 * size; k++)
    found.push(Number((k * size).toPrecision(12)));
  return found;
}

/** Round numbers in about equal ratios; where [lo, hi] is narrow, those of a linear scale. */
function logTicks(lo, hi, count = 5) {
  const decades = Math.log10(hi / lo);
  if (decades < 0.5) return niceTicks(lo, hi, count);
  const digits = decades < 1.2 ? [1, 1.5, 2, 3, 5, 7] : decades < 3 ? [1, 2, 5] : [1];
  const found = [];
  for (let e = Math.floor(Math.log10(lo)); e <= Math.log10(hi); e++) {
    for (const d of digits) if (d * 10 ** e >= lo && d * 10 ** e <= hi) found.push(Number(`${d}e${e}`));
  }
  return found;
}

const STEPS = [
  1e3,
  5e3,
  15e3,
  30e3,
  60e3,
  300e3,
  900e3,
  1800e3,
  3600e3,
  3 * 3600e3,
  6 * 3600e3,
  12 * 3600e3,
  DAY,
  2 * DAY,
  7 * DAY
];
const MONTHS = [1, 3, 6, 12, 24, 60, 120, 240];

/** Round UTC moments in [lo, hi] (milliseconds), about `count`, as [moment, label]. */
function timeTicks(lo, hi, count = 8) {
  const rough = (hi - lo) / Math.max(1, count),
    step = STEPS.find(s => s >= rough),
    found = [];
  if (step !== undefined) {
    for (let t = Math.ceil(lo / step) * step; t <= hi; t += step) found.push([t, tickLabel(t, step)]);
    return found;
  }
  const months = MONTHS.find(m => m * 30.44 * DAY >= rough) ?? 600;
  const first = new Date(lo);
  let m = Math.ceil((first.getUTCFullYear() * 12 + first.getUTCMonth()) / months) * months;
  for (; ; m += months) {
    const t = Date.UTC(Math.floor(m / 12), m % 12);
    if (t > hi) return found;
    if (t >= lo) found.push([t, months % 12 ? iso(t).slice(0, 7) : iso(t).slice(0, 4)]);
  }
}

function tickLabel(t, step) {
  const text = iso(t);
  if (step >= DAY) return text.slice(0, 10);
  if (t % DAY === 0) return text.slice(5, 10);
  return step >= 60e3 ? text.slice(11, 16) : text.slice(11, 19);
}

// --- words

function iso(ms) {
  return Number.isFinite(ms) ? new Date(ms).toISOString() : '';
}

/** A moment as short as `step`, the time between neighbours in milliseconds, allows. */
function moment(ms, step = DAY) {
  const text = iso(ms).replace('T', ' ');
  if (step >= DAY && ms % DAY === 0) return text.slice(0, 10);
  return step >= 60e3 ? text.slice(0, 16) : step >= 1e3 ? text.slice(0, 19) : text.slice(0, 23);
}

/** A number to so many significant digits, with a true minus; empty for none. */
function number(value, digits = 6) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '';
  const size = Math.abs(value);
  const text =
    size !== 0 && (size < 1e-4 || size >= 1e15)
      ? value.toExponential(Math.max(0, digits - 1))
      : value.toLocaleString('en-US', { maximumSignificantDigits: digits });
  return text.replace('-', '\u2212');
}

/** A large number in few characters, as the pictures in Python have it: 1.25M. */
function compact(value) {
  if (!Number.isFinite(value)) return '';
  const units = [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e4, 'k']
  ];
  const [unit, name] = units.find(([u]) => Math.abs(value) >= u) ?? [1, ''];
  return number(name === 'k' ? value / 1e3 : value / unit, 4) + name;
}

/** A fraction as percent. */
function percent(value, digits = 2) {
  const text = (100 * value).toFixed(digits);
  return Number.isFinite(value)
    ? `${(Number(text) === 0 ? text.replace('-', '') : text).replace('-', '\u2212')} %`
    : '';
}

// --- arrays and messages

/** What `packed` in Python made of an array, as a typed array with a shape; int64 becomes numbers. */
function unpack(part, buffer = part.data) {
  const type = TYPES[part.dtype];
  if (!type) throw new Error(`array of ${part.dtype}: no such type here`);
  const bytes =
    buffer instanceof DataView || ArrayBuffer.isView(buffer)
      ? buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength) // a view may begin anywhere, an array may not
      : buffer.slice(0);
  let values = new type(bytes);
  if (part.dtype === 'int64') values = Float64Array.from(values, Number);
  values.shape = part.shape;
  return values;
}

/** int64 nanoseconds, as `unpack` has them, as milliseconds. */
function milliseconds(values) {
  return values.map(v => v / 1e6);
}

/** Send a message to the kernel; where there is none, as in a saved page, `fail` is told so. */
function post(model, content, fail) {
  try {
    model.send(content);
  } catch {
    fail('There is no kernel to ask: run the cell again.');
  }
}

/** Listen to messages of the kernel: handlers by kind get (content, arrays); returns what ends it. */
function onMessage(model, handlers) {
  const hear = (content, buffers) => {
    const handler = handlers[content.kind];
    if (!handler) return;
    const arrays = {};
    Object.entries(content.arrays ?? {}).forEach(([name, part], k) => {
      arrays[name] = unpack(part, buffers[k]);
    });
    handler(content, arrays);
  };
  model.on('msg:custom', hear);
  return () => model.off('msg:custom', hear);
}

// --- selection

/** What is selected in all widgets of the result: { trial, trade, span }; span in milliseconds. */
function selected(model) {
  return model.get('selected') ?? {};
}

/** Select in all widgets of the result: select(model, { trade: 3 }). */
function select(model, part) {
  model.set('selected', { ...selected(model), ...part });
  model.save_changes();
}

/** Run functions when the widget goes: render returns ending(f, g). */
function ending(...ends) {
  return () => ends.forEach(end => end());
}

/** Call `f` with the newest arguments after a pause of `ms`. */
function debounce(f, ms) {
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => f(...args), ms);
  };
}
