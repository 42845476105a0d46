// A frame or picture at full size, with and without marks, to be looked at closely and saved.
import { h } from './dom.js';
import { save } from './save.js';
import { withText } from './binary.js';
import { words } from './strings.js';

const SCALES = [0.25, 0.5, 1, 2, 4, 8];

// picture: a canvas with the frame as it is; marked: the same with marks; name: of the file to be saved; text: goes into it
export function lookCloser({ picture, marked, name, title, text }) {
  const shown = h('canvas', { width: picture.width, height: picture.height, 'aria-label': title, role: 'img' });
  const room = h('div', { class: 'room', tabindex: 0, role: 'region', 'aria-label': words.closerHelp }, shown);
  const marks = h('input', { type: 'checkbox', checked: true, id: 'marks' });
  const share = h('input', { type: 'range', min: 0, max: 100, value: 100, 'aria-label': words.compare });
  const zoom = h('output', {});
  let scale = 1;

  // left of the place that the slider says with marks, right of it without
  const draw = () => {
    const context = shown.getContext('2d');
    context.drawImage(picture, 0, 0);
    const edge = marks.checked ? Math.round(picture.width * share.value / 100) : 0;
    if (!edge) return;
    context.drawImage(marked, 0, 0, edge, picture.height, 0, 0, edge, picture.height);
    if (edge < picture.width) { context.fillStyle = '#fff'; context.fillRect(edge - 1, 0, 2, picture.height); }
  };
  const size = next => {
    const [x, y] = [(room.scrollLeft + room.clientWidth / 2) / scale, (room.scrollTop + room.clientHeight / 2) / scale];
    scale = next;
    shown.style.width = `${picture.width * scale}px`;
    zoom.textContent = `${Math.round(100 * scale)} %`;
    room.scrollTo(x * scale - room.clientWidth / 2, y * scale - room.clientHeight / 2);
  };
  const fit = () => size(Math.min(room.clientWidth / picture.width, room.clientHeight / picture.height) || 1);
  const step = by => {
    const steps = by > 0 ? SCALES.filter(value => value > scale * 1.01) : SCALES.filter(value => value < scale * 0.99).reverse();
    if (steps.length) size(steps[0]);
  };
  const button = (label, onclick) => h('button', { type: 'button', onclick }, label);
  const store = async () => {
    const blob = await new Promise(done => { (marks.checked ? marked : picture).toBlob(done, 'image/png'); });
    save(await withText(blob, 'Description', text), name);
  };
  const dialog = h('dialog', { class: 'closer', 'aria-label': title },
    h('div', { class: 'row tools' },
      h('strong', {}, title), button('−', () => step(-1)), zoom, button('+', () => step(1)), button(words.fit, fit), button('100 %', () => size(1)),
      h('label', { for: 'marks' }, marks, ' ', words.marks), h('label', { class: 'compare' }, words.compare, share),
      button(words.savePng, store), button(words.close, () => dialog.close())),
    room);
  dialog.addEventListener('keydown', event => {
    if (event.target.matches('input[type=range]')) return;
    const act = { '+': () => step(1), '=': () => step(1), '-': () => step(-1), 0: fit, 1: () => size(1), m: () => marks.click() }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  room.addEventListener('wheel', event => {
    if (!event.ctrlKey) return; // as pinching on a touchpad says it; else it scrolls
    event.preventDefault();
    step(event.deltaY < 0 ? 1 : -1);
  }, { passive: false });
  marks.addEventListener('change', draw);
  share.addEventListener('input', draw);
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  draw();
  dialog.showModal();
  fit();
  room.focus();
}
