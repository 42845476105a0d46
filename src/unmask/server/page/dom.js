// Elements without markup in strings: text from files can never become code.
const SVG = 'http://www.w3.org/2000/svg';

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat(2).filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

export const h = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
export const s = (name, attributes, ...children) => fill(document.createElementNS(SVG, name), attributes, children);
export const $ = id => document.getElementById(id);

export function table(head, rows) {
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': head?.[0] ?? 'table' }, h('table', {},
    head && h('thead', {}, h('tr', {}, head.map(cell => h('th', { scope: 'col' }, cell)))),
    h('tbody', {}, rows.map(row => h('tr', {}, row.map((cell, column) =>
      column || head ? h('td', {}, cell) : h('th', { scope: 'row' }, cell)))))));
}
