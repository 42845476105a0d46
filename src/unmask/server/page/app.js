// Puts the page together: files in, the list of this visit, the result of the one that is looked at.
import * as api from './api.js';
import { zip } from './binary.js';
import { $, h } from './dom.js';
import { keep, speak, wished } from './language.js';
import { share } from './prevalence.js';
import { failed, pill, result, waiting } from './result.js';
import { csv, save } from './save.js';
import { translate, words } from './strings.js';
import { Visit } from './visit.js';

// ---- the language

const languages = $('language');

async function speakIn(code) {
  await speak(code).catch(() => {}); // without the server the page stays in English
  languages.value = document.documentElement.lang;
  translate();
  for (const element of document.querySelectorAll('[data-words]')) element.textContent = words[element.dataset.words];
}

await speakIn(wished([...languages.options].map(({ value }) => value)));

const visit = new Visit();
const act = {
  stop: item => visit.stop(item),
  again: item => visit.again(item),
  remove: item => visit.remove(item),
};
let looked = null; // the item that is looked at
let shown = null; // what shows it: {state, update, leave}

// ---- the server

$('server').textContent = words.starting;
let away = false;
async function greet() {
  for (;;) {
    try {
      const [limits, { models }] = await Promise.all([api.json('/v1/limits'), api.json('/v1/models').catch(noKey)]);
      visit.limits = limits;
      $('server').textContent = models.length ? words.ready(`${models[0].bundle} ${models[0].version}`, limits.version) : words.noKey;
      $('server').dataset.state = 'ready';
      $('bounds').textContent = words.bounds(words.megabytes(limits.upload_bytes), words.minutes(limits.duration_s / 60));
      $('privacy').textContent = words.privacy(words.minutes(limits.keep_s / 60));
      const { frames, model } = $('options').elements;
      frames.max = limits.frames;
      model.replaceChildren(...models.map(({ name }) => h('option', { value: name }, name)));
      $('link-form').hidden = !limits.links;
      $('models').hidden = models.length < 2;
      away = false;
      return;
    } catch (error) {
      if (error instanceof api.Problem && error.status === 401) { askForKey(); return; }
      $('server').textContent = words.away;
      $('server').dataset.state = 'away';
      await new Promise(resolve => setTimeout(resolve, 1500));
    }
  }
}

function noKey(error) {
  if (!(error instanceof api.Problem) || error.status !== 401) throw error;
  askForKey();
  return { models: [] };
}

function askForKey() {
  $('key').hidden = false;
  document.querySelector('.options').open = true;
  $('server').textContent = words.noKey;
}

// ---- files in

visit.options = () => {
  const form = new FormData($('options'));
  api.useKey(form.get('key') ?? '');
  const asked = { frames: form.get('frames') || 32, explain: form.has('explain'), stability: form.has('stability') };
  return form.get('model') ? { ...asked, model: form.get('model') } : asked;
};

// what an operating system leaves in folders
const isHidden = file => /(^|\/)(\.|Thumbs\.db$|desktop\.ini$)/.test(file.webkitRelativePath || '');

// files, or links
function take(files) {
  const given = [...files].filter(file => !(file instanceof File) || !isHidden(file));
  if (!given.length) return;
  const first = visit.add(given);
  if (!looked || given.length === 1 || looked.state === 'done') look(first);
  list();
  if (matchMedia('(max-width: 60rem)').matches) $('result').scrollIntoView(); // below the list on a narrow screen
}

for (const [name, input] of [['choose', 'files'], ['choose-folder', 'folder']]) {
  $(name).addEventListener('click', () => $(input).click());
  $(input).addEventListener('change', event => { take(event.target.files); event.target.value = ''; });
}
// a new page would be an empty visit
document.querySelector('.brand').addEventListener('click', event => {
  if (!visit.items.length) return;
  event.preventDefault();
  scrollTo({ top: 0 });
});
$('options').addEventListener('submit', event => event.preventDefault());
$('key').addEventListener('change', () => { visit.options(); greet(); });
const isLink = text => /^https?:\/\/\S+$/i.test(text);
document.addEventListener('paste', event => {
  const text = event.clipboardData?.getData('text').trim() ?? '';
  if (visit.limits?.links && isLink(text) && !event.target.closest?.('input, textarea')) take([text]);
  else take(event.clipboardData?.files ?? []);
});
$('link-form').addEventListener('submit', event => {
  event.preventDefault();
  const field = $('link-form').elements.link;
  if (isLink(field.value.trim())) { take([field.value.trim()]); field.value = ''; }
  else field.reportValidity();
});
for (const name of ['dragover', 'drop', 'dragleave']) {
  document.addEventListener(name, event => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    $('drop').classList.toggle('over', name === 'dragover');
    if (name === 'drop') take(event.dataTransfer.files);
  });
}
addEventListener('pagehide', () => visit.leave());
// what is folded away on the screen belongs to what is printed
addEventListener('beforeprint', () => { for (const fold of document.querySelectorAll('.result details')) fold.open = true; });

// ---- the list

const entries = new Map();

function entry(item) {
  const [name, state] = ['entry-name', 'state'].map(kind => h('span', { class: kind }));
  const picture = !item.url ? h('span', { class: 'blank' }) : item.video ? h('video', { src: `${item.url}#t=0.1`, muted: true, preload: 'metadata', tabindex: -1 }) : h('img', { src: item.url, alt: '' });
  picture.addEventListener('error', () => picture.replaceWith(h('span', { class: 'blank' })));
  const bar = h('span', { class: 'thin' }, h('span', {}));
  const open = h('button', { type: 'button', class: 'entry', onclick: () => look(item, true) },
    h('span', { class: 'thumb', 'aria-hidden': 'true' }, picture), h('span', { class: 'entry-words' }, name, state, bar));
  const element = h('li', {}, open);
  const update = () => {
    name.textContent = item.name; // that of a link's file comes with its report
    bar.firstChild.style.width = `${100 * item.share}%`;
    bar.hidden = item.state === 'done' || item.state === 'failed';
    if (item.state === 'done') state.replaceChildren(pill(item.view.label, item.view.label_words, true), item.view.percent);
    else if (item.state === 'failed') state.replaceChildren(pill('failed', words.failed, true));
    else state.textContent = item.note;
    if (looked === item) open.setAttribute('aria-current', 'true');
    else open.removeAttribute('aria-current');
  };
  return { element, update };
}

// what an item counts as: its verdict, `failed`, or `open`
const kindOf = item => (item.state === 'done' ? item.view.label : item.state === 'failed' ? 'failed' : 'open');
const suspicion = item => (item.state === 'done' ? item.report.verdict.probability_fake ?? -1 : -2);
let only = null; // the kind that the list is cut down to

function listed() {
  const items = visit.items.filter(item => !only || kindOf(item) === only);
  return $('sort').value === 'suspicion' ? items.sort((a, b) => suspicion(b) - suspicion(a)) : items;
}

function list() {
  $('visit').hidden = !visit.items.length;
  document.body.classList.toggle('visited', visit.items.length > 0);
  overall();
  const items = listed();
  for (const [item, { element }] of entries) {
    if (!items.includes(item)) element.remove();
    if (!visit.items.includes(item)) entries.delete(item);
  }
  items.forEach((item, place) => {
    if (!entries.has(item)) entries.set(item, entry(item));
    const { element, update } = entries.get(item);
    if ($('list').children[place] !== element) $('list').insertBefore(element, $('list').children[place] ?? null);
    update();
  });
}

// ---- all files together

function overall() {
  $('overall').hidden = visit.items.length < 2;
  const counts = new Map();
  for (const item of visit.items) counts.set(kindOf(item), (counts.get(kindOf(item)) ?? 0) + 1);
  if (only && !counts.has(only)) only = null;
  const chip = (kind, count) => h('button', { type: 'button', class: `chip ${kind ?? ''}`, 'aria-pressed': String(only === kind), onclick: () => { only = kind; list(); } }, words.count(kind, count));
  const shown = ['fake', 'inconclusive', 'real', 'not_applicable', 'failed', 'open'].filter(kind => counts.has(kind));
  const focused = [...$('chips').children].indexOf(document.activeElement);
  $('chips').replaceChildren(chip(null, visit.items.length), ...shown.map(kind => chip(kind, counts.get(kind))));
  $('chips').children[focused]?.focus();
  for (const name of ['csv', 'zip']) $(name).disabled = !visit.items.some(item => item.state === 'done');
}

$('sort').addEventListener('change', list);
const ended = () => listed().filter(item => item.state === 'done' || item.state === 'failed');
$('csv').addEventListener('click', () => save(csv(ended()), 'unmask.csv'));
$('zip').addEventListener('click', async () => {
  const done = listed().filter(item => item.state === 'done');
  const [files, lost] = [[], []];
  for (const [number, item] of done.entries()) {
    $('overall-told').textContent = words.zipping(number + 1, done.length);
    try {
      for (const kind of ['html', 'json']) {
        const data = await (await api.report(item, kind, share.value)).arrayBuffer();
        files.push([`${String(number + 1).padStart(3, '0')}-${item.name.replaceAll('/', '_')}-report.${kind}`, new Uint8Array(data)]);
      }
    } catch { lost.push(item.name); }
  }
  files.push(['unmask.csv', new Uint8Array(await csv(ended()).arrayBuffer())]);
  save(zip(files), 'unmask-reports.zip');
  $('overall-told').textContent = lost.length ? words.zipLost(lost.join(', ')) : words.zipped(done.length);
});

// ---- the result

function look(item, byHand = false) {
  looked = item;
  draw(true);
  list();
  if (byHand) $('result').focus({ preventScroll: false });
}

function draw(anew = false) {
  const kind = !looked ? null : looked.state === 'done' ? `done ${looked.expiring}` : looked.state === 'failed' ? 'failed' : 'waiting';
  if (!anew && shown?.kind === kind) { shown?.update?.(); return; }
  shown?.leave?.();
  $('result').hidden = !looked;
  if (!looked) { shown = null; $('result').replaceChildren(); return; }
  shown = { kind, ...(looked.state === 'done' ? result(looked, act) : kind === 'failed' ? { element: failed(looked, act) } : waiting(looked, act)) };
  $('result').replaceChildren(shown.element);
}

languages.addEventListener('change', async () => {
  keep(languages.value);
  await speakIn(languages.value);
  await Promise.all([greet(), visit.translate()]);
  for (const { element } of entries.values()) element.remove();
  entries.clear();
  list();
  draw(true);
});

const say = text => { $('live').textContent = text; };

visit.addEventListener('change', ({ detail: { item, what } }) => {
  if (what === 'away' && !away) { away = true; greet(); }
  if (what === 'removed' && item === looked) { look(visit.items[0] ?? null); return; }
  list();
  if (item === looked) draw();
  if (what === 'added') say(words.begins(item.name));
  if (what === 'ended') say(words.announce(item.name, item.state === 'done' ? item.view.headline : item.error.message));
});

greet();
