// The fan of many paths: bands over time, where paths ended, how deep they fell; a quantile under the pointer is a path.

const PAD = { left: 52, right: 10, top: 8, bottom: 22 };

/** The axes of one picture: lines across with numbers, moments below. */
function axes(ctx, look, x, y, width, height, written) {
  ctx.font = `11px ${look.font}`;
  ctx.strokeStyle = look.line;
  ctx.fillStyle = look.faint;
  ctx.lineWidth = 1;
  ctx.textAlign = 'right';
  ctx.textBaseline = 'middle';
  for (const tick of y.ticks(Math.max(3, height / 50))) {
    const at = Math.round(y.at(tick)) + 0.5;
    ctx.beginPath();
    ctx.moveTo(PAD.left, at);
    ctx.lineTo(width - PAD.right, at);
    ctx.globalAlpha = 0.6;
    ctx.stroke();
    ctx.globalAlpha = 1;
    ctx.fillText(written(tick), PAD.left - 6, at);
  }
  ctx.textAlign = 'center';
  for (const [t, label] of timeTicks(x.lo, x.hi, width / 90)) ctx.fillText(label, x.at(t), height - 9);
}

/** The least and the greatest number of all; as arguments of Math.min so many are too many. */
function extent(...every) {
  let lo = Infinity,
    hi = -Infinity;
  for (const values of every) {
    for (const v of values) {
      if (!Number.isFinite(v)) continue;
      if (v < lo) lo = v;
      if (v > hi) hi = v;
    }
  }
  return [lo, hi];
}

/** Counts of values in equal steps between lo and hi. */
function counted(values, lo, hi, bins) {
  const found = new Array(bins).fill(0);
  for (const v of values) {
    if (Number.isFinite(v)) found[Math.min(bins - 1, Math.max(0, Math.floor(((v - lo) / (hi - lo || 1)) * bins)))]++;
  }
  return found;
}

function render({ model, el }) {
  const { root, fail, say, end } = frame(model, el, 'fan', 'Fan of paths');
  const bar = make('div', { class: 'kkw-bar' });
  const title = make('span', { class: 'kkw-title' });
  const note = make('div', { class: 'kkw-note' });
  const detail = make('div', { class: 'kkw-detail', 'aria-live': 'polite' });
  const panes = make('div', { class: 'kkw-panes' });
  const main = make('div', { class: 'kkw-main' }),
    side = make('div', { class: 'kkw-side' });
  panes.append(main, side);
  root.append(bar, panes, detail, note);
  const tip = tooltip(root);
  let data,
    about,
    order,
    log,
    chosen = null,
    curve = null,
    hover = null;

  function load() {
    const parts = model.get('arrays');
    about = model.get('about');
    data = Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, unpack(part)]));
    data.time = milliseconds(data.time);
    order = [...data.ends.keys()]
      .filter(k => Number.isFinite(data.ends[k]))
      .sort((a, b) => data.ends[a] - data.ends[b]);
    log = about.log;
    title.textContent = `Growth of 1 on ${about.paths.length.toLocaleString('en-US')} paths`;
    note.textContent = about.sentence;
  }

  const points = () => data.time.length;
  const band = (k, i) => data.bands[k * points() + i];

  /** Where each end stands among all: its quantile. */
  const levelOf = k => order.indexOf(k) / Math.max(1, order.length - 1);
  const pathAt = level => order[Math.round(Math.min(1, Math.max(0, level)) * (order.length - 1))];

  function follow() {
    const label = selected(model).trial?.path,
      place = about.paths.indexOf(label);
    const now = place === -1 ? null : place;
    if (now === chosen) return;
    chosen = now;
    curve = null;
    if (chosen !== null && about.curves) post(model, { kind: 'curve', place: chosen }, fail);
    detail.textContent = chosen === null ? '' : words(chosen);
    redraw();
  }

  const words = k =>
    `Path ${about.paths[k]} ended at ${number(data.ends[k], 4)} times the cash, at the ${percent(levelOf(k), 0)} quantile; ` +
    `largest drawdown ${percent(data.falls[k], 1)}.`;

  function choose(k) {
    select(model, { trial: { ...(selected(model).trial ?? {}), path: about.paths[k] } });
    say(words(k));
    follow();
  }

  function scales(width, height) {
    const [lo, hi] = extent(data.bands, data.real ?? [], curve ?? []);
    const air = log && lo > 0 ? (hi / lo) ** 0.03 : (hi - lo) * 0.03;
    const ends = log && lo > 0 ? [lo / air, hi * air] : [lo - air, hi + air];
    return {
      x: scale(data.time[0], data.time[points() - 1], PAD.left, width - PAD.right),
      y: scale(...ends, height - PAD.bottom, PAD.top, log && lo > 0)
    };
  }

  function stroke(ctx, x, y, values, colour, wide, dash = []) {
    ctx.beginPath();
    let pen = false;
    for (let i = 0; i < points(); i++) {
      const v = typeof values === 'function' ? values(i) : values[i];
      if (!Number.isFinite(v)) {
        pen = false;
        continue;
      }
      pen ? ctx.lineTo(x.at(data.time[i]), y.at(v)) : ctx.moveTo(x.at(data.time[i]), y.at(v));
      pen = true;
    }
    ctx.setLineDash(dash);
    ctx.strokeStyle = colour;
    ctx.lineWidth = wide;
    ctx.stroke();
    ctx.setLineDash([]);
  }

  load();
  const fan = canvas(
    main,
    320,
    (ctx, width, height) => {
      const look = theme(root),
        { x, y } = scales(width, height),
        n = data.levels.length;
      axes(ctx, look, x, y, width, height, v => number(v, 3));
      for (let k = 0; k < n >> 1; k++) {
        ctx.beginPath();
        for (let i = 0; i < points(); i++) ctx.lineTo(x.at(data.time[i]), y.at(band(k, i)));
        for (let i = points() - 1; i >= 0; i--) ctx.lineTo(x.at(data.time[i]), y.at(band(n - 1 - k, i)));
        ctx.globalAlpha = 0.14 + 0.1 * k;
        ctx.fillStyle = look.blue;
        ctx.fill();
        ctx.globalAlpha = 1;
      }
      stroke(ctx, x, y, i => band(n >> 1, i), look.blue, 1.8);
      if (data.real) stroke(ctx, x, y, data.real, look.red, 1.6);
      if (curve) stroke(ctx, x, y, curve, look.ink, 1.4);
      if (chosen !== null) {
        const at = y.at(Math.min(y.hi, Math.max(y.lo, data.ends[chosen])));
        ctx.fillStyle = look.ink;
        ctx.beginPath();
        ctx.arc(width - PAD.right, at, 4, 0, 7);
        ctx.fill();
      }
      if (y.lo <= 1 && y.hi >= 1) {
        ctx.strokeStyle = look.faint;
        ctx.setLineDash([4, 4]);
        ctx.beginPath();
        ctx.moveTo(PAD.left, y.at(1));
        ctx.lineTo(width - PAD.right, y.at(1));
        ctx.stroke();
        ctx.setLineDash([]);
      }
      if (hover !== null) {
        ctx.strokeStyle = look.faint;
        ctx.beginPath();
        ctx.moveTo(x.at(data.time[hover]), PAD.top);
        ctx.lineTo(x.at(data.time[hover]), height - PAD.bottom);
        ctx.stroke();
      }
    },
    { tabindex: 0, role: 'img', 'aria-label': 'Bands of growth over time; arrow keys choose a path by its quantile' }
  );

  /** How often paths came to what; zero is the foot of every bar. */
  function histogram(name, label, mark, written) {
    return canvas(
      side,
      152,
      (ctx, width, height) => {
        const look = theme(root),
          values = data[name].filter(Number.isFinite),
          bins = Math.max(6, Math.min(30, values.length >> 2));
        const [lo, hi] = extent(values),
          counts = counted(values, lo, hi, bins);
        const x = scale(lo, hi, 34, width - 8),
          y = scale(0, Math.max(...counts), height - 34, 18);
        ctx.font = `11px ${look.font}`;
        ctx.fillStyle = look.ink;
        ctx.textAlign = 'left';
        ctx.textBaseline = 'middle';
        ctx.fillText(label, 4, 8);
        ctx.fillStyle = look.faint;
        ctx.textAlign = 'right';
        for (const tick of y.ticks(3)) if (Number.isInteger(tick)) ctx.fillText(number(tick, 4), 30, y.at(tick));
        ctx.textAlign = 'center';
        for (const tick of x.ticks(4)) ctx.fillText(written(tick), x.at(tick), height - 22);
        ctx.fillText('paths by outcome', (34 + width) / 2, height - 7);
        const step = (x.stop - x.start) / bins;
        ctx.fillStyle = look.blue;
        ctx.globalAlpha = 0.55;
        counts.forEach((c, k) => ctx.fillRect(x.start + k * step, y.at(c), Math.max(1, step - 1), y.at(0) - y.at(c)));
        ctx.globalAlpha = 1;
        const lines = [
          [about.observed?.[mark], look.red],
          [chosen === null ? undefined : data[name][chosen], look.ink]
        ];
        for (const [value, colour] of lines) {
          if (!Number.isFinite(value)) continue;
          const at = x.at(Math.min(hi, Math.max(lo, value)));
          ctx.strokeStyle = colour;
          ctx.lineWidth = 2;
          ctx.beginPath();
          ctx.moveTo(at, 16);
          ctx.lineTo(at, height - 34);
          ctx.stroke();
        }
      },
      { role: 'img', 'aria-label': label, 'data-of': name }
    );
  }
  const ends = histogram('ends', 'Growth at the end', 0, v => number(v, 3));
  const falls = histogram('falls', 'Largest drawdown', 1, v => percent(v, 0));
  const redraw = () => {
    fan.redraw();
    ends.redraw();
    falls.redraw();
  };

  const logs = button(
    'Log',
    'Logarithmic axis',
    () => {
      log = !log;
      logs.setAttribute('aria-pressed', log);
      fan.redraw();
    },
    log
  );
  const keys = make(
    'span',
    { class: 'kkw-note' },
    data.real ? 'blue: median and bands; red: the bars themselves' : 'blue: median and bands'
  );
  bar.append(title, make('span', { class: 'kkw-space' }), keys, logs);

  function under(event) {
    const [px, py] = place(event, fan.node),
      { x, y } = scales(fan.node.clientWidth, fan.node.clientHeight);
    const t = x.back(px),
      i = nearest(t),
      value = y.back(py),
      n = data.levels.length;
    let level = value <= band(0, i) ? data.levels[0] : data.levels[n - 1];
    for (let k = 1; k < n; k++) {
      const a = band(k - 1, i),
        b = band(k, i);
      if (value >= a && value <= b)
        level = data.levels[k - 1] + ((value - a) / (b - a || 1)) * (data.levels[k] - data.levels[k - 1]);
    }
    return { i, level, px, py };
  }
  function nearest(t) {
    let lo = 0,
      hi = points() - 1;
    while (hi - lo > 1) {
      const mid = (lo + hi) >> 1;
      data.time[mid] < t ? (lo = mid) : (hi = mid);
    }
    return t - data.time[lo] < data.time[hi] - t ? lo : hi;
  }
  fan.node.addEventListener('pointermove', event => {
    const { i, level, px, py } = under(event);
    hover = i;
    const rows = [moment(data.time[i])];
    for (let k = data.levels.length - 1; k >= 0; k--)
      rows.push(`${percent(data.levels[k], 0)} of paths below ${number(band(k, i), 4)}`);
    if (data.real && Number.isFinite(data.real[i])) rows.push(`the bars themselves ${number(data.real[i], 4)}`);
    rows.push(`click: the path at the ${percent(level, 0)} quantile`);
    tip.show(rows.join('\n'), px + main.offsetLeft, py + panes.offsetTop);
    fan.redraw();
  });
  fan.node.addEventListener('pointerleave', () => {
    hover = null;
    tip.hide();
    fan.redraw();
  });
  fan.node.addEventListener('click', event => choose(pathAt(under(event).level)));
  fan.node.addEventListener('keydown', event => {
    const step = { ArrowUp: 0.01, ArrowDown: -0.01, PageUp: 0.1, PageDown: -0.1 }[event.key];
    if (!step || !order.length) return;
    event.preventDefault();
    const now = chosen === null ? Math.round((order.length - 1) / 2) : order.indexOf(chosen);
    const move = Math.sign(step) * Math.max(1, Math.round(Math.abs(step) * (order.length - 1)));
    choose(order[Math.min(order.length - 1, Math.max(0, now + move))]);
  });

  const quiet = onMessage(model, {
    curve: (content, arrays) => {
      if (content.place === chosen) {
        curve = arrays.curve;
        fan.redraw();
      }
    }
  });
  const reload = () => {
    load();
    chosen = null;
    follow();
    redraw();
  };
  follow();
  model.on('change:selected', follow);
  model.on('change:arrays', reload);
  return ending(end, fan.end, ends.end, falls.end, quiet, () => {
    model.off('change:selected', follow);
    model.off('change:arrays', reload);
  });
}

export default { render };
