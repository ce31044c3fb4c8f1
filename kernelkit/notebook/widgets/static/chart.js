// The chart of a trial.

function render({ model, el }) {
  const own = frame(el, 'chart', `Chart of ${model.get('facts').title}`);
  return panes(model, own.root, own).end;
}

export default { render };
