// The files of this visit, each from its choice to its verdict. Nothing of it outlives the tab.
import * as api from './api.js';
import { words } from './strings.js';

const AT_ONCE = 2;
const pause = (seconds, signal) => new Promise(resolve => {
  const timer = setTimeout(resolve, seconds * 1000);
  signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
});

// a file, or a link: text. Of a link the browser has no file: url is null
export class Item {
  constructor(given, number) {
    const [file, link] = given instanceof File ? [given, null] : [null, given];
    Object.assign(this, { file, link, number, state: 'waiting', note: words.inLine, share: 0, scores: [], progress: null });
    this.url = file && URL.createObjectURL(file);
    this.control = new AbortController();
  }

  get video() { return this.file?.type.startsWith('video/') || this.report?.media.kind === 'video'; }
  get name() { return this.report?.media.path ?? (this.file ? this.file.name || 'pasted' : this.link); }
}

export class Visit extends EventTarget {
  items = [];
  limits = null;
  options = () => ({});
  #numbers = 0;
  #running = 0;

  add(files) {
    const added = [...files].map(file => new Item(file, ++this.#numbers));
    this.items.push(...added); // listed in the order in which they are judged
    for (const item of added) this.#tell(item, 'added');
    this.#next();
    return added[0];
  }

  remove(item) {
    this.stop(item);
    this.items = this.items.filter(other => other !== item);
    if (item.url) URL.revokeObjectURL(item.url);
    this.#tell(item, 'removed');
  }

  stop(item) {
    item.control.abort();
    if (item.id) api.forget(item.id);
    item.id = null;
  }

  again(item) {
    this.stop(item);
    item.control = new AbortController();
    this.#set(item, { state: 'waiting', note: words.inLine, share: 0, scores: [], progress: null, report: null, view: null, error: null });
    this.#next();
  }

  leave() { for (const item of this.items) if (item.id) api.forget(item.id); }

  #tell(item, what) { this.dispatchEvent(new CustomEvent('change', { detail: { item, what } })); }
  #set(item, values, what = 'changed') { Object.assign(item, values); this.#tell(item, what); }

  #next() {
    const waiting = this.items.filter(item => item.state === 'waiting').sort((a, b) => a.number - b.number);
    while (this.#running < AT_ONCE && waiting.length) {
      const item = waiting.shift();
      this.#running += 1;
      item.state = 'uploading';
      this.#judge(item).finally(() => { this.#running -= 1; this.#next(); });
    }
  }

  async #judge(item) {
    const { signal } = item.control;
    for (let wait = 1; !signal.aborted;) {
      try {
        this.#check(item);
        if (!item.id) await this.#upload(item, signal);
        await this.#follow(item, signal);
        return;
      } catch (error) {
        if (signal.aborted) break;
        if (error instanceof api.Problem && error.status === 404 && item.id) {
          this.#set(item, { id: null, note: words.again }); // the server was restarted, or took too long to be asked
        } else if (error instanceof api.Problem && (error.status === 429 || error.status === 503)) {
          wait = Math.min(error.retry || 2, 20);
          this.#set(item, { note: words.busy(wait), share: 0 });
          await pause(wait, signal);
        } else if (error instanceof TypeError) {
          this.#set(item, { note: words.gone });
          this.#tell(item, 'away');
          await pause(wait, signal);
          wait = Math.min(wait * 1.6, 8);
        } else {
          this.#set(item, { state: 'failed', error: this.#reason(error) }, 'ended');
          return;
        }
      }
    }
    if (signal === item.control.signal) this.#set(item, { state: 'failed', error: { kind: 'stopped', message: words.stopped } }, 'ended');
  }

  #check(item) {
    if (item.link) return;
    const most = this.limits?.upload_bytes;
    if (!item.file.size) throw new api.Problem(422, 'empty', words.emptyFile);
    if (most && item.file.size > most) {
      throw new api.Problem(413, 'upload_too_large', words.tooLarge(words.megabytes(item.file.size), words.megabytes(most)));
    }
  }

  #reason(error) {
    if (!(error instanceof api.Problem)) { console.error(error); return { kind: 'internal', message: String(error) }; }
    return { kind: error.kind, message: error.kind === 'no_key' ? words.noKey : error.message };
  }

  async #upload(item, signal) {
    this.#set(item, { state: 'uploading', share: 0, note: item.link ? words.fetching : words.uploading(0) });
    const scan = await api.send(item.file ?? item.link, this.options(), share => {
      if (item.file) this.#set(item, { share, note: share < 1 ? words.uploading(share) : words.uploaded });
    }, signal);
    this.#set(item, { id: scan.id, state: 'judging', note: words.queued(scan.position), share: 0, scores: [] });
  }

  async #follow(item, signal) {
    for await (const { name, data } of api.events(item.id, signal)) {
      if (name === 'progress' || name === 'waiting') this.#progress(item, data);
      if (name === 'scores') this.#set(item, { scores: [...item.scores.slice(0, data.from), ...data.scores] });
      if (name !== 'end') continue;
      if (data.error?.kind === 'stopping') { item.id = null; throw new TypeError('the server is stopping'); } // goes on when it is back
      if (data.status !== 'done') throw new api.Problem(422, data.error?.kind ?? data.status, data.error?.message ?? words.stopped);
    }
    const [scan, view] = await Promise.all([api.json(`/v1/scans/${item.id}`), api.json(`/v1/scans/${item.id}/view`)]);
    this.#set(item, { state: 'done', report: scan.report, view, share: 1, note: view.label_words, expiring: false }, 'ended');
    this.#expire(item, item.id);
  }

  // the results in the language that the page speaks now; one that the server no longer has stays as it is
  async translate() {
    await Promise.all(this.items.filter(item => item.state === 'done').map(async item => {
      const view = await api.json(`/v1/scans/${item.id}/view`).catch(() => item.view);
      Object.assign(item, { view, note: view.label_words });
    }));
  }

  // the server deletes results after a while: a warning comes before that, and a word when it has happened
  #expire(item, id) {
    const keep = this.limits?.keep_s ?? 600;
    const after = (seconds, expiring) => setTimeout(() => {
      if (item.id === id && item.state === 'done') this.#set(item, { expiring }, 'expiring');
    }, Math.min(seconds * 1000, 2 ** 31 - 1));
    after(keep - Math.min(120, keep / 4), 'soon');
    after(keep, 'gone');
  }

  #progress(item, data) {
    if (data.status === 'queued') { this.#set(item, { state: 'judging', note: words.queued(data.position), progress: null }); return; }
    if (!data.stage) return;
    const share = data.stage === 'looking' ? 0.85 * data.frames / data.frames_asked : { opening: 0.02, checking: 0.88, explaining: 0.94 }[data.stage];
    this.#set(item, { state: 'judging', progress: data, share, note: words.stages[data.stage] });
  }
}
