// All faces of a person in a video, side by side, cut out of the file that the browser has.
import { h } from './dom.js';
import { words } from './strings.js';

export const MOST_FACES = 48;
const SIDE = 96;

const happens = (target, name) => new Promise((done, fail) => {
  target.addEventListener(name, done, { once: true });
  target.addEventListener('error', fail, { once: true });
});

// seek: shows a time in the player
export async function faceSheet(place, item, person, moments, seek) {
  const step = Math.max(1, person.faces.length / MOST_FACES);
  const faces = Array.from({ length: Math.min(person.faces.length, MOST_FACES) }, (_, i) => person.faces[Math.floor(i * step)]);
  const list = h('ul', { class: 'sheet', 'aria-label': words.facesOf(person.id) });
  place.replaceChildren(list);
  const video = h('video', { src: item.url, muted: true, preload: 'auto' });
  try {
    await happens(video, 'loadeddata');
    for (const face of faces) {
      if (!place.isConnected) return;
      const arrived = happens(video, 'seeked');
      video.currentTime = face.time_s + moments.half; // the middle of the frame
      await arrived;
      list.append(h('li', {}, h('button', { type: 'button', class: 'look', onclick: () => seek(face.time_s), 'aria-label': words.dot(person.id, face.time_s, said(face)) }, cut(video, face, item.report.media)),
        h('span', { class: 'small soft' }, words.at(face.time_s), h('br', {}), said(face))));
    }
  } catch {
    place.replaceChildren(h('p', { class: 'small soft' }, words.noSheet));
  }
}

const said = face => (face.probability_fake === null ? words.notJudged : words.percent(face.probability_fake));

function cut(video, face, media) {
  const canvas = h('canvas', { width: SIDE, height: SIDE, class: 'cut' });
  const scale = video.videoWidth / media.width;
  const [x0, y0, x1, y1] = face.box;
  const size = 1.25 * Math.max(x1 - x0, y1 - y0);
  const [x, y] = [(x0 + x1 - size) / 2, (y0 + y1 - size) / 2];
  canvas.getContext('2d').drawImage(video, x * scale, y * scale, size * scale, size * scale, 0, 0, SIDE, SIDE);
  return canvas;
}
