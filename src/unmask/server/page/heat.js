// A heat map as an outline around the quarter of a face that speaks most for a fake (as in the reports).
const STRONGEST = 0.25;
const SIDE = 48; // the map is enlarged to so many cells before its edge is followed

// (row, column) => value of the map at any place, between its cells too
function enlarged(map) {
  const [height, width] = [map.length, map[0].length];
  const value = (y, x) => map[Math.min(Math.max(y, 0), height - 1)][Math.min(Math.max(x, 0), width - 1)];
  return (row, column) => {
    const y = (row + 0.5) * height / SIDE - 0.5;
    const x = (column + 0.5) * width / SIDE - 0.5;
    const [top, left] = [Math.floor(y), Math.floor(x)];
    const mix = (a, b, part) => a + part * (b - a);
    return mix(mix(value(top, left), value(top, left + 1), x - left), mix(value(top + 1, left), value(top + 1, left + 1), x - left), y - top);
  };
}

// the edge of the strongest places as lines [x0, y0, x1, y1], each from 0 to 1, by marching squares
function edge(map) {
  const at = enlarged(map);
  const cells = Array.from({ length: SIDE * SIDE }, (_, i) => at(Math.floor(i / SIDE), i % SIDE));
  const sorted = [...cells].sort((a, b) => b - a);
  const least = sorted[Math.floor(STRONGEST * cells.length)];
  const beyond = 2 * sorted.at(-1) - least; // around the map, so that every line is closed
  const value = (row, column) => (row < 0 || column < 0 || row >= SIDE || column >= SIDE ? beyond : cells[row * SIDE + column]);
  const lines = [];
  for (let row = -1; row < SIDE; row += 1) {
    for (let column = -1; column < SIDE; column += 1) {
      const corners = [[column, row], [column + 1, row], [column + 1, row + 1], [column, row + 1]];
      const values = corners.map(([x, y]) => value(y, x) - least);
      const crossings = corners.flatMap(([x, y], i) => {
        const [[nextX, nextY], here, next] = [corners[(i + 1) % 4], values[i], values[(i + 1) % 4]];
        if (here >= 0 === next >= 0) return [];
        const part = here / (here - next);
        return [[x + part * (nextX - x), y + part * (nextY - y)]];
      });
      for (let i = 0; i + 1 < crossings.length; i += 2) lines.push([...crossings[i], ...crossings[i + 1]]);
    }
  }
  return lines.map(line => line.map(place => Math.min(Math.max((place + 0.5) / SIDE, 0), 1)));
}

const edges = new WeakMap();

// corners: where the map lies, clockwise from its upper left, in the units of the context; pixel: how many of them are one pixel of the screen
export function drawHeat(context, face, pixel) {
  if (!face.heatmap || !face.corners) return;
  if (!edges.has(face.heatmap)) edges.set(face.heatmap, edge(face.heatmap));
  const [a, b, , d] = face.corners;
  const place = (x, y) => [a[0] + x * (b[0] - a[0]) + y * (d[0] - a[0]), a[1] + x * (b[1] - a[1]) + y * (d[1] - a[1])];
  context.beginPath();
  for (const [x0, y0, x1, y1] of edges.get(face.heatmap)) {
    context.moveTo(...place(x0, y0));
    context.lineTo(...place(x1, y1));
  }
  context.lineCap = 'round';
  for (const [colour, width] of [['rgba(0,0,0,.7)', 4.5], ['#fff', 2]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * pixel;
    context.stroke();
  }
}
