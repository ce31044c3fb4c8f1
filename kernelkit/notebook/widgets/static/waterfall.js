// The scenarios of a stress test: one bar each, from the base on, the worst first; what is measured can be chosen.

const ROW = 24,
  TOP = 26;

function render({ model, el }) {
  const { root, say, end } = frame(model, el, 'waterfall', 'Stress test');
  const bar = make('div', { class: 'kkw-bar' }),
    area = make('div', {}),
    note = make('div', { class: 'kkw-note' });
  root.append(bar, area, note);
  const tip = tooltip(root);
  const about = model.get('about'),
    data = {};
  for (const [name, part] of Object.entries(model.get('arrays'))) data[name] = unpack(part);
  let measure = about.measures[0][0],
    order = [],
    hover = null;

  const unit = () => about.measures.find(([name]) => name === measure)[2];
  const written = v => (!Number.isFinite(v) ? '\u2013' : unit() === 'percent' ? percent(v, 1) : number(v, 4));
  // What is measured against the base begins at zero, which is the base; other numbers begin where the base is.
  const base = () => (measure === 'effect' || measure === 'fall' ? 0 : about.base[measure]);
  const chosen = () => about.labels.indexOf(selected(model).trial?.scenario);

  function sort() {
    const value = k => data[measure][k];
    const worse = ['max_drawdown', 'fees', 'turnover'].includes(measure) ? -1 : 1;
    order = [...about.labels.keys()].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (!Number.isFinite(x) || !Number.isFinite(y)) return Number.isFinite(y) - Number.isFinite(x);
      return worse * (x - y);
    });
    const apart = order.filter(k => !Number.isFinite(value(k))).map(k => about.labels[k]);
    const absent = Object.keys(about.missing);
    note.textContent = [
      apart.length && measure === 'effect'
        ? `Replays run over a span of their own: see their drawdown (${apart.join(', ')}).`
        : '',
      absent.length ? `Not in these bars: ${absent.join(', ')}.` : ''
    ]
      .filter(Boolean)
      .join(' ');
  }
  sort();

  function scaled(width) {
    const values = [...data[measure]].filter(Number.isFinite),
      zero = base();
    const left = Math.min(270, width * 0.36);
    // a bar's length is an amount: zero is always on the axis
    return { left, x: scale(Math.min(0, zero, ...values), Math.max(0, zero, ...values), left, width - 74) };
  }

  const picture = canvas(
    area,
    TOP + ROW * about.labels.length + 8,
    (ctx, width) => {
      const look = theme(root),
        { left, x } = scaled(width),
        zero = base(),
        now = chosen();
      ctx.font = `11px ${look.font}`;
      ctx.textBaseline = 'middle';
      ctx.textAlign = 'center';
      ctx.fillStyle = look.faint;
      for (const tick of x.ticks(6)) {
        ctx.fillText(written(tick), x.at(tick), 8);
        ctx.fillStyle = look.line;
        ctx.fillRect(Math.round(x.at(tick)), 18, 1, ROW * order.length + 8);
        ctx.fillStyle = look.faint;
      }
      order.forEach((k, row) => {
        const value = data[measure][k],
          y = TOP + ROW * row;
        if (k === now || row === hover) {
          ctx.globalAlpha = k === now ? 0.16 : 0.07;
          ctx.fillStyle = look.focus;
          ctx.fillRect(0, y - 2, width, ROW - 1);
          ctx.globalAlpha = 1;
        }
        ctx.fillStyle = look.ink;
        ctx.textAlign = 'right';
        let name = about.labels[k];
        while (name.length > 4 && ctx.measureText(name).width > left - 14)
          name = `${name.replace('\u2026', '').slice(0, -1)}\u2026`;
        ctx.fillText(name, left - 8, y + ROW / 2 - 2);
        ctx.textAlign = 'left';
        ctx.fillText(written(value), width - 66, y + ROW / 2 - 2);
        if (!Number.isFinite(value)) return;
        const [a, b] = [x.at(zero), x.at(value)].sort((p, q) => p - q);
        const lower = ['max_drawdown', 'fees', 'turnover'].includes(measure) ? value > zero : value < zero;
        ctx.fillStyle = lower ? look.red : look.blue;
        ctx.fillRect(a, y, Math.max(1, b - a), ROW - 7);
      });
      ctx.fillStyle = look.ink;
      ctx.fillRect(Math.round(x.at(zero)), 18, 1, ROW * order.length + 8);
    },
    { tabindex: 0, role: 'listbox', 'aria-label': 'Scenarios, the worst first; arrow keys choose one' }
  );

  function told(k) {
    const rows = [about.labels[k], about.what[k]];
    rows.push(`against the base ${written2('effect', k)}; drawdown while felt ${percent(-data.fall[k], 1)}`);
    for (const [name, title, kind] of about.measures.slice(2)) {
      const [now, was] = [data[name][k], about.base[name]];
      rows.push(
        `${title} ${kind === 'percent' ? percent(now, 1) : number(now, 4)} (base ${kind === 'percent' ? percent(was, 1) : number(was, 4)})`
      );
    }
    if (about.parts[k].length) {
      rows.push('put together from:');
      for (const [name, effect] of about.parts[k]) rows.push(`  ${name} ${percent(effect, 1)}`);
    }
    return rows;
  }
  const written2 = (name, k) => (Number.isFinite(data[name][k]) ? percent(data[name][k], 1) : 'not comparable');

  function choose(row) {
    const k = order[row];
    select(model, { trial: { ...(selected(model).trial ?? {}), scenario: about.labels[k] } });
    say(told(k).slice(0, 3).join('. '));
    picture.redraw();
  }
  const rowAt = event => {
    const row = Math.floor((place(event, picture.node)[1] - TOP) / ROW);
    return row >= 0 && row < order.length ? row : null;
  };
  picture.node.addEventListener('pointermove', event => {
    hover = rowAt(event);
    const [px, py] = place(event, picture.node);
    hover === null ? tip.hide() : tip.show(told(order[hover]).join('\n'), px, py + area.offsetTop);
    picture.redraw();
  });
  picture.node.addEventListener('pointerleave', () => {
    hover = null;
    tip.hide();
    picture.redraw();
  });
  picture.node.addEventListener('click', event => {
    const row = rowAt(event);
    if (row !== null) choose(row);
  });
  picture.node.addEventListener('keydown', event => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    choose(Math.min(order.length - 1, Math.max(0, order.indexOf(chosen()) + step)));
  });
  const measures = choice(
    'Measure',
    about.measures.map(([name, title]) => [name, title]),
    measure,
    value => {
      measure = value;
      sort();
      picture.redraw();
    }
  );
  bar.append(
    make('span', { class: 'kkw-title' }, `${about.labels.length} scenarios`),
    make('span', { class: 'kkw-note' }, `base: final equity ${number(Math.round(about.base.final_equity), 9)}`),
    make('span', { class: 'kkw-space' }),
    measures
  );
  model.on('change:selected', picture.redraw);
  return ending(end, picture.end, () => model.off('change:selected', picture.redraw));
}

export default { render };
