// The trade inspector: a table of trades, the chart of the selected one, and a card with its orders.

const ROW = 24,
  TALL = 264,
  SPARE = 6;
const WORDS = {
  asset: 'Asset',
  side: 'Side',
  opened: 'Opened',
  closed: 'Closed',
  bars: 'Bars',
  quantity: 'Quantity',
  entry: 'Entry',
  exit: 'Exit',
  pnl: 'P&L',
  return: 'Return',
  mae: 'MAE',
  mfe: 'MFE',
  slippage: 'Slippage',
  fees: 'Fees',
  venue: 'Venue'
};
const WIDTHS = { asset: 76, side: 56, opened: 128, closed: 128, bars: 60, pnl: 104, venue: 80 };
const FRACTIONS = ['return', 'mae', 'mfe'];
const HELP = {
  mae: 'Largest loss against the entry while it was open',
  mfe: 'Largest gain against the entry while it was open',
  return: 'Gain over the entry price, before costs beyond slippage',
  slippage: 'What its fills lost to slippage, in quote currency',
  pnl: 'Net of fees, in quote currency'
};

/** The columns with their values as arrays, and how a cell reads. */
function tableOf(model) {
  const { n, columns } = model.get('table'),
    bar = model.get('facts').bar;
  const parts = columns.map(({ name, kind, words, values }) => {
    const raw = unpack(values),
      numbers = kind === 'time' ? milliseconds(raw) : raw;
    const text =
      kind === 'text'
        ? v => words[v]
        : kind === 'time'
          ? v => moment(v, Math.min(bar, 60e3))
          : FRACTIONS.includes(name)
            ? v => percent(v)
            : v => number(v, 6);
    return { name, kind, words, numbers, text: k => text(numbers[k]), width: WIDTHS[name] ?? 86 };
  });
  return { n, columns: parts, of: Object.fromEntries(parts.map(part => [part.name, part])) };
}

/** Rows that pass the filter, in the wanted order; what has no number comes last either way. */
function ordered(table, { outcome, side, asset, by, down }) {
  const rows = [],
    { pnl } = table.of;
  const codes = { side: table.of.side.words.indexOf(side), asset: table.of.asset.words.indexOf(asset) };
  for (let k = 0; k < table.n; k++) {
    if (outcome === 'winners' && !(pnl.numbers[k] > 0)) continue;
    if (outcome === 'losers' && !(pnl.numbers[k] <= 0)) continue;
    if (side && table.of.side.numbers[k] !== codes.side) continue;
    if (asset && table.of.asset.numbers[k] !== codes.asset) continue;
    rows.push(k);
  }
  if (by) {
    const values = table.of[by].numbers,
      sign = down ? -1 : 1;
    rows.sort((a, b) => Number.isNaN(values[a]) - Number.isNaN(values[b]) || sign * (values[a] - values[b]) || a - b);
  }
  return rows;
}

/** The table itself: only the rows in view are in the page. */
function trades(model, root, { say }) {
  let table = tableOf(model),
    rows = [],
    state = { outcome: '', side: '', asset: '', by: '', down: false };
  const bar = make('div', { class: 'kkw-bar' }),
    count = make('span', { class: 'kkw-note', 'aria-live': 'polite' });
  const head = make('div', { class: 'kkw-head', role: 'row' }),
    body = make('div', { class: 'kkw-body', role: 'presentation' });
  const box = make(
    'div',
    { class: 'kkw-table', role: 'grid', tabindex: 0, 'aria-label': 'Trades', style: `height:${TALL}px` },
    head,
    body
  );
  root.append(bar, box);

  const template = () => ['56px', ...table.columns.map(({ width }) => `minmax(${width}px, 1fr)`)].join(' ');
  const wide = () => 56 + table.columns.reduce((sum, { width }) => sum + width, 0);

  function tools() {
    const pick = name => value => {
      state = { ...state, [name]: value };
      sort();
    };
    const words = name => [['', 'all'], ...table.of[name].words.map(w => [w, w])];
    bar.replaceChildren(
      make('span', { class: 'kkw-title' }, 'Trades'),
      count,
      make('span', { class: 'kkw-space' }),
      choice(
        'outcome',
        [
          ['', 'all'],
          ['winners', 'winners'],
          ['losers', 'losers']
        ],
        state.outcome,
        pick('outcome')
      ),
      choice('side', words('side'), state.side, pick('side')),
      ...(table.of.asset.words.length > 1 ? [choice('asset', words('asset'), state.asset, pick('asset'))] : [])
    );
  }

  function heads() {
    const cells = [['', '#'], ...table.columns.map(({ name }) => [name, WORDS[name] ?? name])];
    head.replaceChildren(
      ...cells.map(([name, text]) => {
        const sorted = state.by === name && name ? (state.down ? 'descending' : 'ascending') : 'none';
        const click = () => {
          state = {
            ...state,
            by: name,
            down: Boolean(name) && (state.by === name ? !state.down : table.of[name].kind === 'number')
          };
          sort();
        };
        const mark = sorted === 'none' ? '' : state.down ? ' \u25be' : ' \u25b4';
        const press = make(
          'button',
          {
            type: 'button',
            tabindex: -1,
            title: HELP[name] ?? `Sort by ${text === '#' ? 'number' : text}`,
            onclick: click
          },
          text + mark
        );
        return make('div', { role: 'columnheader', 'aria-sort': sorted }, press);
      })
    );
    head.style.gridTemplateColumns = template();
  }

  function sort() {
    rows = ordered(table, state);
    body.style.height = `${rows.length * ROW}px`;
    box.setAttribute('aria-rowcount', rows.length);
    for (const node of [head, body]) node.style.minWidth = `${wide()}px`;
    const gain = rows.reduce((sum, k) => sum + table.of.pnl.numbers[k], 0),
      won = rows.filter(k => table.of.pnl.numbers[k] > 0).length;
    count.textContent = rows.length
      ? `${number(rows.length)} of ${number(table.n)}, ${percent(won / rows.length, 1)} winners, P&L ${number(gain, 7)}`
      : table.n
        ? 'none passes the filter'
        : 'none was closed';
    heads();
    body.replaceChildren();
    paint();
  }

  function paint() {
    const first = Math.max(0, Math.floor(box.scrollTop / ROW) - SPARE),
      last = Math.min(rows.length, first + Math.ceil(TALL / ROW) + 2 * SPARE);
    const shown = rows.slice(first, last),
      wanted = new Set(shown),
      chosen = selected(model).trade;
    for (const row of [...body.children]) if (!wanted.has(Number(row.dataset.trade))) row.remove();
    // A row that stays is the same element: a click whose press and release lie on two elements is lost.
    let next = body.firstChild;
    shown.forEach((k, at) => {
      if (Number(next?.dataset.trade) === k) next = next.nextSibling;
      else body.insertBefore(rowOf(k, first + at), next);
    });
    for (const row of body.children) row.setAttribute('aria-selected', Number(row.dataset.trade) === chosen);
  }

  function rowOf(k, at) {
    const cells = table.columns.map(column => {
      const gain =
        column.name === 'pnl' || column.name === 'return' ? (column.numbers[k] > 0 ? 'kkw-up' : 'kkw-down') : '';
      return make(
        'div',
        { role: 'gridcell', class: `${column.kind === 'text' ? 'kkw-text' : ''} ${gain}` },
        column.text(k)
      );
    });
    return make(
      'div',
      {
        class: 'kkw-row',
        role: 'row',
        'aria-rowindex': at + 1,
        'data-trade': k,
        style: `top:${at * ROW}px;grid-template-columns:${template()}`
      },
      make('div', { role: 'rowheader' }, String(k)),
      ...cells
    );
  }

  /** Scroll so that a row of `rows` is in view, below the heads. */
  function reveal(at) {
    const top = at * ROW,
      room = box.clientHeight - ROW - 2;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + ROW > box.scrollTop + room) box.scrollTop = top + ROW - room;
  }

  function go(at) {
    const k = rows[Math.max(0, Math.min(rows.length - 1, at))];
    if (k === undefined) return;
    select(model, { trade: k });
    say(`Trade ${k}: ${table.of.side.text(k)}, P&L ${table.of.pnl.text(k)}`);
  }

  body.addEventListener('click', event => {
    const row = event.target.closest('.kkw-row');
    if (row) select(model, { trade: Number(row.dataset.trade) });
  });
  box.addEventListener('scroll', () => requestAnimationFrame(paint));
  box.addEventListener('keydown', event => {
    const at = rows.indexOf(selected(model).trade),
      page = Math.floor(TALL / ROW) - 2;
    const to = {
      ArrowDown: at + 1,
      ArrowUp: at < 0 ? 0 : at - 1,
      PageDown: at + page,
      PageUp: Math.max(0, at - page),
      Home: 0,
      End: rows.length - 1
    }[event.key];
    if (event.key === 'Escape') select(model, { trade: null });
    else if (to === undefined) return;
    else go(to);
    event.preventDefault();
  });

  const chosen = () => {
    const at = rows.indexOf(selected(model).trade);
    if (at >= 0) reveal(at);
    paint();
  };
  const changed = () => {
    table = tableOf(model);
    tools();
    sort();
  };
  model.on('change:selected', chosen);
  model.on('change:table', changed);
  tools();
  sort();
  chosen();
  return () => {
    model.off('change:selected', chosen);
    model.off('change:table', changed);
  };
}

/** What became of the orders of the selected trade. */
function cards(model, root, { fail }) {
  const box = make('div', { class: 'kkw-card', 'aria-live': 'polite' });
  root.append(box);
  const row = (name, text, help) => (text === '' ? [] : [make('dt', { title: help }, name), make('dd', {}, text)]);

  function orderOf(order, bar) {
    const priced = v => number(v, 8),
      when = v => moment(v, Math.min(bar, 60e3));
    const asked = [
      order.limit === null ? '' : `limit ${priced(order.limit)}`,
      order.trigger === null ? '' : `trigger ${priced(order.trigger)}`
    ];
    const about = `Order ${order.order}: ${order.side} ${number(order.quantity, 9)}, ${order.kind}, ${order.tif}`;
    const answer = make('div', { class: 'kkw-why', 'data-order': order.order });
    const ask = button('Why?', `Why order ${order.order} traded`, () => {
      ask.disabled = true;
      answer.textContent = 'Running the trial again \u2026';
      post(model, { kind: 'why', order: order.order }, fail);
    });
    return make(
      'section',
      {},
      make('div', { class: 'kkw-bar' }, make('b', {}, about), make('span', { class: 'kkw-space' }), ask),
      make(
        'dl',
        {},
        ...row('Decided', order.submitted === null ? '' : `${when(order.submitted)}, close ${priced(order.decision)}`),
        ...row('Asked', asked.filter(Boolean).join(', ') || 'at market'),
        ...row('Arrived', priced(order.arrival), 'Open of the first bar in which it could be matched'),
        ...row(
          'Filled',
          `${number(order.filled, 9)} at ${priced(order.price)}${order.fills > 1 ? ` in ${order.fills} fills` : ''}, ${when(order.done)} (${order.at})`
        ),
        ...row('Before slippage', priced(order.reference)),
        ...row('Slippage', priced(order.slippage), 'Of its part in this trade, in quote currency'),
        ...row('Fee', priced(order.fee), 'Of its part in this trade, in quote currency'),
        ...row('Queue', 'not modelled: bars have no order book'),
        ...row('Ended', order.sentence)
      ),
      answer
    );
  }

  function draw() {
    const card = model.get('card'),
      trade = model.get('trade'),
      bar = model.get('facts').bar;
    if (!card || !trade) {
      box.replaceChildren(
        make(
          'p',
          { class: 'kkw-note' },
          'Select a trade, in the table or at its mark in the chart: it shows here why it was made.'
        )
      );
      return;
    }
    const went =
      trade.mae === null || trade.mae === undefined ? '' : `, MAE ${percent(trade.mae)}, MFE ${percent(trade.mfe)}`;
    const title = `Trade ${trade.number}: ${trade.side} ${trade.asset}, P&L ${number(trade.pnl, 8)}${went}`;
    box.replaceChildren(
      make('p', { class: 'kkw-title' }, title),
      make('div', { class: 'kkw-orders' }, ...card.orders.map(order => orderOf(order, bar)))
    );
    if (card.more) box.append(make('p', { class: 'kkw-note' }, `${card.more} more orders: kk.orders(res) lists them.`));
    if (!card.orders.length) box.append(make('p', { class: 'kkw-note' }, 'No order of its own: see kk.actions(res).'));
  }

  const told = onMessage(model, {
    why: ({ order, html }) => {
      fail('');
      const answer = box.querySelector(`.kkw-why[data-order="${order}"]`);
      if (answer) answer.innerHTML = html; // kernelkit's own, with every text of the user's escaped
    },
    error: () => {
      for (const press of box.querySelectorAll('button')) press.disabled = false;
      for (const answer of box.querySelectorAll('.kkw-why')) if (!answer.firstElementChild) answer.textContent = '';
    }
  });
  model.on('change:card', draw);
  draw();
  return () => {
    told();
    model.off('change:card', draw);
  };
}

function render({ model, el }) {
  const own = frame(model, el, 'inspector', `Trades of ${model.get('facts').title}`);
  const rows = trades(model, own.root, own);
  const chart = panes(model, own.root, own);
  return ending(own.end, rows, chart.end, cards(model, own.root, own));
}

export default { render };
