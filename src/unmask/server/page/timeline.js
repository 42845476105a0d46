// The probability over time, a lane for each person; a slider for the keyboard.
import { h, s } from './dom.js';
import { MARKS } from './stage.js';
import { fixed } from './language.js';
import { words } from './strings.js';

const [LEFT, FOOT] = [92, 24];
const [NARROW, ROOM_FOR_WORDS] = [480, 84]; // on a narrow screen the limits have no words

export class Timeline extends EventTarget {
  // thresholds: {fake: {p, words}, real: …}; portraits: addresses of pictures by the number of the person, as they come
  constructor(moments, thresholds, people, portraits) {
    super();
    Object.assign(this, { moments, thresholds, people, portraits, time: 0, width: 720 });
    this.lane = people.length > 3 ? 54 : 84;
    this.height = people.length * this.lane + FOOT;
    this.head = s('line', { class: 'playhead', y1: 0, y2: this.height - FOOT });
    this.svg = s('svg', { height: this.height, 'aria-hidden': 'true' });
    this.element = h('div', {
      class: 'timeline', role: 'slider', tabindex: 0, 'aria-label': words.timeline, 'aria-valuemin': 0,
      'aria-valuemax': this.duration.toFixed(1), 'aria-valuenow': 0, 'aria-describedby': 'timeline-help',
      onclick: event => this.#click(event), onkeydown: event => this.#key(event),
    }, this.svg);
    new ResizeObserver(([{ contentRect }]) => {
      if (contentRect.width && contentRect.width !== this.width) { this.width = contentRect.width; this.#draw(); }
    }).observe(this.element);
    this.#draw();
    for (const portrait of portraits.values()) portrait.then(() => this.#draw(), () => {});
  }

  #draw() {
    this.svg.setAttribute('viewBox', `0 0 ${this.width} ${this.height}`);
    this.svg.replaceChildren(
      s('defs', {}, s('pattern', { id: 'hatch', width: 8, height: 8, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
        s('line', { class: 'hatch', x1: 0, y1: 0, x2: 0, y2: 8 }))),
      ...this.people.map((person, row) => this.#lane(person, row * this.lane)), ...this.#ticks(), this.head);
    this.show(this.time);
  }

  get right() { return this.width < NARROW ? 10 : ROOM_FOR_WORDS; }
  get duration() { return this.moments.duration || this.moments.all.at(-1)?.time || 1; }
  #x(time) { return LEFT + (this.width - LEFT - this.right) * Math.min(Math.max(time / this.duration, 0), 1); }

  #lane(person, top) {
    const y = p => top + 7 + (this.lane - 14) * (1 - p);
    const spots = person.faces.filter(face => face.probability_fake !== null);
    const course = person.timeline ?? [];
    const label = person.verdict.label;
    const points = key => course.map(m => `${this.#x(m.time_s).toFixed(1)},${y(key(m)).toFixed(1)}`);
    const segments = (person.segments ?? []).filter(segment => segment.faces < spots.length);
    const right = this.width - this.right;
    const picture = s('image', { x: 36, y: top + 8, width: 36, height: 36, preserveAspectRatio: 'xMidYMid slice' });
    this.portraits.get(person.id)?.then(url => picture.setAttribute('href', url), () => {});
    return s('g', {},
      s('text', { class: `who ${label}`, x: 0, y: top + 31 }, `${MARKS[label]} ${person.id}`), picture,
      segments.map(segment => s('rect', { class: 'segment', x: this.#x(segment.start_s), y: y(1), height: y(0) - y(1), width: Math.max(this.#x(segment.end_s) - this.#x(segment.start_s), 2), fill: 'url(#hatch)' })),
      [0, 1].map(p => [s('line', { class: 'rule', x1: LEFT, x2: right, y1: y(p), y2: y(p) }),
        s('text', { class: 'tick', x: LEFT - 6, y: y(p) + 4, 'text-anchor': 'end' }, p ? '1' : '0')]),
      Object.entries(this.thresholds).map(([name, limit]) => [s('line', { class: `limit ${name}`, x1: LEFT, x2: right, y1: y(limit.p), y2: y(limit.p) }),
        this.width >= NARROW && s('text', { class: `tick ${name}`, x: right + 5, y: y(limit.p) + 4 }, limit.words)]),
      course.length > 1 && s('polygon', { class: 'band', points: [...points(m => m.ci95[1]), ...points(m => m.ci95[0]).reverse()].join(' ') }),
      course.length > 1 && s('polyline', { class: 'course', points: points(m => m.probability_fake).join(' ') }),
      spots.map(face => s('circle', { class: 'dot', cx: this.#x(face.time_s), cy: y(face.probability_fake), r: 4 },
        s('title', {}, words.dot(person.id, face.time_s, words.percent(face.probability_fake))))));
  }

  #ticks() {
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600].find(size => this.duration / size <= this.width / 80) ?? 3600;
    return Array.from({ length: Math.floor(this.duration / step) + 1 }, (_, i) => +(i * step).toFixed(3))
      .map(time => s('text', { class: 'tick', x: this.#x(time), y: this.height - 6, 'text-anchor': 'middle' }, words.tick(time)));
  }

  #go(moment) { if (moment) this.dispatchEvent(new CustomEvent('seek', { detail: moment.time })); }

  #click(event) {
    const box = this.svg.getBoundingClientRect();
    const at = (event.clientX - box.left) / box.width * this.width;
    this.#go(this.moments.nearest((at - LEFT) / (this.width - LEFT - this.right) * this.duration));
  }

  #key(event) {
    const to = {
      ArrowLeft: () => this.moments.step(this.time, -1), ArrowDown: () => this.moments.step(this.time, -1),
      ArrowRight: () => this.moments.step(this.time, 1), ArrowUp: () => this.moments.step(this.time, 1),
      Home: () => this.moments.all[0], End: () => this.moments.all.at(-1),
    }[event.key];
    if (!to) return;
    event.preventDefault();
    this.#go(to());
  }

  show(time) {
    this.time = time;
    this.head.setAttribute('x1', this.#x(time));
    this.head.setAttribute('x2', this.#x(time));
    const faces = this.moments.at(time).faces;
    const said = faces.map(face => words.faceHere(face.person.id, face.probability_fake === null ? words.notJudged : fixed(face.probability_fake, 2))).join('; ');
    this.element.setAttribute('aria-valuenow', time.toFixed(2));
    this.element.setAttribute('aria-valuetext', words.moment(time, said || words.noFaceHere));
  }
}
