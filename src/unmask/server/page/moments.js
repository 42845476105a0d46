// A report by time: which faces were judged when, and where a face is between two looks at it.
export class Moments {
  constructor(report) {
    this.video = report.media.kind === 'video';
    this.duration = report.media.duration_s ?? 0;
    this.people = report.people;
    const byFrame = new Map();
    for (const person of report.people) {
      for (const face of person.faces) {
        if (!byFrame.has(face.frame)) byFrame.set(face.frame, { frame: face.frame, time: face.time_s, faces: [] });
        byFrame.get(face.frame).faces.push({ ...face, person });
      }
    }
    this.all = [...byFrame.values()].sort((a, b) => a.time - b.time);
    const fps = report.media.fps ? report.media.fps.split('/').reduce((a, b) => a / b) : 25;
    this.half = 0.5 / (fps || 25);
    const steps = this.all.slice(1).map((moment, i) => moment.time - this.all[i].time).sort((a, b) => a - b);
    this.reach = 1.6 * (steps[Math.floor(steps.length * 0.75)] ?? 0);
  }

  nearest(time) {
    return this.all.reduce((best, moment) => (!best || Math.abs(moment.time - time) < Math.abs(best.time - time) ? moment : best), null);
  }

  // the moment itself if one was judged now; else boxes between the looks before and after
  at(time) {
    if (!this.video) return { moment: this.all[0] ?? null, exact: true, faces: this.all[0]?.faces ?? [] };
    const near = this.nearest(time);
    if (near && Math.abs(near.time - time) <= 2.1 * this.half) return { moment: near, exact: true, faces: near.faces };
    const faces = [];
    for (const person of this.people) {
      const after = person.faces.findIndex(face => face.time_s > time);
      const [a, b] = [person.faces[after - 1], person.faces[after]];
      if (after < 1 || b.time_s - a.time_s > this.reach) continue;
      const part = (time - a.time_s) / (b.time_s - a.time_s);
      const nearer = part < 0.5 ? a : b;
      faces.push({ ...nearer, person, heatmap: null, box: a.box.map((v, i) => v + part * (b.box[i] - v)) });
    }
    return { moment: null, exact: false, faces };
  }

  step(time, by) {
    if (by < 0) return this.all.findLast(moment => moment.time < time - 2.1 * this.half) ?? this.all[0];
    return this.all.find(moment => moment.time > time + 2.1 * this.half) ?? this.all.at(-1);
  }

  // of all heat maps that were tested
  get grades() {
    return this.people.flatMap(person => person.exhibits ?? []).map(exhibit => exhibit.heatmap_grade).filter(Boolean);
  }

  // a face whose map was tested: the exhibit's grade
  grade(face) {
    return this.#exhibit(face)?.heatmap_grade ?? null;
  }

  // how often such maps point at a forged part, where that is known
  pointing(face) {
    return this.#exhibit(face)?.heatmap_pointing ?? null;
  }

  // only a map that passed its test, or of a kind that is known to point at forged parts
  outlines(face) {
    return Boolean(this.grade(face)?.faithful || this.pointing(face));
  }

  #exhibit(face) {
    return face.person.exhibits?.find(exhibit => exhibit.frame === face.frame && exhibit.heatmap_grade);
  }
}
