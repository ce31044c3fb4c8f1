// A metric over two dims of the trials: colours around zero, slices through the chosen cell, its plateau.

const FRAME = { left: 58, right: 8, top: 4, bottom: 38 };
const [SHOWN, NOT_RUN, FAILED, UNDEFINED] = [0, 1, 2, 3];
const WHY = { [NOT_RUN]: 'not run', [FAILED]: 'failed', [UNDEFINED]: 'run, but has no value' };
// Orange, neutral, blue: told apart by every kind of colour vision; even in lightness on either side (OKLab).
const RAMPS = { light: ['#a14a00', '#f1f1ef', '#1a5fa8'], dark: ['#ffab5e', '#2c2f33', '#79bdff'] };
const FINE = 127;

/** A colour as OKLab (Ottosson), and back. */
function toLab(hex) {
  const [r, g, b] = [1, 3, 5]
    .map(k => parseInt(hex.slice(k, k + 2), 16) / 255)
    .map(v => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s
  ];
}
function toRgb([L, a, b]) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3,
    m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s
  ].map(v =>
    Math.max(
      0,
      Math.min(255, Math.round(255 * (v <= 0.0031308 ? 12.92 * v : 1.055 * Math.max(v, 0) ** (1 / 2.4) - 0.055)))
    )
  );
}

/** The colours from the strongest negative over zero to the strongest positive value. */
function ramp(dark) {
  const [low, middle, high] = RAMPS[dark ? 'dark' : 'light'].map(toLab),
    found = [];
  for (let k = -FINE; k <= FINE; k++) {
    const end = k < 0 ? low : high,
      part = Math.abs(k) / FINE;
    found.push(toRgb(middle.map((v, c) => v + (end[c] - v) * part)));
  }
  return found;
}

/** Where a value lies between the neutral colour (0) and the ends (-1, 1); one sign alone is spread out. */
function strength(low, high) {
  const size = Math.max(Math.abs(low), Math.abs(high));
  const least = low < 0 && high > 0 ? 0 : Math.min(Math.abs(low), Math.abs(high)),
    first = least === 0 ? 0 : 0.1;
  return v => (v < 0 ? -1 : 1) * (size > least ? first + ((1 - first) * (Math.abs(v) - least)) / (size - least) : 1);
}

function written(unit, value) {
  if (unit === 'percent') return percent(value, 1);
  if (unit === 'count' || unit === 'money') return number(Math.round(value), 12);
  return Number.isFinite(value) ? value.toFixed(Math.abs(value) < 100 ? 2 : 0).replace('-', '\u2212') : '';
}

function render({ model, el }) {
  const head = model.get('head'),
    reducers = head.reducers;
  const { root, fail, say, end } = frame(model, el, 'explorer', `Trials of ${head.title}`);
  let view = null,
    cursor = null,
    centre = [0, 0], // of the slices: where the cursor is, or was before another picture
    hover = null;
  const ends = [];

  // --- what is shown
  const shown = () => model.get('shown');
  const put = part => {
    model.set('shown', { ...shown(), ...part });
    model.save_changes();
  };
  const bar = make('div', { class: 'kkw-bar' }),
    rest = make('div', { class: 'kkw-bar' });
  root.prepend(bar, rest);
  function controls() {
    const { metric, x, y, at } = shown(),
      own = head.metrics.find(m => m.name === metric);
    const long = own.dims.filter(d => head.dims[d].length > 1),
      pairs = long.map(d => [d, d]);
    const held = document.activeElement?.dataset?.kk;
    bar.replaceChildren(
      make('span', { class: 'kkw-title' }, head.title),
      choice(
        'metric',
        head.metrics.map(m => [m.name, m.label]),
        metric,
        v => put({ metric: v })
      ),
      choice('x', pairs, x, v => put(v === y ? { x: v, y: x } : { x: v }))
    );
    if (y !== null) bar.append(choice('y', pairs, y, v => put(v === x ? { x: y, y: v } : { y: v })));
    rest.replaceChildren(
      ...own.dims
        .filter(d => d !== x && d !== y && head.dims[d].length > 1)
        .map(d => {
          const labels = head.dims[d],
            fixed = !reducers.includes(at[d]);
          const how = choice(d, [['one', 'at'], ...reducers.map(r => [r, `${r} of all`])], fixed ? 'one' : at[d], v =>
            put({ at: { ...at, [d]: v === 'one' ? 0 : v } })
          );
          if (fixed) {
            const value = make('b', {}, labels[at[d]]);
            how.append(
              make('input', {
                type: 'range',
                min: 0,
                max: labels.length - 1,
                value: at[d],
                'aria-label': `${d} at`,
                'data-kk': d,
                oninput: event => {
                  value.textContent = labels[event.target.value];
                  put({ at: { ...shown().at, [d]: Number(event.target.value) } });
                }
              }),
              value
            );
          }
          return how;
        })
    );
    if (held) rest.querySelector(`[data-kk="${held}"]`)?.focus();
  }

  // --- the pictures
  const maps = make('div', { class: 'kkw-maps' }),
    legend = make('div', { class: 'kkw-legend' }),
    slices = make('div', { class: 'kkw-maps' });
  root.append(maps, legend, slices);
  const tip = tooltip(root);
  const dark = () => {
    const [r, g, b] = getComputedStyle(root)
      .color.match(/[\d.]+/g)
      .map(Number);
    return 0.3 * r + 0.59 * g + 0.11 * b > 128;
  };
  let drawn = [],
    colourBar = null;
  const redraw = () => drawn.forEach(d => d.redraw());

  function receive() {
    const picture = model.get('picture');
    if (!picture.panes) return;
    const { x, y } = picture.shown,
      columns = head.dims[x],
      rows = y === null ? [''] : head.dims[y];
    const panes = picture.panes.map(p => ({
      ...p,
      values: unpack(p.values),
      state: unpack(p.state),
      plateau: unpack(p.plateau)
    }));
    let low = Infinity,
      high = -Infinity;
    for (const { values } of panes)
      for (const v of values)
        if (Number.isFinite(v)) {
          low = Math.min(low, v);
          high = Math.max(high, v);
        }
    if (low > high) [low, high] = [0, 0];
    const layout = `${panes.length}:${y === null}:${x}:${y}`,
      before = view?.layout;
    view = { ...picture, x, y, columns, rows, panes, low, high, layout, strong: strength(low, high), stamp: {} };
    follow();
    if (before !== layout) build();
    key();
    redraw();
    root.dataset.drawn = Number(root.dataset.drawn ?? 0) + 1;
  }

  function build() {
    drawn.forEach(d => d.end());
    drawn = [];
    maps.replaceChildren();
    slices.replaceChildren();
    if (view.y === null) {
      const box = make('div');
      maps.append(box);
      drawn.push(
        interact(
          canvas(box, 260, (ctx, w, h) => slice(ctx, w, h, 'x', 0), { tabindex: 0, role: 'img' }),
          0,
          true
        )
      );
      return;
    }
    const tall = Math.max(180, Math.min(420, 18 * view.rows.length)) + FRAME.top + FRAME.bottom;
    view.panes.forEach((pane, k) => {
      const box = make('div');
      if (pane.title) box.append(make('h4', {}, pane.title));
      maps.append(box);
      drawn.push(
        interact(
          canvas(box, tall, (ctx, w, h) => map(ctx, w, h, k), { tabindex: 0, role: 'img' }),
          k,
          false
        )
      );
    });
    for (const along of ['x', 'y']) {
      const box = make('div'),
        title = make('h4');
      box.append(title);
      slices.append(box);
      drawn.push(
        canvas(box, 150, (ctx, w, h) => slice(ctx, w, h, along, title), {
          role: 'img',
          'aria-label': `Slice along ${view[along]}`
        })
      );
    }
  }

  const geometry = (w, h) => ({
    left: FRAME.left,
    top: FRAME.top,
    cw: (w - FRAME.left - FRAME.right) / view.columns.length,
    ch: (h - FRAME.top - FRAME.bottom) / view.rows.length
  });

  /** The cells, their plateau and axes: made anew for other data, size or theme, otherwise copied. */
  function base(k, w, h) {
    const ratio = devicePixelRatio || 1,
      night = dark(),
      old = view.stamp[k];
    if (old && old.w === w && old.h === h && old.night === night && old.ratio === ratio) return old.layer;
    const pane = view.panes[k],
      n = view.columns.length,
      m = view.rows.length,
      colours = ramp(night);
    const image = new ImageData(n, m),
      failed = toRgb(toLab(theme(root).violet));
    for (let c = 0; c < n * m; c++) {
      const rgb =
        pane.state[c] === SHOWN
          ? colours[Math.round(FINE * (1 + view.strong(pane.values[c])))]
          : pane.state[c] === FAILED
            ? failed
            : null;
      if (rgb) image.data.set([...rgb, 255], 4 * c);
    }
    const small = new OffscreenCanvas(n, m);
    small.getContext('2d').putImageData(image, 0, 0);
    const layer = new OffscreenCanvas(Math.round(w * ratio), Math.round(h * ratio)),
      ctx = layer.getContext('2d');
    ctx.scale(ratio, ratio);
    const { left, top, cw, ch } = geometry(w, h),
      shades = theme(root);
    ctx.imageSmoothingEnabled = cw < 1 || ch < 1;
    ctx.drawImage(small, left, top, cw * n, ch * m);
    absent(ctx, pane, geometry(w, h), shades);
    outline(ctx, pane.plateau, geometry(w, h), shades.ink);
    axes(ctx, w, h, shades);
    view.stamp[k] = { layer, w, h, night, ratio };
    return layer;
  }

  /** Dots where nothing was run, strokes where what was run has no value. */
  function absent(ctx, pane, { left, top, cw, ch }, shades) {
    const n = view.columns.length,
      step = Math.max(1, Math.ceil(6 / Math.min(cw, ch)));
    ctx.fillStyle = ctx.strokeStyle = shades.faint;
    ctx.lineWidth = 0.8;
    for (let i = 0; i < view.rows.length; i += step) {
      for (let j = 0; j < n; j += step) {
        const state = pane.state[i * n + j],
          x = left + cw * (j + 0.5),
          y = top + ch * (i + 0.5);
        if (state === NOT_RUN) ctx.fillRect(x - 1, y - 1, 2, 2);
        if (state !== UNDEFINED) continue;
        const r = Math.min(6, (step * Math.min(cw, ch)) / 2 - 1);
        ctx.beginPath();
        ctx.moveTo(x - r, y + r);
        ctx.lineTo(x + r, y - r);
        ctx.stroke();
      }
    }
  }

  function outline(ctx, plateau, { left, top, cw, ch }, ink) {
    if (!plateau.length) return;
    const n = view.columns.length,
      m = view.rows.length,
      inside = (i, j) => i >= 0 && j >= 0 && i < m && j < n && plateau[i * n + j] === 1;
    ctx.strokeStyle = ink;
    ctx.lineWidth = 1.6;
    ctx.beginPath();
    for (let i = 0; i <= m; i++) {
      for (let j = 0; j <= n; j++) {
        const x = left + cw * j,
          y = top + ch * i;
        if (inside(i, j) !== inside(i - 1, j)) {
          ctx.moveTo(x, y);
          ctx.lineTo(x + cw, y);
        }
        if (inside(i, j) !== inside(i, j - 1)) {
          ctx.moveTo(x, y);
          ctx.lineTo(x, y + ch);
        }
      }
    }
    ctx.stroke();
  }

  function axes(ctx, w, h, shades) {
    const { left, top, cw, ch } = geometry(w, h),
      bottom = h - FRAME.bottom;
    ctx.font = `11px ${shades.font}`;
    ctx.fillStyle = shades.faint;
    ctx.textBaseline = 'middle';
    ctx.textAlign = 'center';
    const wide = Math.max(...view.columns.map(t => t.length)) * 6.5 + 10;
    for (let j = 0; j < view.columns.length; j += Math.ceil(wide / cw))
      ctx.fillText(view.columns[j], left + cw * (j + 0.5), bottom + 11);
    ctx.textAlign = 'right';
    for (let i = 0; i < view.rows.length; i += Math.ceil(14 / ch))
      ctx.fillText(view.rows[i].slice(0, 8), left - 6, top + ch * (i + 0.5));
    ctx.fillStyle = shades.ink;
    ctx.font = `600 11px ${shades.font}`;
    ctx.textAlign = 'center';
    ctx.fillText(view.x, (left + w - FRAME.right) / 2, bottom + 28);
    ctx.save();
    ctx.translate(9, (top + bottom) / 2);
    ctx.rotate(-Math.PI / 2);
    ctx.fillText(view.y, 0, 0);
    ctx.restore();
  }

  function map(ctx, w, h, k) {
    ctx.drawImage(base(k, w, h), 0, 0, w, h);
    const shades = theme(root),
      { left, top, cw, ch } = geometry(w, h);
    const mark = ([i, j], width, gap) => {
      const grow = Math.max(0, (7 - Math.min(cw, ch)) / 2); // so that a cell of a pixel is still seen
      ctx.lineWidth = width + 2;
      ctx.strokeStyle = shades.paper;
      ctx.strokeRect(left + cw * j - grow, top + ch * i - grow, cw + 2 * grow, ch + 2 * grow);
      ctx.lineWidth = width;
      ctx.strokeStyle = gap ? shades.faint : shades.ink;
      ctx.strokeRect(left + cw * j - grow, top + ch * i - grow, cw + 2 * grow, ch + 2 * grow);
    };
    if (hover) mark(hover, 1, true);
    if (cursor) mark(cursor, 2, false);
  }

  /** The values along one axis through the cursor, with the neighbouring lines faint. */
  function slice(ctx, w, h, along, title) {
    const shades = theme(root),
      n = view.columns.length,
      [ci, cj] = centre;
    const labels = along === 'x' ? view.columns : view.rows,
      lines = along === 'x' ? view.rows.length : n;
    const mine = along === 'x' ? ci : cj,
      here = along === 'x' ? cj : ci;
    const value = (pane, line, k) => pane.values[along === 'x' ? line * n + k : k * n + line];
    const span = scale(-0.5, labels.length - 0.5, FRAME.left, w - FRAME.right);
    const air = (view.high - view.low) * 0.05 || 1,
      up = scale(view.low - air, view.high + air, h - FRAME.bottom, FRAME.top);
    if (title)
      title.textContent =
        along === 'x'
          ? `${view.label} along ${view.x}, at ${view.y}=${view.rows[ci]}`
          : `${view.label} along ${view.y}, at ${view.x}=${view.columns[cj]}`;
    ctx.font = `11px ${shades.font}`;
    ctx.textBaseline = 'middle';
    ctx.lineWidth = 1;
    for (const v of up.ticks(Math.round(h / 45))) {
      ctx.strokeStyle = v === 0 ? shades.faint : shades.line;
      ctx.beginPath();
      ctx.moveTo(FRAME.left, Math.round(up.at(v)) + 0.5);
      ctx.lineTo(w - FRAME.right, Math.round(up.at(v)) + 0.5);
      ctx.stroke();
      ctx.fillStyle = shades.faint;
      ctx.textAlign = 'right';
      ctx.fillText(written(view.unit, v), FRAME.left - 6, up.at(v));
    }
    ctx.textAlign = 'center';
    const step = Math.ceil((Math.max(...labels.map(t => t.length)) * 6.5 + 12) / ((w - FRAME.left) / labels.length));
    for (let k = 0; k < labels.length; k += step) ctx.fillText(labels[k], span.at(k), h - FRAME.bottom + 11);
    ctx.fillStyle = shades.ink;
    ctx.fillText(view[along], (FRAME.left + w) / 2, h - FRAME.bottom + 28);
    const colours = [shades.blue, shades.amber];
    view.panes.forEach((pane, p) => {
      for (const [line, alpha, thick] of [
        [mine - 1, 0.35, 1],
        [mine + 1, 0.35, 1],
        [mine, 1, 1.8]
      ]) {
        if (line < 0 || line >= lines) continue;
        ctx.globalAlpha = alpha;
        ctx.strokeStyle = ctx.fillStyle = colours[p];
        ctx.lineWidth = thick;
        ctx.beginPath();
        let pen = false;
        for (let k = 0; k < labels.length; k++) {
          const v = value(pane, line, k),
            there = Number.isFinite(v);
          if (there && pen) ctx.lineTo(span.at(k), up.at(v));
          else if (there) ctx.moveTo(span.at(k), up.at(v));
          pen = there;
        }
        ctx.stroke();
        if (alpha < 1 || labels.length > 120) continue;
        for (let k = 0; k < labels.length; k++) {
          const v = value(pane, line, k);
          if (Number.isFinite(v)) {
            ctx.beginPath();
            ctx.arc(span.at(k), up.at(v), 2, 0, 7);
            ctx.fill();
          }
        }
      }
      ctx.globalAlpha = 1;
      const v = value(pane, mine, here);
      if (!cursor || !Number.isFinite(v)) return;
      ctx.beginPath();
      ctx.arc(span.at(here), up.at(v), 5, 0, 7);
      ctx.strokeStyle = shades.ink;
      ctx.lineWidth = 2;
      ctx.stroke();
    });
  }

  // --- the legend
  function key() {
    const counts = [0, 0, 0, 0];
    for (const { state } of view.panes) for (const s of state) counts[s]++;
    const many = k => `${k.toLocaleString('en-US')} ${k === 1 ? 'cell' : 'cells'}`;
    legend.replaceChildren();
    colourBar?.end();
    const mark = (name, text) => legend.append(make('span', {}, make('i', { class: `kkw-${name}` }), text));
    if (view.y !== null) {
      colourBar = canvas(
        legend,
        30,
        (ctx, w) => {
          const colours = ramp(dark()),
            shades = theme(root);
          for (let px = 0; px < w; px++) {
            const v = view.low + ((view.high - view.low) * px) / w,
              rgb = colours[Math.round(FINE * (1 + view.strong(v)))];
            ctx.fillStyle = `rgb(${rgb})`;
            ctx.fillRect(px, 0, 1.5, 12);
          }
          ctx.font = `11px ${shades.font}`;
          ctx.fillStyle = shades.faint;
          const at = v => ((v - view.low) / (view.high - view.low || 1)) * w;
          for (const [v, align] of [
            [view.low, 'left'],
            [view.high, 'right']
          ]) {
            ctx.textAlign = align;
            ctx.fillText(written(view.unit, v), at(v), 25);
          }
          ctx.textAlign = 'center';
          if (view.low < 0 && view.high > 0 && at(0) > 45 && at(0) < w - 45) ctx.fillText('0', at(0), 25);
        },
        {
          role: 'img',
          'aria-label': `${view.label} from ${written(view.unit, view.low)} to ${written(view.unit, view.high)}`
        }
      );
    }
    view.panes.forEach((pane, k) => {
      const colour = ['blue', 'amber'][k];
      if (pane.title)
        legend.append(make('span', {}, make('i', { style: `background:var(--kk-${colour})` }), pane.title));
      const size = pane.plateau.reduce((a, b) => a + b, 0);
      if (!size) return;
      mark(
        'plateau',
        `plateau${pane.title ? ` ${pane.title}` : ''}: ${many(size)} with at least 0.8 of the best${
          pane.stability === null ? '' : `; those beside the best have ${pane.stability.toFixed(2)} of it`
        }`
      );
    });
    if (counts[NOT_RUN]) mark('notrun', `not run: ${many(counts[NOT_RUN])}`);
    if (counts[FAILED]) mark('failed', `failed: ${many(counts[FAILED])}`);
    if (counts[UNDEFINED]) mark('undefined', `no value: ${many(counts[UNDEFINED])}`);
  }

  // --- pointer, keys, selection
  function follow() {
    const [i, j] = model.get('cursor');
    cursor = i === undefined || i >= view.rows.length || j >= view.columns.length ? null : [i, j];
    centre = cursor ?? [Math.min(centre[0], view.rows.length - 1), Math.min(centre[1], view.columns.length - 1)];
  }
  const pick = debounce(([i, j]) => post(model, { kind: 'pick', i, j }, fail), 60);
  function go(cell) {
    cursor = centre = cell;
    redraw();
    say(said(cell).replaceAll('\n', ', '));
    pick(cell);
  }
  function said([i, j]) {
    const c = i * view.columns.length + j,
      lines = [
        view.y === null ? `${view.x}=${view.columns[j]}` : `${view.x}=${view.columns[j]}, ${view.y}=${view.rows[i]}`
      ];
    for (const pane of view.panes)
      lines.push(
        `${view.label}${pane.title ? `, ${pane.title}` : ''}: ${WHY[pane.state[c]] ?? written(view.unit, pane.values[c])}`
      );
    return lines.join('\n');
  }
  function interact(made, k, line) {
    const { node } = made;
    node.setAttribute(
      'aria-label',
      `${view.label} over ${view.x}${view.y === null ? '' : ` and ${view.y}`}${view.panes[k].title ? `, ${view.panes[k].title}` : ''}; arrow keys move the choice`
    );
    const cell = event => {
      const [px, py] = place(event, node),
        { left, top, cw, ch } = geometry(node.clientWidth, node.clientHeight);
      const j = Math.floor((px - left) / cw),
        i = line ? 0 : Math.floor((py - top) / ch);
      return i >= 0 && j >= 0 && i < view.rows.length && j < view.columns.length ? [i, j] : null;
    };
    const leave = () => {
      hover = null;
      tip.hide();
      redraw();
    };
    node.addEventListener('pointerleave', leave);
    node.addEventListener('pointermove', event => {
      const found = cell(event);
      if (!found) {
        leave();
        return;
      }
      if (!hover || hover[0] !== found[0] || hover[1] !== found[1]) {
        hover = found;
        redraw();
      }
      const [rx, ry] = place(event, root);
      tip.show(said(found), rx, ry);
    });
    node.addEventListener('click', event => {
      const found = cell(event);
      if (found) go(found);
    });
    node.addEventListener('keydown', event => {
      const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (!move) return;
      event.preventDefault();
      const [i, j] = centre;
      go([
        Math.max(0, Math.min(view.rows.length - 1, i + move[0])),
        Math.max(0, Math.min(view.columns.length - 1, j + move[1]))
      ]);
    });
    return made;
  }

  const chosen = () => {
    follow();
    redraw();
  };
  model.on('change:shown', controls);
  model.on('change:picture', receive);
  model.on('change:cursor', chosen);
  controls();
  receive();
  return ending(
    end,
    ...ends,
    () => model.off('change:shown', controls),
    () => model.off('change:picture', receive),
    () => model.off('change:cursor', chosen),
    () => {
      drawn.forEach(d => d.end());
      colourBar?.end();
    }
  );
}

export default { render };
