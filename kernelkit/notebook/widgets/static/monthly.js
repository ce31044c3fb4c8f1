// Returns by month and year: a table in colours; a month is a span of time for all widgets of the result.

function render({ model, el }) {
  const { root, say, end } = frame(model, el, 'monthly', 'Returns by month');
  const title = make('div', { class: 'kkw-title' }),
    hold = make('div', { class: 'kkw-months' }),
    note = make('div', { class: 'kkw-note' });
  root.append(title, hold, note);
  let spans,
    cells = [];

  function cell(value, limit, span, label) {
    const node = make('td', {});
    if (!Number.isFinite(value)) return node;
    const text = percent(value, 1),
      share = Math.round(75 * Math.min(1, Math.abs(value) / limit));
    const pick = make(
      'button',
      {
        type: 'button',
        title: `${label}: ${percent(value, 2)}`,
        'aria-label': `${label}: ${text}`,
        tabindex: -1,
        onclick: () => choose(span, `${label}: ${text}`)
      },
      text.replace(' %', '')
    );
    node.style.background = `color-mix(in srgb, var(--kk-${value > 0 ? 'blue' : 'red'}) ${share}%, transparent)`;
    node.append(pick);
    cells.push({ pick, span });
    return node;
  }

  function choose(span, text) {
    const now = selected(model).span;
    const same = now && now[0] === span[0] && now[1] === span[1];
    select(model, { span: same ? null : span });
    say(same ? 'no span selected' : text);
    mark();
  }

  function draw() {
    const about = model.get('about'),
      parts = model.get('arrays');
    const [years, values, totals] = ['years', 'values', 'totals'].map(name => unpack(parts[name]));
    spans = milliseconds(unpack(parts.spans));
    cells = [];
    title.textContent = about.title;
    note.textContent = `${about.sentence} Colours end at ${percent(about.limit, 1)} a month. Click a month to select its span, again to let it go.`;
    const head = make('tr', {}, make('th', {}), ...[...about.months, 'Year'].map(m => make('th', { scope: 'col' }, m)));
    const rows = [...years].map((year, r) => {
      const at = c => [spans[(r * 12 + c) * 2], spans[(r * 12 + c) * 2 + 1]];
      const months = about.months.map((name, c) => cell(values[r * 12 + c], about.limit, at(c), `${name} ${year}`));
      const there = about.months.map((_, c) => c).filter(c => at(c)[1] > 0);
      const whole = there.length ? [at(there[0])[0], at(there[there.length - 1])[1]] : [0, 0];
      const total = cell(totals[r], 2.5 * about.limit, whole, String(year));
      total.className = 'kkw-total';
      return make('tr', {}, make('th', { scope: 'row' }, String(year)), ...months, total);
    });
    hold.replaceChildren(make('table', {}, make('thead', {}, head), make('tbody', {}, ...rows)));
    if (cells.length) cells[0].pick.tabIndex = 0;
    mark();
  }

  function mark() {
    const span = selected(model).span;
    for (const one of cells) {
      const on = span && span[0] === one.span[0] && span[1] === one.span[1];
      one.pick.setAttribute('aria-pressed', Boolean(on));
    }
  }

  hold.addEventListener('keydown', event => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 13, ArrowUp: -13 }[event.key];
    const now = cells.findIndex(one => one.pick === document.activeElement || one.pick === event.target);
    if (!step || now < 0) return;
    event.preventDefault();
    // by rows of the table: the cell above or below is the one in the same column
    const column = cells[now].pick.closest('td').cellIndex,
      row = cells[now].pick.closest('tr').rowIndex;
    const next =
      Math.abs(step) === 1
        ? cells[now + step]
        : cells.find(
            one =>
              one.pick.closest('td').cellIndex === column && one.pick.closest('tr').rowIndex === row + Math.sign(step)
          );
    if (!next) return;
    cells[now].pick.tabIndex = -1;
    next.pick.tabIndex = 0;
    next.pick.focus();
  });

  draw();
  model.on('change:about', draw);
  model.on('change:selected', mark);
  return ending(end, () => {
    model.off('change:about', draw);
    model.off('change:selected', mark);
  });
}

export default { render };
