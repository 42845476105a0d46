// The picture or the player, with what was found drawn over it.
import { h } from './dom.js';
import { drawHeat } from './heat.js';
import { fixed } from './language.js';
import { words } from './strings.js';

export const MARKS = { fake: '▲', real: '●', inconclusive: '◆', not_applicable: '○' };
const colourOf = label => getComputedStyle(document.documentElement).getPropertyValue(`--stage-${label}`).trim();

export class Stage extends EventTarget {
  outlined = false; // whether the areas of tested heat maps are drawn

  // frames: the numbers of the frames that the server has as pictures; load: gives the address of one
  constructor(item, moments, media, frames, load) {
    super();
    Object.assign(this, { moments, media, load });
    this.pictured = moments.all.filter(moment => frames.includes(moment.frame));
    this.canvas = h('canvas', { class: 'overlay', 'aria-hidden': 'true' });
    // animations cannot be stopped at a frame, and of a link there is no file here
    const playable = moments.video && item.file && !item.file.type.startsWith('image/');
    this.view = playable
      ? h('video', { src: item.url, controls: true, playsinline: true, muted: true, preload: 'auto', 'aria-label': item.name })
      : h('img', { src: item.url, alt: item.name });
    if (!item.url && item.view.lead) load(item.view.lead.file).then(url => { this.view.src = url; }, () => {});
    this.player = this.view instanceof HTMLVideoElement;
    this.screen = h('div', { class: 'screen' }, this.view, this.canvas);
    this.element = h('div', { class: 'stage' }, this.screen);
    if (moments.video && !playable) { this.#fall(); return; }
    this.view.addEventListener(this.player ? 'loadeddata' : 'load', () => this.draw());
    this.view.addEventListener('error', () => this.#fall(), { once: true });
    if (this.player) {
      for (const name of ['seeking', 'seeked', 'pause', 'play']) this.view.addEventListener(name, () => this.#moved());
      this.view.addEventListener('timeupdate', () => this.#moved());
      const step = () => { if (this.element.isConnected) this.draw(); this.view.requestVideoFrameCallback?.(step); };
      this.view.requestVideoFrameCallback?.(step);
    }
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  // of the frame on show: players stand in the middle of frames, see seek
  get time() { return this.player ? Math.max(0, this.view.currentTime - this.moments.half) : this.still ?? 0; }

  seek(time) {
    if (this.player) {
      this.view.pause();
      this.view.currentTime = Math.min(time + this.moments.half, this.view.duration || Infinity); // the middle of the frame
    } else {
      this.#still(time);
    }
  }

  #moved() {
    this.draw();
    this.dispatchEvent(new Event('moved'));
  }

  #fall() {
    this.player = false;
    this.view = h('img', { alt: '' });
    this.view.addEventListener('load', () => this.#moved());
    const told = this.pictured.length ? words.cannotPlay : words.noFrames;
    this.screen.replaceChildren(this.view, this.canvas);
    this.element.append(h('p', { class: 'notice small' }, told));
    this.#still(this.still ?? 0);
  }

  // without a player: the nearest of the frames that the server kept
  async #still(time) {
    const near = this.pictured.reduce((best, moment) => (!best || Math.abs(moment.time - time) < Math.abs(best.time - time) ? moment : best), null);
    this.still = near?.time ?? time;
    if (near) this.view.src = await this.load(`frame${near.frame}.jpeg`).catch(() => '');
    this.#moved();
  }

  now() { return this.moments.at(this.time); }

  // the frame on show in its own size, as it is and with marks; null before there is one
  snapshot() {
    const [width, height] = this.player ? [this.view.videoWidth, this.view.videoHeight] : [this.view.naturalWidth, this.view.naturalHeight];
    if (!width) return null;
    const [picture, marked] = [0, 1].map(() => h('canvas', { width, height }));
    for (const canvas of [picture, marked]) canvas.getContext('2d').drawImage(this.view, 0, 0, width, height);
    const context = marked.getContext('2d');
    context.scale(width / this.media.width, height / this.media.height);
    this.#marks(context, Math.max(1, this.media.width / 1200));
    return { picture, marked };
  }

  draw() {
    const { width, height } = this.view.getBoundingClientRect();
    if (!width || (!this.player && !this.view.naturalWidth)) return;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const scale = Math.min(width / this.media.width, height / this.media.height) * ratio;
    const context = this.canvas.getContext('2d');
    context.translate((this.canvas.width - scale * this.media.width) / 2, (this.canvas.height - scale * this.media.height) / 2);
    context.scale(scale, scale);
    this.#marks(context, ratio / scale);
  }

  #marks(context, pixel) {
    const { exact, faces } = this.now();
    if (exact && this.outlined) for (const face of faces) this.#outline(context, face, pixel);
    for (const face of faces) this.#box(context, face, exact, pixel);
  }

  #outline(context, face, pixel) {
    if (this.moments.outlines(face)) drawHeat(context, face, pixel);
  }

  #box(context, face, exact, pixel) {
    const [x0, y0, x1, y1] = face.box;
    const label = face.person.verdict.label;
    context.setLineDash(exact ? [] : [7 * pixel, 5 * pixel]);
    for (const [colour, width] of [['rgba(0,0,0,.65)', 5], [colourOf(label), 2.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = width * pixel;
      context.strokeRect(x0, y0, x1 - x0, y1 - y0);
    }
    context.setLineDash([]);
    const p = face.probability_fake;
    const room = (x1 - x0) / pixel > 60; // in a crowd the numbers would hide the faces
    const text = `${MARKS[label]} ${face.person.id}${exact && room && p !== null ? ` · ${fixed(p, 2)}` : ''}`;
    context.font = `600 ${13 * pixel}px system-ui, sans-serif`;
    const wide = context.measureText(text).width + 12 * pixel;
    const top = Math.max(y0 - 22 * pixel, 0);
    context.fillStyle = 'rgba(12,16,22,.82)';
    context.beginPath();
    context.roundRect(x0 - 1 * pixel, top, wide, 20 * pixel, 4 * pixel);
    context.fill();
    context.fillStyle = colourOf(label);
    context.fillText(text, x0 + 5 * pixel, top + 14.5 * pixel);
  }

  // a face cut out of what is shown now
  cut(face, side = 112) {
    const canvas = h('canvas', { width: side, height: side, class: 'cut', 'aria-hidden': 'true' });
    const natural = this.player ? this.view.videoWidth : this.view.naturalWidth;
    if (!natural) return canvas;
    const k = natural / this.media.width;
    const [x0, y0, x1, y1] = face.box;
    const size = 1.25 * Math.max(x1 - x0, y1 - y0);
    const [x, y] = [(x0 + x1 - size) / 2, (y0 + y1 - size) / 2];
    const context = canvas.getContext('2d');
    context.drawImage(this.view, x * k, y * k, size * k, size * k, 0, 0, side, side);
    context.scale(side / size, side / size);
    context.translate(-x, -y);
    if (this.outlined) this.#outline(context, face, size / side);
    return canvas;
  }
}
