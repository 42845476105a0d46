// What became of one file, from its upload to its evidence.
import { nextSteps, Pictures } from './next.js';
import { h, s, table } from './dom.js';
import { lookCloser } from './closer.js';
import { Moments } from './moments.js';
import { faceSheet, MOST_FACES } from './sheet.js';
import { MARKS, Stage } from './stage.js';
import { baseRate } from './prevalence.js';
import { words } from './strings.js';
import { Timeline } from './timeline.js';

const SHOWN_LANES = 8;

export const pill = (label, text, small) => h('span', { class: `pill ${label}${small ? ' small' : ''}` }, h('span', { 'aria-hidden': 'true' }, MARKS[label] ?? '!'), text);
const button = (text, onclick, kind = '') => h('button', { type: 'button', class: kind, onclick }, text);

export function waiting(item, act) {
  const bar = h('div', { class: 'progress', role: 'progressbar', 'aria-label': item.name, 'aria-valuemin': 0, 'aria-valuemax': 100 }, h('div', {}));
  const note = h('p', { class: 'doing' });
  const detail = h('p', { class: 'soft small' });
  const dots = s('svg', { viewBox: '0 0 600 90', preserveAspectRatio: 'none', class: 'first', 'aria-hidden': 'true' });
  const caption = h('p', { class: 'soft small', hidden: true }, words.firstScores);
  const picture = !item.url ? null : item.video
    ? h('video', { src: `${item.url}#t=0.1`, muted: true, preload: 'metadata', 'aria-hidden': 'true', tabindex: -1 })
    : h('img', { src: item.url, alt: '' });
  const element = h('div', { class: 'panel judging' },
    h('div', { class: 'peek' }, picture),
    h('div', {}, h('h2', { class: 'name' }, item.name), note, bar, detail, dots, caption, h('p', {}, button(words.cancel, () => act.stop(item)))));
  const update = () => {
    note.textContent = item.note;
    const share = Math.round(100 * item.share);
    bar.setAttribute('aria-valuenow', share);
    bar.setAttribute('aria-valuetext', item.note);
    bar.firstChild.style.width = `${share}%`;
    const { progress } = item;
    detail.textContent = progress ? [progress.frames_asked > 1 && words.frames(progress.frames, progress.frames_asked), words.faces(progress.faces)].filter(Boolean).join(' · ') : '';
    const last = Math.max(1, ...item.scores.map(([time]) => time));
    caption.hidden = !item.scores.length;
    dots.toggleAttribute('hidden', !item.scores.length);
    dots.replaceChildren(...item.scores.map(([time, p]) => s('circle', { class: 'dot', cx: 8 + 584 * time / last, cy: 84 - 78 * p, r: 4 })));
  };
  update();
  return { element, update };
}

export function failed(item, act) {
  const { kind, message } = item.error;
  return h('div', { class: 'panel failed', role: 'group', 'aria-labelledby': 'failed-title' },
    h('h2', { id: 'failed-title' }, words.failedTitle(item.name)),
    h('p', {}, message[0].toUpperCase() + message.slice(1) + (/[.!?]$/.test(message) ? '' : '.')),
    words.advice[kind] && h('p', { class: 'soft' }, words.advice[kind]),
    h('p', { class: 'row' }, button(words.retry, () => act.again(item), 'primary'), button(words.remove, () => act.remove(item))));
}

export function result(item, act) {
  const { report, view } = item;
  const pictures = new Pictures(item.id);
  const people = [...report.people].sort((a, b) => (b.verdict.probability_fake ?? -1) - (a.verdict.probability_fake ?? -1));
  const moments = new Moments(report);
  const evidence = moments.all.length || moments.video ? new Evidence(item, moments, people, view, pictures) : null;
  const element = h('article', { class: 'done' },
    item.expiring && expiry(item, act), verdict(item), view.contradictions.map(text => h('p', { class: 'warn', role: 'note' }, h('strong', {}, words.contradiction), ' ', text)),
    otherFindings(view),
    evidence?.element ?? (item.url && h('section', { class: 'panel' }, h('div', { class: 'stage' }, h('img', { src: item.url, alt: item.name })))),
    (report.people.length > 1 || (report.people.length === 1 && moments.video)) && peopleCards(item, people, evidence, pictures),
    h('div', { class: 'two' },
      h('section', { class: 'panel' }, h('h3', {}, words.means), h('p', {}, view.means)),
      h('section', { class: 'panel' }, h('h3', {}, words.meansNot), h('p', {}, view.means_not))),
    sureness(view), provenance(view), nextSteps(item, act));
  return { element, leave: () => pictures.forget() };
}

// a word before the server deletes the result, and after
function expiry(item, act) {
  const gone = item.expiring === 'gone';
  return h('p', { class: 'warn', role: 'status' }, gone ? words.forgotten : words.expiring, ' ', gone && button(words.judgeAgain, () => act.again(item)));
}

function otherFindings(view) {
  if (view.findings.length === 0) return false;
  const items = view.findings.map(({ analyzer, words: text }) => h('li', {}, h('strong', {}, `${analyzer}: `), text));
  return h('section', { class: 'panel' }, h('h3', {}, words.otherFindings), h('ul', {}, items));
}

function verdict({ name, view, report }) {
  const p = report.verdict.probability_fake;
  return h('header', { class: `verdict ${view.label}` },
    h('p', { class: 'soft small file-name' }, name),
    h('p', {}, pill(view.label, view.label_words)),
    h('h2', { id: 'headline' }, view.headline),
    h('p', {}, h('strong', {}, `${words.why}: `), view.reasons.join(' ')),
    p === null ? h('p', {}, words.noProbability) : [
      scale(p, view),
      h('p', { class: 'small' }, h('strong', {}, `${words.probability}: ${view.percent}`), ` — ${view.base_rates} ${view.sureness} ${view.prevalence}`),
      baseRate(p)],
    h('p', { class: 'soft small' }, h('strong', {}, `${words.notCovered}: `), view.not_covered));
}

function scale(p, view) {
  const [real, fake] = [view.thresholds.real, view.thresholds.fake];
  const x = value => 1000 * value;
  const zone = (name, from, to) => s('rect', { class: `zone ${name}`, x: x(from), width: x(to - from), y: 0, height: 14 });
  const needle = h('span', { class: 'needle' });
  needle.style.left = `${100 * p}%`;
  return h('div', { class: 'scale', role: 'img', 'aria-label': words.scale(view.percent, view.real_percent, view.fake_percent) },
    h('div', { class: 'ruler' }, s('svg', { viewBox: '0 0 1000 14', preserveAspectRatio: 'none' }, zone('real', 0, real), zone('inconclusive', real, fake), zone('fake', fake, 1)), needle),
    h('p', { class: 'zones small soft', 'aria-hidden': 'true' },
      h('span', {}, words.scaleReal(view.real_percent)), h('span', {}, words.scaleMiddle), h('span', {}, words.scaleFake(view.fake_percent))));
}

class Evidence {
  constructor(item, moments, people, view, pictures) {
    this.moments = moments;
    this.stage = new Stage(item, moments, item.report.media, view.frames ?? [], name => pictures.load(name));
    this.faces = h('ul', { class: 'faces', 'aria-label': words.facesHere });
    this.told = h('p', { class: 'small soft' });
    this.outline = h('input', { type: 'checkbox', id: 'heat', 'aria-describedby': 'heat-told' });
    this.told.id = 'heat-told';
    this.outline.addEventListener('change', () => { this.stage.outlined = this.outline.checked; this.stage.draw(); this.#list(); });
    const best = people.flatMap(person => person.faces.map(face => ({ ...face, person }))).find(face => moments.outlines(face));
    this.outlined = Boolean(best); // is there a map to be shown?
    this.stage.outlined = this.outline.checked = this.outlined;
    const lanes = view.people.map(({ id }) => people.find(person => person.id === id))
      .filter(person => person.faces.some(face => face.probability_fake !== null)).slice(0, SHOWN_LANES);
    if (moments.video && moments.all.length > 1 && lanes.length) {
      const limits = {
        fake: { p: view.thresholds.fake, words: words.limitFake(view.fake_percent) },
        real: { p: view.thresholds.real, words: words.limitReal(view.real_percent) },
      };
      const portraits = new Map(view.people.filter(person => person.faces.length).map(({ id, faces }) => [id, pictures.load(faces[0].picture.file)]));
      this.timeline = new Timeline(moments, limits, lanes, portraits);
      this.timeline.addEventListener('seek', event => this.stage.seek(event.detail));
    }
    this.stage.addEventListener('moved', () => this.#moved());
    this.stage.view.addEventListener(this.stage.player ? 'loadeddata' : 'load', () => this.#list());
    this.element = h('section', { class: 'panel evidence', 'aria-labelledby': 'evidence-title' },
      h('h3', { id: 'evidence-title' }, words.evidence), this.stage.element,
      h('p', { class: 'row tools' }, button(words.closer, () => this.#closer(item)), this.stage.player && button(words.fullScreen, () => this.stage.screen.requestFullscreen())),
      this.timeline && [this.timeline.element, h('p', { id: 'timeline-help', class: 'small soft' }, `${words.timelineHelp} ${words.legend}`)],
      best && h('p', { class: 'heat' }, this.outline, h('label', { for: 'heat' }, words.heat)), this.told, this.faces);
    this.told.textContent = moments.all.length ? '' : words.noFaceHere;
    const first = best ? best.time_s : strongest(people)?.time_s;
    if (moments.video && first !== undefined) {
      if (this.stage.player) this.stage.view.addEventListener('loadeddata', () => this.stage.seek(first), { once: true });
      this.stage.still = first; // where there is no player
      if (!this.stage.player) this.stage.seek(first);
    }
  }

  seek(time) { this.stage.seek(time); this.stage.element.scrollIntoView({ block: 'nearest' }); }

  #closer({ name, view }) {
    const both = this.stage.snapshot();
    if (!both) return;
    const { moment } = this.stage.now();
    const time = this.moments.video ? moment?.time ?? this.stage.time : null;
    const text = [time !== null && words.frameOf(name, time), view.summary].filter(Boolean).join('\n');
    const file = `${name.replace(/\.[^.]*$/, '')}${time === null ? '' : `-${time.toFixed(2)}s`}-unmask.png`;
    lookCloser({ ...both, name: file, title: time !== null ? words.frameOf(name, time) : name, text });
  }

  #moved() {
    this.timeline?.show(this.stage.time);
    if (!this.stage.player || this.stage.view.paused) this.#list();
  }

  #list() {
    const { exact, faces } = this.stage.now();
    const shown = exact ? faces.slice(0, 12) : [];
    const alone = this.moments.people.length === 1 || !this.moments.video; // the picture or the player shows it already
    this.faces.replaceChildren(...(alone ? [] : shown).map(face => {
      const p = face.probability_fake;
      const state = p === null ? words.unusable[face.quality?.unusable] ?? words.notJudged : words.percent(p);
      return h('li', {}, this.stage.cut(face), h('span', {}, pill(face.person.verdict.label, String(face.person.id), true), h('strong', {}, state), h('span', { class: 'soft small' }, face.quality ? words.pixels(face.quality.size_px) : '')));
    }));
    this.told.textContent = this.#words(exact, shown);
  }

  #words(exact, shown) {
    if (exact && !shown.length) return words.noFaceHere;
    if (shown.some(face => this.moments.grade(face)?.faithful)) return words.heatFaithful;
    const known = shown.map(face => this.moments.pointing(face)).find(Boolean);
    if (known) return words.heatPointing(known.faces, Math.round(100 * known.rate), Math.round(100 * known.middle));
    return this.moments.grades.length && !this.outlined ? words.heatUnfaithful : '';
  }
}

const strongest = people => people[0]?.faces.reduce((best, face) => ((face.probability_fake ?? -1) > (best?.probability_fake ?? -1) ? face : best), null);

function peopleCards(item, people, evidence, pictures) {
  const { view } = item;
  const cards = view.people.map(person => {
    const found = people.find(other => other.id === person.id);
    return h('li', { class: 'panel person' },
      person.faces.length === 0 && h('span', { class: 'portrait none', 'aria-hidden': 'true' }, MARKS[person.label]),
      h('div', {},
        h('h4', {}, words.person(person.id), ' ', pill(person.label, person.label_words, true), ' ', h('span', { class: 'soft' }, person.percent)),
        h('div', { class: 'looks' }, person.faces.map(face => look(face, evidence, pictures))),
        person.reasons.length > 0 && h('p', { class: 'small' }, `${words.sentence(person.reasons.join('; '))}`),
        person.seen && h('p', { class: 'small soft' }, words.sentence(person.seen)),
        person.segments.map(text => h('p', { class: 'small' }, text)),
        evidence?.moments.video && found && toVideo(item, found, evidence)));
  });
  const title = people.length > 1 ? words.people : words.faceOverTime;
  return h('section', { 'aria-labelledby': 'people-title' }, h('h3', { id: 'people-title' }, title), h('ul', { class: 'people' }, cards),
    view.others.length > 0 && table(words.others, view.others),
    view.unlisted > 0 && h('p', { class: 'soft' }, words.more(view.unlisted)));
}

// one of the strongest, the middle and the weakest of a person's faces
function look(face, evidence, pictures) {
  const caption = [face.role && words.sentence(face.role).slice(0, -1), face.role ? `${face.percent}, ${words.at(face.time_s)}` : face.percent];
  const picture = pictures.portrait(face.picture);
  const shown = evidence?.moments.video
    ? h('button', { type: 'button', class: 'look', onclick: () => evidence.seek(face.time_s), 'aria-label': `${words.showFrame}: ${caption.filter(Boolean).join(', ')}` }, picture)
    : picture;
  return h('figure', {}, shown, caption[0] && h('figcaption', { class: 'small soft' }, caption[0], h('br', {}), caption[1]));
}

// what a person's card has besides in a video: the way to their strongest frame, and all faces over time
function toVideo(item, person, evidence) {
  const sheet = h('div', {});
  const all = button(words.allFaces(Math.min(person.faces.length, MOST_FACES)), () => {
    all.disabled = true;
    faceSheet(sheet, item, person, evidence.moments, time => evidence.seek(time));
  });
  return [h('p', { class: 'row' }, evidence.moments.people.length > 1 && button(words.show(person.id), () => evidence.seek(strongest([person]).time_s)),
    evidence.stage.player && person.faces.length > 3 && all), sheet];
}

function sureness(view) {
  const tested = view.people.filter(person => person.stability.length);
  return h('section', { class: 'panel' }, h('h3', {}, words.sure), view.sureness && h('p', {}, view.sureness),
    tested.map(person => [h('h4', {}, `${words.person(person.id)}: ${words.stability}`),
      h('p', { class: 'small' }, person.unstable ? words.unstable : words.stable),
      table(words.changes, person.stability.map(([change, p, mark, label]) => [change, p, `${mark} ${label}`]))]),
    h('details', {}, h('summary', {}, words.limits), h('p', { class: 'small' }, view.method.intended_use), h('ul', { class: 'small' }, view.method.limits.map(text => h('li', {}, text)))),
    view.method.rates.length > 0 && h('details', {}, h('summary', {}, words.errors), table(words.rates, view.method.rates)));
}

function provenance(view) {
  const rows = [...view.credentials.rows, ...view.said, ...view.traces];
  return h('section', { class: 'panel' }, h('h3', {}, words.provenance), h('p', { class: 'small soft' }, words.claims),
    view.ai_generated && h('p', {}, h('strong', {}, words.saysGenerated)),
    h('p', { class: 'small' }, h('strong', {}, `${words.credentials}. `), view.credentials.words),
    view.credentials.chain.length > 0 && h('ol', { class: 'chain small' }, view.credentials.chain.map(step => h('li', {}, step))), rows.length > 0 && table(null, rows),
    h('details', {}, h('summary', {}, words.file), table(null, [...view.facts, ...view.notes.map(text => [words.note, text]), [words.model, view.method.model],
      ...view.digests.map(([name, digest]) => [name, h('code', {}, digest)])])));
}
