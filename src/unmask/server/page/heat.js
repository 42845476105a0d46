// A class-activation map as colours: dark to bright, from the face's least to its most (as in the reports).
const STOPS = [[0, 0, 4], [40, 11, 84], [101, 21, 110], [159, 42, 99], [212, 72, 66], [245, 125, 21], [250, 193, 39], [252, 255, 164]];

function colour(strength) {
  const at = strength * (STOPS.length - 1);
  const low = Math.min(Math.floor(at), STOPS.length - 2);
  return STOPS[low].map((v, i) => v + (at - low) * (STOPS[low + 1][i] - v));
}

function picture(map) {
  const [height, width] = [map.length, map[0].length];
  const flat = map.flat();
  const [low, high] = [Math.min(...flat), Math.max(...flat)];
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  const data = context.createImageData(width, height);
  flat.forEach((value, i) => {
    const strength = (value - low) / Math.max(high - low, 1e-6);
    data.data.set([...colour(strength), 90 + 165 * strength], 4 * i);
  });
  context.putImageData(data, 0, 0);
  return canvas;
}

// corners: where the map lies, clockwise from its upper left, in the units of the context
export function drawHeat(context, face, opacity) {
  if (!face.heatmap || !face.corners || !opacity) return;
  const map = picture(face.heatmap);
  const [a, b, , d] = face.corners;
  context.save();
  context.beginPath();
  face.corners.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.clip();
  context.transform((b[0] - a[0]) / map.width, (b[1] - a[1]) / map.width, (d[0] - a[0]) / map.height, (d[1] - a[1]) / map.height, a[0], a[1]);
  context.globalAlpha = opacity;
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = 'high';
  context.drawImage(map, 0, 0);
  context.restore();
}
