// The verdict's card, and below it the deflated Sharpe ratio by the number of trials: trying more makes it worse.

function render({ model, el }) {
  const { root, say, end } = frame(model, el, 'verdict', 'Verdict');
  const card = make('div', {}),
    below = make('div', { class: 'kkw-deflated' });
  root.append(card, below);
  const tip = tooltip(root),
    ends = [];

  // The kernel's own page, in which every text of others is escaped.
  const fill = () => {
    card.innerHTML = model.get('card');
  };
  fill();
  model.on('change:card', fill);

  const parts = model.get('arrays');
  if (parts.dsr) {
    const trials = unpack(parts.trials),
      dsr = unpack(parts.dsr),
      { n } = model.get('about');
    below.append(make('p', { class: 'kkw-title' }, 'Deflated Sharpe ratio, had there been so many trials'));
    const scales = (width, height) => ({
      x: scale(trials[0], trials[trials.length - 1], 46, width - 14, true),
      y: scale(0, 1, height - 34, 10)
    });
    let at = null;
    const nearest = value =>
      trials.reduce(
        (best, t, k) => (Math.abs(Math.log(t / value)) < Math.abs(Math.log(trials[best] / value)) ? k : best),
        0
      );
    const picture = canvas(
      below,
      170,
      (ctx, width, height) => {
        const look = theme(root),
          { x, y } = scales(width, height);
        ctx.font = `11px ${look.font}`;
        ctx.textBaseline = 'middle';
        ctx.textAlign = 'right';
        for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
          ctx.fillStyle = look.line;
          ctx.fillRect(46, Math.round(y.at(tick)), width - 60, 1);
          ctx.fillStyle = look.faint;
          ctx.fillText(tick.toFixed(2), 40, y.at(tick));
        }
        ctx.textAlign = 'center';
        for (const tick of x.ticks(7)) ctx.fillText(tick.toLocaleString('en-US'), x.at(tick), height - 24);
        ctx.fillText('trials', (46 + width - 14) / 2, height - 8);
        ctx.strokeStyle = look.amber;
        ctx.setLineDash([5, 4]);
        ctx.beginPath();
        ctx.moveTo(46, y.at(0.95));
        ctx.lineTo(width - 14, y.at(0.95));
        ctx.stroke();
        ctx.setLineDash([]);
        ctx.strokeStyle = look.blue;
        ctx.lineWidth = 2;
        ctx.beginPath();
        trials.forEach((t, k) => ctx.lineTo(x.at(t), y.at(dsr[k])));
        ctx.stroke();
        for (const [k, colour, name] of [
          [nearest(n), look.red, `now: ${n.toLocaleString('en-US')}`],
          [at, look.ink, '']
        ]) {
          if (k === null) continue;
          ctx.fillStyle = colour;
          ctx.beginPath();
          ctx.arc(x.at(trials[k]), y.at(dsr[k]), 4, 0, 7);
          ctx.fill();
          ctx.textAlign = 'left';
          ctx.fillText(name, x.at(trials[k]) + 8, y.at(dsr[k]) - 9);
        }
      },
      { tabindex: 0, role: 'img', 'aria-label': 'Deflated Sharpe ratio by the number of trials; arrow keys move' }
    );
    const told = k => `${trials[k].toLocaleString('en-US')} trials: DSR ${dsr[k].toFixed(3)}`;
    picture.node.addEventListener('pointermove', event => {
      const [px, py] = place(event, picture.node),
        { x } = scales(picture.node.clientWidth, picture.node.clientHeight);
      at = nearest(x.back(px));
      tip.show(told(at), px, py + picture.node.offsetTop);
      picture.redraw();
    });
    picture.node.addEventListener('pointerleave', () => {
      at = null;
      tip.hide();
      picture.redraw();
    });
    picture.node.addEventListener('keydown', event => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      at = Math.min(trials.length - 1, Math.max(0, (at ?? nearest(n)) + step));
      say(told(at));
      picture.redraw();
    });
    ends.push(picture.end);
  }
  return ending(end, ...ends, () => model.off('change:card', fill));
}

export default { render };
