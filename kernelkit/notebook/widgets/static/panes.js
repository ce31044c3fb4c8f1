// Panes over one axis of bars: price with fills, equity, drawdown, position. Bars are equally far apart.

const AXIS = 64,
  FOOT = 22,
  GAP = 6;
const SHARES = { price: 3.2, equity: 2, drawdown: 1, position: 0.8 };
const NAMES = { price: 'Price', equity: 'Equity', drawdown: 'Drawdown', position: 'Position' };
const CANDLES = 400,
  LEAST = 12,
  CLICK = 4,
  NEAR = 10,
  PATIENCE_MS = 3000; // a kernel that has gone does not answer, and one that is busy answers late

/** A picture of rows, as Python's `Scene.window` has it: at(name, k) over pieces of `step` rows. */
function picture(rows, content, arrays) {
  const { first, step } = content,
    time = milliseconds(arrays.time),
    count = time.length;
  const end = Math.min(rows, first + count * step);
  return {
    ...content,
    arrays,
    time,
    count,
    end,
    has: name => name in arrays,
    middle: k => (first + k * step + Math.min(end, first + (k + 1) * step)) / 2,
    piece: row => Math.max(0, Math.min(count - 1, Math.floor((row - first) / step))),
    covers: (from, to) => first <= from && end >= to
  };
}

function overviewOf(model) {
  const found = model.get('overview'),
    arrays = {};
  for (const [name, part] of Object.entries(found.arrays)) arrays[name] = unpack(part);
  return picture(model.get('facts').rows, found, arrays);
}

/** What rows are in view, and how it changes: it stays inside the data and wider than a few bars. */
function viewOf(rows, changed) {
  const view = { from: 0, to: rows };
  const set = (from, to) => {
    const wide = Math.min(rows, Math.max(Math.min(LEAST, rows), to - from));
    const left = Math.max(0, Math.min(rows - wide, from));
    if (left === view.from && left + wide === view.to) return false;
    [view.from, view.to] = [left, left + wide];
    changed();
    return true;
  };
  return Object.assign(view, {
    set,
    zoom: (factor, at = (view.from + view.to) / 2) => set(at - (at - view.from) * factor, at + (view.to - at) * factor),
    pan: share => set(view.from + share * (view.to - view.from), view.to + share * (view.to - view.from)),
    reset: () => set(0, rows),
    around: (from, to) => {
      const air = Math.max(15, (to - from) * 0.6);
      set(from - air, to + air);
    }
  });
}

/** Asks the kernel for the rows in view, one question at a time, always the newest one. */
function asker(model, answered, fail) {
  let serial = 0,
    waiting = false,
    next = null,
    late;
  const send = question => {
    waiting = true;
    serial += 1;
    clearTimeout(late);
    late = setTimeout(over, PATIENCE_MS);
    post(model, { kind: 'window', serial, ...question }, fail);
  };
  function over() {
    clearTimeout(late);
    waiting = false;
    const question = next;
    next = null;
    if (question) send(question);
  }
  const end = onMessage(model, {
    window: (content, arrays) => {
      if (content.serial !== serial) return; // of an older question, or of another trial
      over();
      answered(content, arrays);
    }
  });
  return {
    ask: question => {
      if (waiting) next = question;
      else send(question);
    },
    forget: () => {
      serial += 1;
      next = null;
      over();
    },
    end: () => {
      clearTimeout(late);
      end();
    }
  };
}

/** The chart inside `root`; returns { end }. */
function panes(model, root, { fail, say }, attributes = {}) {
  let facts = model.get('facts'),
    overview = overviewOf(model),
    detail = null,
    hover = null,
    drag = null,
    brushed = false;
  const show = { log: false, fills: true, volume: false };
  const view = viewOf(facts.rows, () => {
    tellView();
    want();
    surface.redraw();
  });
  const head = make('div', { class: 'kkw-bar' }),
    bar = make('div', { class: 'kkw-bar' }),
    notes = make('div', { class: 'kkw-note' });
  root.append(head, bar);
  const surface = canvas(root, model.get('height'), draw, {
    tabindex: 0,
    role: 'img',
    class: 'kkw-panes',
    'aria-label': `Chart of ${facts.title}. Arrows pan, plus and minus zoom, 0 shows all, Escape clears the selection.`,
    ...attributes
  });
  root.append(notes);
  const tip = tooltip(root),
    node = surface.node;
  const kernel = asker(
    model,
    (content, arrays) => {
      detail = picture(facts.rows, content, arrays);
      want();
      surface.redraw();
    },
    fail
  );

  /** What the element says of itself, for scripts and tests: the rows in view. */
  function tellView() {
    Object.assign(node.dataset, { from: view.from.toFixed(2), to: view.to.toFixed(2) });
  }

  // --- which picture is shown

  const plot = () => Math.max(60, node.clientWidth - AXIS);
  const fine = span => 2 ** Math.max(0, Math.ceil(Math.log2(span / plot())));

  function want() {
    const wide = view.to - view.from,
      from = Math.max(0, Math.floor(view.from - wide / 2)),
      to = Math.min(facts.rows, Math.ceil(view.to + wide / 2));
    let step = fine(wide);
    while (Math.ceil((to - from) / step) > facts.most) step *= 2; // finer than that the kernel does not answer
    if (overview.step <= step) return;
    if (detail && detail.covers(view.from, view.to) && detail.step <= step) return;
    kernel.ask({ from, to, pieces: Math.ceil((to - from) / step) });
  }

  /** The pictures that fill the view, each with the rows where it is drawn: nothing is ever blank. */
  function shown() {
    const { from, to } = view;
    if (!detail || overview.step <= fine(to - from) || detail.first >= to || detail.end <= from)
      return [[overview, from, to]];
    const parts = [
      [overview, from, detail.first],
      [detail, Math.max(from, detail.first), Math.min(to, detail.end)],
      [overview, detail.end, to]
    ];
    return parts.filter(([, a, b]) => b > a);
  }

  const marked = () =>
    shown()
      .map(([found]) => found)
      .find(found => found === detail) ?? overview;
  const pictureAt = row => (shown().find(([, a, b]) => row >= a && row < b) ?? shown()[0])[0];

  function timeAt(row) {
    const found = pictureAt(row),
      at = (row - found.first) / found.step,
      k = Math.max(0, Math.min(found.count - 1, Math.floor(at)));
    const next = found.time[k + 1] ?? found.time[k];
    return found.step === 1 ? found.time[k] : found.time[k] + (next - found.time[k]) * Math.min(1, Math.max(0, at - k));
  }

  // --- the tools above it

  const toggle = (text, label, name) => {
    const pressed = button(
      text,
      label,
      () => {
        show[name] = !show[name];
        pressed.setAttribute('aria-pressed', show[name]);
        surface.redraw();
      },
      show[name]
    );
    return pressed;
  };

  function tools() {
    facts = model.get('facts');
    const { dims, assets, notes: said } = facts;
    head.replaceChildren(
      make('span', { class: 'kkw-title' }, facts.title),
      make('span', { class: 'kkw-note' }, facts.caption)
    );
    bar.replaceChildren();
    for (const { name, labels, at } of dims) {
      const pick = k => post(model, { kind: 'trial', labels: { [name]: labels[Number(k)] } }, fail);
      bar.append(
        choice(
          name,
          labels.map((label, k) => [k, String(label)]),
          at,
          pick
        )
      );
    }
    if (assets.length)
      bar.append(
        choice(
          'asset',
          assets.map(a => [a, a]),
          facts.asset,
          asset => post(model, { kind: 'asset', asset }, fail)
        )
      );
    bar.append(
      ...chips(),
      make('span', { class: 'kkw-space' }),
      toggle('Log', 'Logarithmic scale', 'log'),
      toggle('Fills', 'Show fills and trades', 'fills'),
      ...(facts.volume ? [toggle('Volume', 'Show volume', 'volume')] : []),
      button('\u2212', 'Zoom out', () => view.zoom(2)),
      button('+', 'Zoom in', () => view.zoom(0.5)),
      button('All', 'Show all bars', view.reset)
    );
    notes.textContent = said.join(' ');
  }

  /** Which colour is which regime. */
  function chips() {
    if (!facts.regimes) return [];
    const colours = theme(root),
      codes = [...new Set(regimes().code)].filter(code => code >= 0).sort((a, b) => a - b);
    return codes.map(code =>
      make('span', { class: 'kkw-note kkw-chip', style: `--kk-chip:${tint(code, colours)}` }, `regime ${code}`)
    );
  }

  // --- drawing

  function layout(tall) {
    const total = facts.panes.reduce((sum, name) => sum + SHARES[name], 0);
    const room = tall - FOOT - GAP * (facts.panes.length - 1);
    let top = 0;
    return facts.panes.map(name => {
      const found = { name, top, bottom: top + (room * SHARES[name]) / total };
      top = found.bottom + GAP;
      return found;
    });
  }

  /** Smallest and largest value of the named columns in view. */
  function extent(columns) {
    let lo = Infinity,
      hi = -Infinity;
    for (const [found, a, b] of shown()) {
      for (const [low, high] of columns) {
        if (!found.has(low)) continue;
        for (let k = found.piece(a); k <= found.piece(b - 1e-9); k++) {
          if (found.arrays[low][k] < lo) lo = found.arrays[low][k];
          if (found.arrays[high][k] > hi) hi = found.arrays[high][k];
        }
      }
    }
    return [lo, hi];
  }

  function scaleOf({ name, top, bottom }) {
    const columns = {
      equity: [
        ['equity_lo', 'equity_hi'],
        ['benchmark_lo', 'benchmark_hi']
      ]
    }[name] ?? [[`${name}_lo`, `${name}_hi`]];
    let [lo, hi] = extent(columns);
    if (name === 'price' && model.get('trade')) {
      const { from, to, worst, best } = model.get('trade');
      if (from < view.to && to >= view.from && worst !== null)
        [lo, hi] = [Math.min(lo, worst, best), Math.max(hi, worst, best)];
    }
    if (name === 'drawdown') [lo, hi] = [Math.min(lo, -0.01), 0];
    if (name === 'position') [lo, hi] = [Math.min(lo, 0), Math.max(hi, 0)];
    const log = show.log && lo > 0 && (name === 'price' || name === 'equity');
    const air = log ? (hi / lo) ** 0.05 : (hi - lo) * 0.05;
    const [low, high] = log ? [lo / air, hi * air] : [lo - air, name === 'drawdown' ? 0 : hi + air];
    return Number.isFinite(lo) ? scale(low, high, bottom - 2, top + 20, log) : scale(0, 1, bottom, top);
  }

  const written = { drawdown: v => percent(v, Math.abs(v) < 0.1 ? 1 : 0), price: v => number(v, 7) };

  function draw(ctx, width, tall) {
    const colours = theme(root),
      right = width - AXIS,
      x = row => ((row - view.from) / (view.to - view.from)) * right;
    const areas = layout(tall).map(area => ({ ...area, y: scaleOf(area) }));
    node.dataset.step = pictureAt((view.from + view.to) / 2).step;
    ctx.font = `11px ${colours.font}`;
    ctx.textBaseline = 'middle';
    const ticks = timeMarks(right);
    for (const area of areas) {
      grid(
        ctx,
        area,
        ticks.map(([row]) => x(row)),
        right,
        colours
      );
      ctx.save();
      ctx.beginPath();
      ctx.rect(0, area.top, right, area.bottom - area.top);
      ctx.clip();
      shade(ctx, area, x, colours, area === areas[0]);
      if (area.name === 'price') band(ctx, area, x, colours);
      for (const [found, a, b] of shown()) {
        ctx.save();
        ctx.beginPath();
        ctx.rect(x(a), area.top, x(b) - x(a), area.bottom - area.top);
        ctx.clip();
        curves[area.name](ctx, area, found, found.piece(a - found.step), found.piece(b + found.step), x, colours);
        ctx.restore();
      }
      if (area.name === 'price') marks(ctx, area, x, colours);
      ctx.restore();
      legend(ctx, area, colours, right);
    }
    foot(ctx, ticks, x, tall, right, colours);
    cross(ctx, areas, x, tall, right, colours);
  }

  function line(ctx, found, name, from, to, x, y, colour, width) {
    const lo = found.arrays[`${name}_lo`],
      hi = found.arrays[`${name}_hi`],
      close = found.arrays[`${name}_close`];
    let drawn = false;
    ctx.beginPath();
    for (let k = from; k <= to; k++) {
      if (!Number.isFinite(close[k])) {
        drawn = false;
        continue;
      }
      const at = x(found.middle(k));
      const points = found.step > 1 ? [lo[k], hi[k], close[k]] : [close[k]];
      for (const value of points) {
        if (drawn) ctx.lineTo(at, y.at(value));
        else ctx.moveTo(at, y.at(value));
        drawn = true;
      }
    }
    stroke(ctx, colour, width);
  }

  function stroke(ctx, colour, width, dash = []) {
    ctx.strokeStyle = colour;
    ctx.lineWidth = width;
    ctx.lineJoin = 'round';
    ctx.setLineDash(dash);
    ctx.stroke();
    ctx.setLineDash([]);
  }

  const curves = {
    price(ctx, { y, top, bottom }, found, from, to, x, colours) {
      if (show.volume && found.has('volume_sum')) volume(ctx, top, bottom, found, from, to, x, colours);
      if (found.step === 1 && view.to - view.from <= CANDLES) candles(ctx, found, from, to, x, y, colours);
      else line(ctx, found, 'price', from, to, x, y, colours.ink, 1.1);
    },
    equity(ctx, { y }, found, from, to, x, colours) {
      ctx.globalAlpha = 0.55;
      if (found.has('benchmark_lo')) line(ctx, found, 'benchmark', from, to, x, y, colours.ink, 1.1);
      ctx.globalAlpha = 1;
      line(ctx, found, 'equity', from, to, x, y, colours.blue, 1.6);
    },
    drawdown(ctx, { y }, found, from, to, x, colours) {
      const deep = found.arrays.drawdown_lo,
        zero = y.at(0);
      ctx.beginPath();
      ctx.moveTo(x(found.middle(from)), zero);
      for (let k = from; k <= to; k++) ctx.lineTo(x(found.middle(k)), y.at(deep[k]));
      ctx.lineTo(x(found.middle(to)), zero);
      ctx.globalAlpha = 0.18;
      ctx.fillStyle = colours.red;
      ctx.fill();
      ctx.globalAlpha = 1;
      line(ctx, found, 'drawdown', from, to, x, y, colours.red, 1.1);
    },
    position(ctx, { y }, found, from, to, x, colours) {
      const { position_lo: lo, position_hi: hi } = found.arrays,
        zero = y.at(0),
        edge = k => x(Math.min(found.end, found.first + k * found.step));
      ctx.globalAlpha = 0.55;
      for (const [colour, held] of [
        [colours.blue, k => Math.max(0, hi[k] || 0)],
        [colours.red, k => Math.min(0, lo[k] || 0)]
      ]) {
        ctx.beginPath(); // one area: pieces that are filled apart leave a seam or overlap in each
        ctx.moveTo(edge(from), zero);
        for (let k = from; k <= to; k++) {
          const at = y.at(held(k));
          ctx.lineTo(edge(k), at);
          ctx.lineTo(edge(k + 1), at);
        }
        ctx.lineTo(edge(to + 1), zero);
        ctx.fillStyle = colour;
        ctx.fill();
      }
      ctx.globalAlpha = 1;
    }
  };

  function candles(ctx, found, from, to, x, y, colours) {
    const { price_open: open, price_hi: high, price_lo: low, price_close: close } = found.arrays;
    const wide = Math.max(1, Math.min(22, (x(1) - x(0)) * 0.68));
    for (let k = from; k <= to; k++) {
      if (!Number.isFinite(open[k])) continue;
      const at = Math.round(x(found.middle(k)) * 2) / 2,
        top = y.at(Math.max(open[k], close[k])),
        bottom = y.at(Math.min(open[k], close[k]));
      ctx.fillStyle = close[k] >= open[k] ? colours.blue : colours.red;
      ctx.fillRect(at - 0.5, y.at(high[k]), 1, y.at(low[k]) - y.at(high[k]));
      ctx.fillRect(at - wide / 2, top, wide, Math.max(1, bottom - top));
    }
  }

  function volume(ctx, top, bottom, found, from, to, x, colours) {
    const sums = found.arrays.volume_sum;
    const most = Math.max(
      ...shown().flatMap(([f, a, b]) =>
        Array.from(f.arrays.volume_sum.subarray(f.piece(a), f.piece(b) + 1), v => v / f.step)
      )
    );
    const room = (bottom - top) * 0.2;
    ctx.globalAlpha = 0.22;
    ctx.fillStyle = colours.ink;
    for (let k = from; k <= to; k++) {
      const a = x(found.first + k * found.step),
        b = x(found.first + (k + 1) * found.step),
        high = (sums[k] / found.step / most) * room;
      ctx.fillRect(a + (b - a) * 0.1, bottom - high, Math.max(0.5, (b - a) * 0.8), high);
    }
    ctx.globalAlpha = 1;
  }

  /** Behind the curves: folds, regimes, the selected span. */
  function shade(ctx, { top, bottom }, x, colours, first) {
    const fill = (a, b, colour, alpha) => {
      if (b <= view.from || a >= view.to) return;
      ctx.globalAlpha = alpha;
      ctx.fillStyle = colour;
      ctx.fillRect(x(a), top, x(b) - x(a), bottom - top);
      ctx.globalAlpha = 1;
    };
    if (facts.regimes) {
      const { from, code } = regimes();
      const next = k => (k + 1 < from.length ? from[k + 1] : facts.rows);
      for (let k = 0; k < from.length; k++) if (code[k] >= 0) fill(from[k], next(k), tint(code[k], colours), 0.1);
    }
    facts.folds.forEach((fold, k) => {
      if (k % 2 === 0) fill(fold.from, fold.to, colours.ink, 0.05);
      const room = x(fold.to) - x(fold.from);
      if (first && room > 44 && fold.to > view.from && fold.from < view.to) {
        ctx.fillStyle = colours.faint;
        ctx.textAlign = 'left';
        ctx.fillText(fold.name, Math.max(2, x(fold.from) + 4), bottom - 8);
      }
    });
    const rows = drag?.brush ? [Math.min(drag.row, drag.now), Math.max(drag.row, drag.now)] : model.get('rows');
    if (rows) fill(rows[0], rows[1], colours.focus, 0.14);
  }

  let coded = null;
  function regimes() {
    if (coded?.of !== facts.regimes)
      coded = { of: facts.regimes, from: unpack(facts.regimes.from), code: unpack(facts.regimes.code) };
    return coded;
  }

  const tint = (code, colours) => [colours.teal, colours.amber, colours.violet, colours.blue, colours.red][code % 5];

  /** How far the selected trade went against and for it, from its entry. */
  function band(ctx, { y }, x, colours) {
    const trade = model.get('trade');
    if (!trade || (trade.asset !== facts.asset && facts.assets.length) || trade.worst === null) return;
    const a = x(trade.from),
      wide = Math.max(2, x(trade.to + 1) - a),
      entry = y.at(trade.entry);
    ctx.globalAlpha = 0.16;
    for (const [value, colour] of [
      [trade.best, colours.blue],
      [trade.worst, colours.red]
    ]) {
      ctx.fillStyle = colour;
      ctx.fillRect(a, Math.min(entry, y.at(value)), wide, Math.abs(y.at(value) - entry));
    }
    ctx.globalAlpha = 1;
  }

  function marks(ctx, { y, top, bottom }, x, colours) {
    const found = marked(),
      { arrays } = found,
      trade = model.get('trade');
    if (show.fills && found.has('trips_from')) {
      for (let k = 0; k < arrays.trips_from.length; k++) {
        if (!Number.isFinite(arrays.trips_exit[k])) continue;
        ctx.beginPath();
        ctx.moveTo(x(arrays.trips_from[k] + 0.5), y.at(arrays.trips_entry[k]));
        ctx.lineTo(x(arrays.trips_to[k] + 0.5), y.at(arrays.trips_exit[k]));
        stroke(ctx, arrays.trips_pnl[k] >= 0 ? colours.blue : colours.red, 1.2, [4, 3]);
      }
    }
    if (show.fills && found.has('fills_row')) {
      for (let k = 0; k < arrays.fills_row.length; k++) {
        arrow(ctx, x(arrays.fills_row[k] + 0.5), y.at(arrays.fills_price[k]), arrays.fills_quantity[k] > 0, 5, colours);
      }
    }
    if (show.fills && found.n_fills && !found.has('fills_row')) {
      ctx.fillStyle = colours.faint;
      ctx.textAlign = 'right';
      ctx.fillText(`${number(found.n_fills)} fills: zoom in to see them`, x(view.to) - 6, bottom - 8);
    }
    if (trade && (trade.asset === facts.asset || !facts.assets.length)) {
      const long = trade.side === 'long';
      for (const [row, price, up] of [
        [trade.from, trade.entry, long],
        [trade.to, trade.exit, !long]
      ]) {
        if (price === null) continue;
        ctx.beginPath();
        ctx.moveTo(x(row + 0.5), top);
        ctx.lineTo(x(row + 0.5), bottom);
        stroke(ctx, colours.focus, 1, [2, 3]);
        arrow(ctx, x(row + 0.5), y.at(price), up, 8, colours);
      }
    }
  }

  function arrow(ctx, at, tipAt, up, size, colours) {
    const sign = up ? 1 : -1;
    ctx.beginPath();
    ctx.moveTo(at, tipAt);
    ctx.lineTo(at - size, tipAt + sign * size * 1.6);
    ctx.lineTo(at + size, tipAt + sign * size * 1.6);
    ctx.closePath();
    ctx.fillStyle = up ? colours.blue : colours.red;
    ctx.fill();
    stroke(ctx, colours.paper, 1);
  }

  function grid(ctx, { name, top, bottom, y }, xs, right, colours) {
    ctx.globalAlpha = 0.55;
    ctx.beginPath();
    for (const at of xs) {
      ctx.moveTo(Math.round(at) + 0.5, top);
      ctx.lineTo(Math.round(at) + 0.5, bottom);
    }
    const ticks = y
      .ticks(Math.max(2, Math.round((bottom - top) / 44)))
      .filter(v => y.at(v) > top + 6 && y.at(v) < bottom);
    for (const value of ticks) {
      ctx.moveTo(0, Math.round(y.at(value)) + 0.5);
      ctx.lineTo(right, Math.round(y.at(value)) + 0.5);
    }
    stroke(ctx, colours.line, 0.7);
    ctx.globalAlpha = 1;
    ctx.strokeStyle = colours.line;
    ctx.lineWidth = 1;
    ctx.strokeRect(0.5, Math.round(top) + 0.5, right - 0.5, Math.round(bottom - top) - 1);
    ctx.fillStyle = colours.faint;
    ctx.textAlign = 'left';
    for (const value of ticks)
      ctx.fillText((written[name] ?? compact)(value), right + 6, Math.min(bottom - 6, y.at(value)));
  }

  /** Rows with their labels, round moments first that begin a day, month or year. */
  function timeMarks(right) {
    const from = timeAt(view.from),
      to = timeAt(view.to - 1e-6),
      wanted = Math.max(2, Math.round(right / 95)),
      taken = [];
    const all = timeTicks(from, to, wanted).map(([t, label]) => [rowOf(t), label, t % DAY === 0]);
    const wide = (view.to - view.from) / right;
    for (const major of [true, false]) {
      for (const [row, label, whole] of all) {
        if (
          whole === major &&
          row > view.from &&
          row < view.to &&
          taken.every(([other]) => Math.abs(other - row) > 64 * wide)
        )
          taken.push([row, label]);
      }
    }
    return taken;
  }

  /** The first row in view at or after a moment. */
  function rowOf(moment) {
    let low = Math.floor(view.from),
      high = Math.ceil(view.to);
    while (low < high) {
      const middle = (low + high) >> 1;
      if (timeAt(middle) < moment) low = middle + 1;
      else high = middle;
    }
    return low + 0.5;
  }

  function foot(ctx, ticks, x, tall, right, colours) {
    ctx.fillStyle = colours.faint;
    ctx.textAlign = 'center';
    for (const [row, label] of ticks) {
      const half = ctx.measureText(label).width / 2;
      ctx.fillText(label, Math.max(half, Math.min(right - half, x(row))), tall - FOOT / 2);
    }
  }

  function values(name, found, k) {
    const at = column => found.arrays[column]?.[k];
    if (name === 'price') {
      const texts = [
        ['O', 'price_open'],
        ['H', 'price_hi'],
        ['L', 'price_lo'],
        ['C', 'price_close']
      ].map(([n, c]) => `${n} ${number(at(c), 7)}`);
      return [...texts, ...(found.has('volume_sum') && show.volume ? [`V ${compact(at('volume_sum'))}`] : [])].join(
        '  '
      );
    }
    if (name === 'equity')
      return (
        number(at('equity_close'), 9) +
        (facts.benchmark ? `  ${facts.benchmark} ${number(at('benchmark_close'), 9)}` : '')
      );
    if (name === 'drawdown') return percent(at('drawdown_lo'));
    return number(at('position_close'), 9);
  }

  function legend(ctx, area, colours, right) {
    const row = hover ? Math.floor(hover.row) : Math.ceil(view.to) - 1,
      found = pictureAt(row);
    const name = area.name === 'price' && facts.asset ? facts.asset : NAMES[area.name];
    const log = area.y.log ? ' (log)' : '';
    ctx.textAlign = 'left';
    ctx.font = `600 11px ${colours.font}`;
    const wide = ctx.measureText(name + log).width;
    ctx.fillStyle = colours.paper;
    ctx.globalAlpha = 0.75;
    ctx.fillRect(4, area.top + 3, Math.min(right - 8, wide + 12), 16);
    ctx.globalAlpha = 1;
    ctx.fillStyle = colours.ink;
    ctx.fillText(name + log, 8, area.top + 11);
    ctx.font = `11px ${colours.font}`;
    ctx.fillStyle = colours.faint;
    ctx.fillText(values(area.name, found, found.piece(row)), 18 + wide, area.top + 11);
  }

  function cross(ctx, areas, x, tall, right, colours) {
    if (!hover) return;
    const row = Math.floor(hover.row),
      found = pictureAt(row),
      k = found.piece(row),
      at = x(found.middle(k));
    ctx.beginPath();
    ctx.moveTo(at, 0);
    ctx.lineTo(at, tall - FOOT);
    const area = areas.find(one => hover.y >= one.top && hover.y <= one.bottom);
    if (area) {
      ctx.moveTo(0, hover.y);
      ctx.lineTo(right, hover.y);
    }
    stroke(ctx, colours.faint, 1, [3, 3]);
    const many =
      found.step > 1
        ? ` (${number(Math.min(found.end, found.first + (k + 1) * found.step) - found.first - k * found.step)} bars)`
        : '';
    label(ctx, moment(found.time[k], facts.bar) + many, at, tall - FOOT / 2, right, colours);
    if (area) {
      ctx.textAlign = 'left';
      ctx.fillStyle = colours.ink;
      ctx.fillRect(right + 1, hover.y - 8, AXIS - 1, 16);
      ctx.fillStyle = colours.paper;
      ctx.fillText((written[area.name] ?? compact)(area.y.back(hover.y)), right + 6, hover.y);
    }
  }

  function label(ctx, text, at, middle, right, colours) {
    const half = ctx.measureText(text).width / 2 + 6,
      left = Math.max(half, Math.min(right - half, at));
    ctx.fillStyle = colours.ink;
    ctx.fillRect(left - half, middle - 9, 2 * half, 18);
    ctx.fillStyle = colours.paper;
    ctx.textAlign = 'center';
    ctx.fillText(text, left, middle);
  }

  // --- pointer and keys

  const rowAt = px => view.from + (px / plot()) * (view.to - view.from);

  /** The fill nearest to a point in the pane of prices, within a few pixels. */
  function fillAt(px, py) {
    const found = marked();
    if (!show.fills || !found.has('fills_row') || facts.panes[0] !== 'price') return null;
    const area = layout(node.clientHeight)[0],
      y = scaleOf(area),
      rows = found.arrays.fills_row;
    let best = null,
      least = NEAR;
    for (let k = 0; k < rows.length; k++) {
      const away = Math.hypot(
        ((rows[k] + 0.5 - view.from) / (view.to - view.from)) * plot() - px,
        y.at(found.arrays.fills_price[k]) - py
      );
      if (away < least) [best, least] = [k, away];
    }
    if (best === null) return null;
    const at = name => found.arrays[`fills_${name}`][best];
    return { row: at('row'), price: at('price'), quantity: at('quantity'), trade: at('trade') };
  }

  function hint(px, py) {
    const fill = fillAt(px, py);
    if (!fill) return tip.hide();
    const side = fill.quantity > 0 ? 'Bought' : 'Sold';
    const more = fill.trade >= 0 ? `\nTrade ${fill.trade}: click to select` : '\nStill open';
    const box = root.getBoundingClientRect(),
      own = node.getBoundingClientRect();
    tip.show(
      `${side} ${number(Math.abs(fill.quantity), 9)} at ${number(fill.price, 9)}${more}`,
      px,
      py + own.top - box.top
    );
  }

  const listen = {
    pointerdown(event) {
      if (event.button) return;
      const [px] = place(event, node);
      drag = { px, from: view.from, to: view.to, row: rowAt(px), now: rowAt(px), brush: event.shiftKey, moved: false };
      node.setPointerCapture(event.pointerId);
      node.focus({ preventScroll: true });
    },
    pointermove(event) {
      const [px, py] = place(event, node);
      hover = px <= plot() ? { row: Math.max(0, Math.min(facts.rows - 1, rowAt(px))), y: py } : null;
      if (drag) {
        drag.moved ||= Math.abs(px - drag.px) > CLICK;
        drag.now = rowAt(px);
        if (drag.moved && !drag.brush) {
          const shift = ((drag.px - px) / plot()) * (drag.to - drag.from);
          view.set(drag.from + shift, drag.to + shift);
        }
      } else hint(px, py);
      surface.redraw();
    },
    pointerup(event) {
      const [px, py] = place(event, node),
        done = drag;
      drag = null;
      if (done?.brush && done.moved) {
        const [from, to] = [done.row, rowAt(px)].sort((a, b) => a - b).map(Math.floor);
        brushed = true;
        post(model, { kind: 'span', from, to }, fail);
      } else if (done && !done.moved) {
        const fill = fillAt(px, py);
        if (fill?.trade >= 0) select(model, { trade: fill.trade });
      }
      surface.redraw();
    },
    pointercancel() {
      drag = null;
    },
    pointerleave() {
      hover = null;
      tip.hide();
      surface.redraw();
    },
    dblclick() {
      view.reset();
    },
    wheel(event) {
      const [px] = place(event, node);
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      const lines = event.deltaMode ? 30 : 1;
      const changed = sideways
        ? view.pan((event.deltaX * lines) / plot())
        : view.zoom(Math.exp(Math.max(-600, Math.min(600, event.deltaY * lines)) * 0.002), rowAt(Math.min(px, plot())));
      if (changed) event.preventDefault(); // at the whole span the page scrolls on
    },
    keydown(event) {
      const keys = {
        ArrowLeft: () => view.pan(-0.1),
        ArrowRight: () => view.pan(0.1),
        '+': () => view.zoom(0.5),
        '=': () => view.zoom(0.5),
        '-': () => view.zoom(2),
        0: view.reset,
        Home: () => view.pan(-1e9),
        End: () => view.pan(1e9),
        Escape: () => select(model, { trade: null, span: null })
      };
      const act = keys[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
      say(`${moment(timeAt(view.from), facts.bar)} to ${moment(timeAt(view.to - 1e-6), facts.bar)}`);
    }
  };
  for (const [name, f] of Object.entries(listen)) node.addEventListener(name, f, { passive: false });

  // --- the model

  const follow = {
    'change:facts': () => {
      tools();
      surface.redraw();
    },
    'change:overview': () => {
      kernel.forget();
      overview = overviewOf(model);
      detail = null;
      fail('');
      want();
      surface.redraw();
    },
    'change:trade': goToTrade,
    'change:rows': () => {
      const rows = model.get('rows');
      if (rows && !brushed) view.around(rows[0], rows[1]);
      brushed = false;
      surface.redraw();
    }
  };
  function goToTrade() {
    const trade = model.get('trade');
    if (trade) view.around(trade.from, trade.to + 1);
    surface.redraw();
  }
  for (const [name, f] of Object.entries(follow)) model.on(name, f);
  tellView();
  tools();
  if (model.get('trade')) goToTrade();
  return {
    end: ending(
      kernel.end,
      surface.end,
      ...Object.entries(follow).map(
        ([name, f]) =>
          () =>
            model.off(name, f)
      )
    )
  };
}
