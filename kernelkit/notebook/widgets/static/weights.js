// A portfolio's weights: areas or a heat map over time. Zoomed in, the kernel is asked for a finer picture.

const SIDE = { left: 110, right: 12, top: 8, bottom: 22 };
const STACKED = 6;

function render({ model, el }) {
  const own = frame(model, el, 'weights', 'Weights'),
    { root, fail, say } = own;
  const bar = make('div', { class: 'kkw-bar' }),
    area = make('div', {}),
    key = make('div', { class: 'kkw-key' });
  root.append(bar, area, key);
  const tip = tooltip(root);
  let about,
    whole,
    shown,
    span,
    mode,
    wanted = 'areas',
    hover = null,
    asked = 0;

  const decode = arrays => ({ ...arrays, time: milliseconds(arrays.time) });
  function load() {
    about = model.get('about');
    whole = shown = decode(
      Object.fromEntries(Object.entries(model.get('arrays')).map(([name, part]) => [name, unpack(part)]))
    );
    span = [...about.ends];
    mode = about.stackable ? wanted : 'map';
  }
  load();

  const colours = look => [look.blue, '#e69f00', '#009e73', look.red, '#56b4e9', look.line];
  const many = () => shown.time.length;
  const weight = (k, i) => shown.values[k * many() + i];
  /** The rows that are drawn: of many assets the largest, and all others as one. */
  function rows() {
    const n = about.assets.length;
    if (mode === 'map' || n <= STACKED) return about.assets.map((name, k) => ({ name, at: i => weight(k, i) }));
    const rest = i => {
      let sum = 0;
      for (let k = STACKED - 1; k < n; k++) sum += weight(k, i);
      return sum;
    };
    return [
      ...about.assets.slice(0, STACKED - 1).map((name, k) => ({ name, at: i => weight(k, i) })),
      { name: 'others', at: rest }
    ];
  }
  const time = width => scale(span[0], span[1], SIDE.left, width - SIDE.right);
  const end = i => (i + 1 < many() ? shown.time[i + 1] : shown === whole ? about.ends[1] : span[1]);

  const tall = () => (about.stackable ? 280 : Math.max(220, Math.min(520, 60 + 14 * about.assets.length)));
  const picture = canvas(
    area,
    tall(),
    (ctx, width, height) => {
      const look = theme(root),
        x = time(width);
      ctx.font = `11px ${look.font}`;
      ctx.textBaseline = 'middle';
      ctx.save();
      ctx.beginPath();
      ctx.rect(SIDE.left, 0, width - SIDE.left - SIDE.right, height);
      ctx.clip();
      mode === 'areas' ? areas(ctx, look, x, height) : map(ctx, look, x, height);
      if (hover) {
        ctx.fillStyle = look.ink;
        ctx.globalAlpha = 0.5;
        ctx.fillRect(Math.round(x.at(shown.time[hover.i])), SIDE.top, 1, height - SIDE.top - SIDE.bottom);
        ctx.globalAlpha = 1;
      }
      ctx.restore();
      ctx.fillStyle = look.faint;
      ctx.textAlign = 'center';
      for (const [t, label] of timeTicks(x.lo, x.hi, width / 90)) ctx.fillText(label, x.at(t), height - 9);
      mode === 'areas' ? amounts(ctx, look, width, height) : names(ctx, look, height);
    },
    { tabindex: 0, role: 'img', 'aria-label': 'Weights over time; plus and minus zoom, arrow keys move, 0 shows all' }
  );

  function top() {
    let most = 1;
    for (let i = 0; i < many(); i++) {
      let sum = 0;
      for (let k = 0; k < about.assets.length; k++) sum += weight(k, i);
      most = Math.max(most, sum);
    }
    return most;
  }
  const amount = height => scale(0, top(), height - SIDE.bottom, SIDE.top);
  function areas(ctx, look, x, height) {
    const y = amount(height),
      list = rows(),
      below = new Float64Array(many());
    list.forEach((row, k) => {
      const above = below.map((v, i) => v + row.at(i));
      ctx.beginPath();
      for (let i = 0; i < many(); i++) {
        ctx.lineTo(x.at(shown.time[i]), y.at(above[i]));
        ctx.lineTo(x.at(end(i)), y.at(above[i]));
      }
      for (let i = many() - 1; i >= 0; i--) {
        ctx.lineTo(x.at(end(i)), y.at(below[i]));
        ctx.lineTo(x.at(shown.time[i]), y.at(below[i]));
      }
      ctx.fillStyle = colours(look)[k];
      ctx.globalAlpha = 0.8;
      ctx.fill();
      ctx.globalAlpha = 1;
      below.set(above);
    });
  }
  function amounts(ctx, look, width, height) {
    const y = amount(height);
    ctx.textAlign = 'right';
    for (const tick of y.ticks(5)) {
      ctx.fillStyle = look.faint;
      ctx.fillText(percent(tick, 0), SIDE.left - 8, y.at(tick));
      ctx.fillStyle = look.line;
      ctx.fillRect(SIDE.left, Math.round(y.at(tick)), width - SIDE.left - SIDE.right, 1);
    }
  }
  const step = height => (height - SIDE.top - SIDE.bottom) / about.assets.length;
  function map(ctx, look, x, height) {
    let limit = 1e-9;
    for (const v of shown.values) limit = Math.max(limit, Math.abs(v));
    const high = step(height);
    for (let k = 0; k < about.assets.length; k++) {
      for (let i = 0; i < many(); i++) {
        const v = weight(k, i);
        if (!v) continue;
        ctx.globalAlpha = Math.min(1, Math.abs(v) / limit);
        ctx.fillStyle = v > 0 ? look.blue : look.red;
        const a = x.at(shown.time[i]);
        ctx.fillRect(a, SIDE.top + high * k, Math.max(0.6, x.at(end(i)) - a), Math.max(0.6, high - (high > 6 ? 1 : 0)));
      }
    }
    ctx.globalAlpha = 1;
    key.textContent = `blue long, red short; the strongest colour is ${percent(limit, 1)} of equity`;
  }
  function names(ctx, look, height) {
    const high = step(height),
      every = Math.max(1, Math.ceil(13 / high));
    ctx.textAlign = 'right';
    about.assets.forEach((name, k) => {
      if (k % every && k !== hover?.k) return;
      ctx.fillStyle = k === hover?.k ? look.ink : look.faint;
      ctx.fillText(name.length > 15 ? `${name.slice(0, 14)}\u2026` : name, SIDE.left - 8, SIDE.top + high * (k + 0.5));
    });
  }
  function legend() {
    if (mode !== 'areas') return;
    const look = theme(root);
    key.replaceChildren(
      ...rows().map((row, k) => {
        const swatch = make('i', {});
        swatch.style.background = colours(look)[k];
        return make('span', {}, swatch, row.name);
      })
    );
  }

  const fetch = debounce(() => {
    asked += 1;
    post(model, { kind: 'span', first: span[0], last: span[1], asked }, fail);
  }, 60);
  function zoom(next) {
    const [lo, hi] = about.ends,
      least = 5 * about.bar;
    const wide = Math.min(hi - lo, Math.max(least, next[1] - next[0]));
    const first = Math.min(Math.max(lo, next[0]), hi - wide);
    span = [first, first + wide];
    if (first <= lo && wide >= hi - lo) {
      asked += 1;
      shown = whole;
    } else fetch();
    picture.redraw();
  }
  function around(share, factor) {
    const t = span[0] + share * (span[1] - span[0]);
    zoom([t - factor * (t - span[0]), t + factor * (span[1] - t)]);
  }
  const share = px => Math.min(1, Math.max(0, (px - SIDE.left) / (picture.node.clientWidth - SIDE.left - SIDE.right)));

  let grip = null;
  picture.node.addEventListener(
    'wheel',
    event => {
      event.preventDefault();
      around(share(place(event, picture.node)[0]), Math.exp(Math.sign(event.deltaY) * 0.25));
    },
    { passive: false }
  );
  picture.node.addEventListener('pointerdown', event => {
    grip = { px: place(event, picture.node)[0], span };
    picture.node.setPointerCapture(event.pointerId);
  });
  picture.node.addEventListener('pointerup', () => {
    grip = null;
  });
  picture.node.addEventListener('dblclick', () => zoom([...about.ends]));
  picture.node.addEventListener('pointermove', event => {
    const [px, py] = place(event, picture.node),
      x = time(picture.node.clientWidth);
    if (grip) {
      const shift = ((grip.px - px) / (x.stop - x.start)) * (grip.span[1] - grip.span[0]);
      return zoom(grip.span.map(t => t + shift));
    }
    let i = 0;
    while (i + 1 < many() && shown.time[i + 1] <= x.back(px)) i++;
    const k = mode === 'map' ? Math.floor((py - SIDE.top) / step(picture.node.clientHeight)) : null;
    hover = { i, k };
    const list = [...about.assets.keys()].sort((a, b) => Math.abs(weight(b, i)) - Math.abs(weight(a, i))).slice(0, 8);
    if (k !== null && k >= 0 && k < about.assets.length && !list.includes(k)) list.unshift(k);
    const lines = list.map(one => `${one === k ? '\u25b8 ' : ''}${about.assets[one]} ${percent(weight(one, i), 1)}`);
    if (about.assets.length > list.length) lines.push(`${about.assets.length - list.length} others`);
    tip.show(
      [moment(shown.time[i]), ...lines, `gross ${percent(shown.gross[i], 1)}, net ${percent(shown.net[i], 1)}`].join(
        '\n'
      ),
      px,
      py + area.offsetTop
    );
    picture.redraw();
  });
  picture.node.addEventListener('pointerleave', () => {
    hover = null;
    tip.hide();
    picture.redraw();
  });
  picture.node.addEventListener('keydown', event => {
    const wide = span[1] - span[0];
    const acts = {
      '+': () => around(0.5, 0.7),
      '=': () => around(0.5, 0.7),
      '-': () => around(0.5, 1.4),
      0: () => zoom([...about.ends]),
      ArrowLeft: () => zoom(span.map(t => t - 0.1 * wide)),
      ArrowRight: () => zoom(span.map(t => t + 0.1 * wide))
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
    say(`${moment(span[0])} to ${moment(span[1])}`);
  });

  const title = make('span', { class: 'kkw-title' }, about.title);
  const modes = button(
    'Heat map',
    'Heat map of every asset',
    () => {
      mode = wanted = mode === 'map' ? 'areas' : 'map';
      fit();
    },
    mode === 'map'
  );
  bar.append(
    title,
    make('span', { class: 'kkw-space' }),
    modes,
    button('Reset', 'Show the whole span', () => zoom([...about.ends]))
  );
  /** Tools and height as the mode and the trial have them. */
  function fit() {
    title.textContent = about.title;
    modes.disabled = !about.stackable;
    modes.title = about.stackable
      ? 'Heat map of every asset'
      : 'Areas cannot be put on each other where weights are negative';
    modes.setAttribute('aria-pressed', mode === 'map');
    picture.node.style.height = `${tall()}px`;
    legend();
    picture.redraw();
  }
  fit();

  function follow() {
    const now = selected(model).span;
    zoom(now ? [now[0], now[1] + about.bar] : [...about.ends]);
  }
  const reload = () => {
    load();
    fit();
    follow();
  };
  let last = 'null';
  const hear = () => {
    const now = JSON.stringify(selected(model).span ?? null);
    if (now !== last) {
      last = now;
      follow();
    }
  };
  const quiet = onMessage(model, {
    part: (content, arrays) => {
      if (content.asked === asked) {
        shown = decode(arrays);
        picture.redraw();
      }
    }
  });
  model.on('change:selected', hear);
  model.on('change:about', reload);
  hear();
  return ending(own.end, picture.end, quiet, () => {
    model.off('change:selected', hear);
    model.off('change:about', reload);
  });
}

export default { render };
