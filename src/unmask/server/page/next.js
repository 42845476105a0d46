// What a fact-checker does next: save the report, pass on a summary, search for the picture, delete all.
import * as api from './api.js';
import { h } from './dom.js';
import { copy, save } from './save.js';
import { share } from './prevalence.js';
import { words } from './strings.js';

const button = (text, onclick, kind = '') => h('button', { type: 'button', class: kind, onclick }, text);

// pages where one puts a picture to find where else it is; nothing is sent there by this page
const SEARCHES = [
  ['TinEye', 'https://tineye.com/'], ['Google Lens', 'https://lens.google.com/'],
  ['Bing', 'https://www.bing.com/visualsearch'], ['Yandex', 'https://yandex.com/images/'],
];

export function nextSteps(item, act) {
  const told = h('div', { class: 'small', role: 'status' });
  const fetchReport = async kind => {
    told.textContent = '';
    try {
      save(await api.report(item, kind, share.value), `${item.name}-report.${kind}`);
    } catch (error) {
      if (error instanceof api.Problem && error.status === 404) told.replaceChildren(words.forgotten, ' ', button(words.judgeAgain, () => act.again(item)));
      else told.textContent = error instanceof api.Problem ? error.message : words.away;
    }
  };
  const reports = Object.entries(words.formats).map(([kind, text]) => button(text, () => fetchReport(kind), kind === 'html' ? 'primary' : ''));
  const links = SEARCHES.map(([name, href]) => h('a', { href, target: '_blank', rel: 'noopener noreferrer' }, name));
  return h('section', { class: 'panel next' }, h('h3', {}, words.next),
    h('h4', {}, words.report), notes(item), h('p', { class: 'row' }, reports),
    h('h4', {}, words.passOn), h('p', { class: 'row' }, button(words.copy, () => copy(item.view.summary, told)), button(words.print, () => print())), told,
    wrong(item),
    h('h4', {}, words.search), h('p', { class: 'small' }, words.searchHelp), h('p', { class: 'row links' }, links),
    h('p', { class: 'row' }, button(words.remove, () => act.remove(item))));
}

// a line for a standing set of known files (unmask regress), made here: nothing is sent
function wrong({ name, report }) {
  const { verdict, media, model } = report;
  const line = expected => `${JSON.stringify({
    sha256: media.sha256, expected, path: name, note: '',
    before: { label: verdict.label, probability_fake: verdict.probability_fake, model: model.sha256 },
  })}\n`;
  const keep = expected => save(new Blob([line(expected)], { type: 'application/jsonl' }), `${name}-known.jsonl`);
  return h('details', {}, h('summary', {}, words.wrong), h('p', { class: 'small' }, words.wrongHelp),
    h('p', { class: 'row' }, button(words.reallyReal, () => keep('real')), button(words.reallyFake, () => keep('fake'))));
}

// a person's own words, for the reports
function notes(item) {
  const name = h('input', { type: 'text', maxlength: 200, autocomplete: 'off', value: item.caseName ?? '' });
  const text = h('textarea', { rows: 3, maxlength: 10_000 }, item.notes ?? '');
  name.addEventListener('input', () => { item.caseName = name.value; });
  text.addEventListener('input', () => { item.notes = text.value; });
  return h('details', { open: Boolean(item.caseName || item.notes) }, h('summary', {}, words.addNotes),
    h('div', { class: 'notes' }, h('label', {}, words.caseName, name), h('label', {}, words.notes, text)));
}

// the report's pictures, each fetched once
export class Pictures {
  #urls = new Map();
  constructor(id) { this.id = id; }

  load(name) {
    if (!this.#urls.has(name)) this.#urls.set(name, api.blob(`/v1/scans/${this.id}/pictures/${name}`).then(data => URL.createObjectURL(data)));
    return this.#urls.get(name);
  }

  portrait({ file, alt }) {
    const image = h('img', { alt, class: 'portrait', width: 256, height: 256 });
    this.load(file).then(url => { image.src = url; }, () => image.classList.add('missing'));
    return image;
  }

  forget() {
    for (const url of this.#urls.values()) url.then(URL.revokeObjectURL, () => {});
    this.#urls.clear();
  }
}
