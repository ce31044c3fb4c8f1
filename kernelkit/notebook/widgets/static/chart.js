// The chart of a trial.

function render({ model, el }) {
  const own = frame(model, el, 'chart', `Chart of ${model.get('facts').title}`);
  return ending(own.end, panes(model, own.root, own).end);
}

export default { render };
