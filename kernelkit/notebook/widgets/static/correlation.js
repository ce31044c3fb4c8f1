// Correlations: clusters beside each other; the pair under the pointer in numbers; a row of a trial selects it.

function render({ model, el }) {
  const { root, say, end } = frame(model, el, 'correlation', 'Correlations');
  const title = make('div', { class: 'kkw-title' }),
    area = make('div', {}),
    line = make('div', { class: 'kkw-note kkw-pair' });
  root.append(title, area, line);
  const tip = tooltip(root);
  const about = model.get('about'),
    parts = model.get('arrays');
  const values = unpack(parts.values),
    cluster = unpack(parts.cluster),
    n = about.labels.length;
  let at = null;
  title.textContent = about.title;

  // Cells are drawn once, a pixel each, and stretched: 250,000 of them cost nothing when the pointer moves.
  const cells = make('canvas', { width: n, height: n });
  let drawn = '';
  function colour(look) {
    if (drawn === look.blue + look.red) return;
    drawn = look.blue + look.red;
    const ctx = cells.getContext('2d');
    ctx.clearRect(0, 0, n, n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        const v = values[i * n + j];
        if (!Number.isFinite(v)) continue;
        ctx.globalAlpha = Math.min(1, Math.abs(v));
        ctx.fillStyle = v > 0 ? look.blue : look.red;
        ctx.fillRect(j, i, 1, 1);
      }
    }
  }

  const frameOf = (width, height) => {
    const left = Math.min(150, width * 0.28),
      side = Math.max(60, Math.min(width - left - 70, height - 34));
    return { left, top: 4, side, step: side / n };
  };
  const tall = Math.max(160, Math.min(520, 40 + 26 * n));
  const picture = canvas(
    area,
    tall,
    (ctx, width, height) => {
      const look = theme(root),
        { left, top, side, step } = frameOf(width, height);
      colour(look);
      ctx.imageSmoothingEnabled = false;
      ctx.drawImage(cells, left, top, side, side);
      ctx.font = `11px ${look.font}`;
      ctx.textBaseline = 'middle';
      const every = Math.max(1, Math.ceil(13 / step)),
        now = chosen();
      for (let i = 0; i < n; i++) {
        if (i % every && i !== at?.[0] && i !== now) continue;
        ctx.fillStyle = i === now || i === at?.[0] ? look.ink : look.faint;
        ctx.textAlign = 'right';
        ctx.fillText(short(ctx, about.labels[i], left - 10), left - 6, top + step * (i + 0.5));
      }
      const over = Math.max(1, Math.ceil(90 / step));
      ctx.fillStyle = look.faint;
      ctx.textAlign = 'center';
      for (let j = 0; j < n; j += over)
        ctx.fillText(
          short(ctx, about.labels[j], Math.max(60, step * over - 6)),
          left + step * (j + 0.5),
          top + side + 12
        );
      if (step >= 30) {
        ctx.fillStyle = look.ink;
        for (let i = 0; i < n; i++)
          for (let j = 0; j < n; j++) {
            ctx.fillText(
              Number.isFinite(values[i * n + j]) ? values[i * n + j].toFixed(2).replace('-', '\u2212') : '\u2013',
              left + step * (j + 0.5),
              top + step * (i + 0.5)
            );
          }
      }
      // groups are told apart by lines
      ctx.strokeStyle = look.ink;
      ctx.lineWidth = 1;
      ctx.globalAlpha = 0.5;
      for (let i = 1; i < n; i++) {
        if (cluster[i] === cluster[i - 1]) continue;
        ctx.strokeRect(left, top + step * i, side, 0);
        ctx.strokeRect(left + step * i, top, 0, side);
      }
      ctx.globalAlpha = 1;
      for (const [i, j] of [at, now < 0 ? null : [now, now]].filter(Boolean)) {
        ctx.lineWidth = 2;
        ctx.strokeRect(left + step * j, top + step * i, step, step);
      }
      legend(ctx, look, left + side + 16, top, Math.min(side, 140));
    },
    { tabindex: 0, role: 'img', 'aria-label': `${about.title}; arrow keys move from pair to pair, Enter selects` }
  );

  function short(ctx, text, room) {
    let found = text;
    while (found.length > 3 && ctx.measureText(found).width > room)
      found = `${found.replace('\u2026', '').slice(0, -1)}\u2026`;
    return found;
  }

  function legend(ctx, look, x, y, high) {
    for (let k = 0; k < high; k++) {
      const v = 1 - (2 * k) / (high - 1);
      ctx.globalAlpha = Math.abs(v);
      ctx.fillStyle = v > 0 ? look.blue : look.red;
      ctx.fillRect(x, y + k, 12, 1);
    }
    ctx.globalAlpha = 1;
    ctx.fillStyle = look.faint;
    ctx.textAlign = 'left';
    [
      ['1', 0],
      ['0', 0.5],
      ['\u22121', 1]
    ].forEach(([text, share]) => ctx.fillText(text, x + 17, y + 5 + share * (high - 10)));
  }

  const chosen = () => {
    const trial = selected(model).trial;
    if (!trial) return -1;
    return about.trials.findIndex(one => one && Object.entries(one).every(([dim, label]) => trial[dim] === label));
  };
  const told = ([i, j]) =>
    `${about.labels[i]} and ${about.labels[j]}: ${number(values[i * n + j], 3)}` +
    (cluster[i] === cluster[j] ? `, both in group ${cluster[i]}` : `, groups ${cluster[i]} and ${cluster[j]}`);
  const pairAt = event => {
    const [px, py] = place(event, picture.node),
      { left, top, step } = frameOf(picture.node.clientWidth, picture.node.clientHeight);
    const i = Math.floor((py - top) / step),
      j = Math.floor((px - left) / step);
    return i >= 0 && i < n && j >= 0 && j < n ? [i, j] : null;
  };
  function choose(i) {
    if (about.trials[i]) select(model, { trial: { ...(selected(model).trial ?? {}), ...about.trials[i] } });
    line.textContent = told(at);
    say(told(at));
    picture.redraw();
  }
  picture.node.addEventListener('pointermove', event => {
    at = pairAt(event);
    const [px, py] = place(event, picture.node);
    at ? tip.show(told(at), px, py + area.offsetTop) : tip.hide();
    picture.redraw();
  });
  picture.node.addEventListener('pointerleave', () => {
    at = null;
    tip.hide();
    picture.redraw();
  });
  picture.node.addEventListener('click', event => {
    at = pairAt(event);
    if (at) choose(at[0]);
  });
  picture.node.addEventListener('keydown', event => {
    const move = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key];
    if (event.key === 'Enter' && at) return choose(at[0]);
    if (!move) return;
    event.preventDefault();
    at = at ? [0, 1].map(k => Math.min(n - 1, Math.max(0, at[k] + move[k]))) : [0, 0];
    line.textContent = told(at);
    say(told(at));
    picture.redraw();
  });
  model.on('change:selected', picture.redraw);
  return ending(end, picture.end, () => model.off('change:selected', picture.redraw));
}

export default { render };
