/** Building blocks for HTML and SVG; text always enters as text, never as markup. */

type Attributes = Record<string, string | number>;
type Child = Node | string | null;

function fill<T extends Element>(element: T, attributes: Attributes, children: readonly Child[]): T {
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, String(value));
  }
  element.append(...children.filter(child => child !== null));
  return element;
}

/** An HTML element with attributes and children. */
export function html<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element with attributes and children. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  return fill(element, attributes, children);
}

/**
 * `node` when it says what `fresh` says, or `fresh` where there is none. What is alike stays the same element: a click
 * whose press and release lie on two elements is lost, and so would be the focus.
 */
export function renew<T extends Element>(node: T | undefined, fresh: T): T {
  if (node === undefined) {
    return fresh;
  }
  for (const { name } of [...node.attributes]) {
    if (!fresh.hasAttribute(name)) {
      node.removeAttribute(name);
    }
  }
  for (const { name, value } of fresh.attributes) {
    if (node.getAttribute(name) !== value) {
      node.setAttribute(name, value);
    }
  }
  const wanted = [...fresh.childNodes].map((child, i) => {
    const own = node.childNodes[i];
    if (own instanceof Element && child instanceof Element && isAlike(own, child)) {
      return renew(own, child);
    }
    return own?.isEqualNode(child) ? own : child;
  });
  place(node, wanted);
  return node;
}

/** Whether an element may become another: a button that does something else is another one. */
function isAlike(one: Element, other: Element): boolean {
  return one.tagName === other.tagName && (one.tagName !== 'BUTTON' || one.textContent === other.textContent);
}

/** Let these be the children of `parent`, in this order; those that stay are not taken out in between. */
export function place(parent: Element, children: readonly Node[]): void {
  const kept = new Set(children);
  [...parent.childNodes].filter(child => !kept.has(child)).forEach(child => child.remove());
  children.forEach((child, i) => {
    if (parent.childNodes[i] !== child) {
      parent.insertBefore(child, parent.childNodes[i] ?? null);
    }
  });
}
