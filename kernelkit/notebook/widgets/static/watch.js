// The progress of a cell: what is done, how long it takes, the best so far, and a button that stops it.

const UNREACHED = 'Interrupt the kernel to stop: what is done is kept.';
const WORDS = {
  waiting: 'waiting',
  stopped: 'ended early; what is done is kept',
  failed: 'ended with an error',
  done: 'done'
};

function duration(seconds) {
  const whole = Math.round(seconds),
    minutes = Math.floor(whole / 60);
  if (minutes === 0) return `${whole} s`;
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function size(bytes) {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.round(bytes / 1e6)} MB`;
}

function render({ model, el }) {
  const { root, fail, end } = frame(model, el, 'watch', 'Progress');
  const title = make('span', { class: 'kkw-title' }),
    state = make('span', { class: 'kkw-note' });
  const fill = make('i'),
    share = make('span', { class: 'kkw-share' });
  const track = make(
    'div',
    { class: 'kkw-track', role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100 },
    fill
  );
  const facts = make('div', { class: 'kkw-facts' }),
    best = make('div', { class: 'kkw-best', hidden: true }),
    bestText = make('span');
  // A busy kernel reads no message of a widget: only its interrupt gets through, where the front end lends it.
  const kernel = model.widget_manager?.kernel;
  const stop = button('Stop', 'Stop what runs; what is done is kept', async () => {
    stop.disabled = true;
    state.textContent = 'stopping';
    try {
      await kernel.interrupt();
    } catch (error) {
      fail(`The kernel could not be interrupted: ${error.message}`);
      stop.disabled = false;
    }
  });
  root.prepend(
    make('div', { class: 'kkw-bar' }, title, state),
    make('div', { class: 'kkw-bar' }, track, share, stop),
    facts,
    best
  );
  const line = canvas(
    best,
    34,
    (ctx, w, h) => {
      const points = model.get('best'),
        shades = theme(root);
      if (!points.length) return;
      const values = points.map(p => p[1]),
        done = Math.max(1, model.get('event').done ?? 1);
      const x = scale(0, done, 2, w - 4),
        y = scale(Math.min(...values), Math.max(...values), h - 4, 4);
      ctx.strokeStyle = shades.blue;
      ctx.lineWidth = 1.6;
      ctx.beginPath();
      points.forEach(([at, value], k) => {
        if (k) ctx.lineTo(x.at(at), y.at(values[k - 1])); // a best holds until there is a better one
        ctx.lineTo(x.at(at), y.at(value));
      });
      ctx.lineTo(x.at(done), y.at(values[values.length - 1]));
      ctx.stroke();
      ctx.fillStyle = shades.blue;
      ctx.beginPath();
      ctx.arc(x.at(done), y.at(values[values.length - 1]), 2.5, 0, 7);
      ctx.fill();
    },
    { role: 'img', 'aria-label': 'The best so far' }
  );
  best.append(bestText);

  function show() {
    const event = model.get('event'),
      status = model.get('status');
    const active = status === 'running';
    root.dataset.status = status;
    if (!active) state.textContent = WORDS[status];
    else if (!stop.disabled) state.textContent = kernel ? '' : UNREACHED;
    stop.hidden = !active || !kernel;
    if (!event.label) return;
    const part = event.total ? event.done / event.total : 1,
      whole = n => n.toLocaleString('en-US');
    title.textContent = event.label;
    fill.style.width = `${100 * part}%`;
    share.textContent = `${Math.floor(100 * part)} %`;
    track.setAttribute('aria-valuenow', Math.floor(100 * part));
    const told = [[`${whole(event.done)} of ${whole(event.total)}`, 'done']];
    if (event.failed) told.push([whole(event.failed), 'failed']);
    if (active && event.eta_s !== null && part < 1) told.push([duration(event.eta_s), 'left']);
    if (event.candles_per_s !== null) told.push([compact(Number(event.candles_per_s.toPrecision(3))), 'candles/s']);
    if (event.cpu_percent !== null) told.push([`${event.cpu_percent.toFixed(0)} %`, 'CPU']);
    if (event.memory_bytes !== null) told.push([size(event.memory_bytes), 'memory']);
    facts.replaceChildren(...told.map(([value, name]) => make('span', {}, make('b', {}, value), ` ${name}`)));
    best.hidden = !event.best_text;
    bestText.textContent = `best ${event.metric_text} so far: ${event.best_text} of ${whole(event.done)}, chosen in sample`;
    line.redraw();
  }

  for (const name of ['event', 'status', 'best']) model.on(`change:${name}`, show);
  show();
  return ending(...['event', 'status', 'best'].map(name => () => model.off(`change:${name}`, show)), line.end, end);
}

export default { render };
