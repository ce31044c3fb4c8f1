// Sliders over the parameters of a strategy: every value that is shown was run as a back-test.

const PANES = { left: 62, right: 10, equity: [8, 210], drawdown: [226, 300], height: 322 };
const PATIENCE_MS = 5000; // an interrupted kernel never answers
const CALM_MS = 300; // after the last move of a slider: then the ledger is read

function render({ model, el }) {
  const head = model.get('head');
  const { root, fail, say, end } = frame(model, el, 'explore', `Explore ${head.title}`);
  const at = Object.fromEntries(head.controls.map(c => [c.name, c.first]));
  Object.assign(at, model.get('answer').at);

  // --- what is asked: at most one request is under way, and the newest one waits
  let flight = '',
    sent = 0,
    waiting = false,
    asked = 0;
  const count = debounce(() => post(model, { kind: 'count' }, fail), CALM_MS);
  const ask = () => {
    if (flight && performance.now() - sent < PATIENCE_MS) {
      waiting = true;
      return;
    }
    flight = `${asked++}:${Math.random()}`;
    waiting = false;
    sent = performance.now();
    post(model, { kind: 'run', id: flight, at: { ...at } }, fail);
  };
  const answered = () => {
    const answer = model.get('answer');
    show(answer);
    if (answer.id !== flight) return;
    flight = '';
    if (waiting) ask();
    else count();
  };

  // --- head and sliders
  const chips = make('span', { class: 'kkw-chips' });
  const reset = button('Reset', 'Put every slider back to where it began', () => {
    head.controls.forEach(c => place_at(c, c.first));
    ask();
  });
  const copied = button('Copy as code', 'Copy the call that runs this back-test', async () => {
    const code = model.get('answer').code;
    try {
      await navigator.clipboard.writeText(code);
      copied.textContent = 'Copied';
    } catch {
      // no clipboard without a secure page: the text stands there to be taken
      shownCode.textContent = code;
      getSelection().selectAllChildren(shownCode);
    }
    say('Copied as code');
    setTimeout(() => {
      copied.textContent = 'Copy as code';
    }, 1500);
  });
  const shownCode = make('code', { class: 'kkw-note' });
  root.prepend(
    make(
      'div',
      { class: 'kkw-bar' },
      make('span', { class: 'kkw-title' }, head.title),
      make('span', { class: 'kkw-note' }, head.about),
      chips,
      make('span', { class: 'kkw-space' }),
      reset,
      copied
    )
  );
  const rows = new Map();
  const sliders = make('div', { class: 'kkw-sliders' });
  for (const c of head.controls) sliders.append(control(c));
  function control(c) {
    const value = make('output', {}, c.labels[at[c.name]]);
    const input = c.list
      ? make('select', { 'aria-label': c.name }, ...c.labels.map((text, k) => make('option', { value: k }, text)))
      : make('input', { type: 'range', min: 0, max: c.labels.length - 1, step: 1, 'aria-label': c.name });
    input.value = at[c.name];
    input.addEventListener('input', () => {
      place_at(c, Number(input.value));
      ask();
    });
    const row = make('label', {}, make('b', {}, c.name), input, value);
    rows.set(c.name, { row, input, value });
    place_at(c, at[c.name]);
    return row;
  }
  function place_at(c, k) {
    at[c.name] = k;
    const { input, value } = rows.get(c.name);
    input.value = k;
    value.textContent = c.list ? '' : c.labels[k];
    input.setAttribute('aria-valuetext', c.labels[k]);
  }
  const tiles = make('div', { class: 'kkw-tiles' });
  const keys = make('div');
  root.append(sliders, tiles, keys);

  // --- the picture
  let curves = null;
  const tip = tooltip(root);
  const chart = canvas(root, PANES.height, draw, { role: 'img', 'aria-label': `Equity and drawdown of ${head.title}` });
  const foot = make('div', { class: 'kkw-note' });
  root.append(foot, shownCode);

  function show(answer) {
    if (!answer.time) return;
    fail(answer.fault ?? '');
    for (const node of [tiles, chart.node]) node.classList.toggle('kkw-stale', Boolean(answer.fault));
    curves = Object.fromEntries(['time', 'equity', 'held', 'drawdown'].map(name => [name, unpack(answer[name])]));
    for (const [name, { row }] of rows)
      [...row.children].forEach(n => n.classList.toggle('kkw-idle', answer.idle.includes(name)));
    tiles.replaceChildren(
      ...answer.numbers.map(([name, own, other]) =>
        make('div', {}, make('span', {}, name), make('b', {}, own), make('span', {}, `${head.other} ${other}`))
      )
    );
    chips.replaceChildren(...answer.notes.map(text => make('span', { class: 'kkw-chip' }, text)));
    tell();
    root.dataset.answer = answer.id;
    chart.redraw();
  }

  function tell() {
    const { tried = 0 } = model.get('answer'),
      { n, luck, fault } = model.get('counted');
    const many = k => k.toLocaleString('en-US');
    const here = `Tried here: ${many(tried)} ${tried === 1 ? 'value' : 'values'}, each in the ledger.`;
    const all = n ? ` In the ledger on this asset and span: ${many(n)} ${n === 1 ? 'trial' : 'trials'}.` : '';
    const best = luck ? ` Without skill the best of so many is expected to have a Sharpe ratio of ${luck}.` : '';
    foot.textContent = here + all + best + (fault ? ` The ledger could not be read: ${fault}` : '');
  }

  function draw(ctx, width) {
    if (!curves) return;
    const colours = theme(root),
      { left, right, equity: pane, drawdown: below } = PANES;
    const { time, equity, held, drawdown } = curves,
      last = time.length - 1;
    let lo = Infinity,
      hi = -Infinity,
      worst = -0.01;
    for (let k = 0; k <= last; k++) {
      lo = Math.min(lo, equity[k], held[k]);
      hi = Math.max(hi, equity[k], held[k]);
      worst = Math.min(worst, drawdown[k]);
    }
    const log = lo > 0 && hi / lo > head.log_from;
    const x = scale(time[0], time[last], left, width - right);
    const money = scale(lo, hi, pane[1], pane[0], log),
      depth = scale(worst, 0, below[1], below[0]);
    keys.replaceChildren(
      make('span', { class: 'kkw-key' }, make('b', {}, `Equity${log ? ' (log scale)' : ''}`)),
      make('span', { class: 'kkw-key' }, make('i', { style: `border-color:${colours.blue}` }), head.title),
      make('span', { class: 'kkw-key' }, make('i', { style: `border-color:${colours.faint}` }), head.other)
    );
    ctx.font = `11px ${colours.font}`;
    ctx.textBaseline = 'middle';
    const text = (said, px, py, align) => {
      ctx.textAlign = align;
      ctx.fillStyle = colours.faint;
      ctx.fillText(said, px, py);
    };
    ctx.strokeStyle = colours.line;
    ctx.lineWidth = 0.6;
    ctx.beginPath();
    const across = (y, said) => {
      ctx.moveTo(left, Math.round(y) + 0.5);
      ctx.lineTo(width - right, Math.round(y) + 0.5);
      text(said, left - 7, y, 'right');
    };
    money.ticks(5).forEach(v => across(money.at(v), compact(v)));
    depth.ticks(2).forEach(v => across(depth.at(v), percent(v, 0)));
    for (const [t, said] of timeTicks(time[0], time[last], Math.floor(width / 90))) {
      ctx.moveTo(Math.round(x.at(t)) + 0.5, pane[0]);
      ctx.lineTo(Math.round(x.at(t)) + 0.5, below[1]);
      text(said, x.at(t), PANES.height - 10, 'center');
    }
    ctx.stroke();
    const trace = (values, y) => {
      ctx.beginPath();
      for (let k = 0; k <= last; k++) ctx.lineTo(x.at(time[k]), y.at(values[k]));
    };
    ctx.lineJoin = 'round';
    const line = (values, y, colour, thick) => {
      trace(values, y);
      ctx.strokeStyle = colour;
      ctx.lineWidth = thick;
      ctx.stroke();
    };
    line(held, money, colours.faint, 1.2);
    line(equity, money, colours.blue, 1.8);
    line(drawdown, depth, colours.red, 1.1);
    ctx.lineTo(x.at(time[last]), depth.at(0));
    ctx.lineTo(x.at(time[0]), depth.at(0));
    ctx.globalAlpha = 0.16;
    ctx.fillStyle = colours.red;
    ctx.fill();
    ctx.globalAlpha = 1;
    text('Drawdown', left + 4, below[1] - 8, 'left');
    root.dataset.drawn = model.get('answer').id;
  }

  chart.node.addEventListener('pointerleave', tip.hide);
  chart.node.addEventListener('pointermove', event => {
    if (!curves) return;
    const [px] = place(event, chart.node),
      { time, equity, held, drawdown } = curves;
    const x = scale(time[0], time[time.length - 1], PANES.left, chart.node.clientWidth - PANES.right);
    const t = x.back(px);
    let lo = 0,
      hi = time.length - 1;
    while (hi - lo > 1) {
      const mid = (lo + hi) >> 1;
      if (time[mid] <= t) lo = mid;
      else hi = mid;
    }
    const k = t - time[lo] < time[hi] - t ? lo : hi;
    const said = [
      moment(time[k]),
      `${head.title}  ${number(equity[k], 7)}`,
      `${head.other}  ${number(held[k], 7)}`,
      `drawdown  ${percent(drawdown[k], 1)}`
    ];
    const [rx, ry] = place(event, root);
    tip.show(said.join('\n'), rx, ry);
  });

  model.on('change:answer', answered);
  model.on('change:counted', tell);
  show(model.get('answer'));
  return ending(
    () => model.off('change:answer', answered),
    () => model.off('change:counted', tell),
    chart.end,
    end
  );
}

export default { render };
