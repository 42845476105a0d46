// Files made in the browser: a PNG with words in it, and a ZIP of reports.
const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

// numbers as bytes: pairs of [value, size]; a ZIP is little-endian, a PNG big-endian
function numbers(little, ...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [, size]) => sum + size, 0)));
  let at = 0;
  for (const [value, size] of fields) {
    if (size === 2) view.setUint16(at, value, little);
    else view.setUint32(at, value, little);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

// a PNG with a text (iTXt, PNG section 11.3.3.4) behind its first chunk
export async function withText(png, keyword, text) {
  const bytes = new Uint8Array(await png.arrayBuffer());
  const encoder = new TextEncoder();
  const body = encoder.encode(`iTXt${keyword}\0\0\0\0\0${text}`); // neither compressed, nor in a language
  const chunk = [numbers(false, [body.length - 4, 4]), body, numbers(false, [crc32(body), 4])];
  const headerEnd = 8 + 25; // signature and IHDR
  return new Blob([bytes.slice(0, headerEnd), ...chunk, bytes.slice(headerEnd)], { type: 'image/png' });
}

// a ZIP whose members are stored as they are (APPNOTE.TXT, sections 4.3.7 to 4.3.16); files: [name, Uint8Array]
export function zip(files) {
  const encoder = new TextEncoder();
  const [parts, entries] = [[], []];
  let offset = 0;
  for (const [path, data] of files) {
    const name = encoder.encode(path);
    // UTF-8 names; no compression; 1 January 1980
    const shared = [[20, 2], [0x0800, 2], [0, 2], [0, 2], [33, 2], [crc32(data), 4], [data.length, 4], [data.length, 4], [name.length, 2], [0, 2]];
    const local = numbers(true, [0x04034b50, 4], ...shared);
    parts.push(local, name, data);
    entries.push(numbers(true, [0x02014b50, 4], [20, 2], ...shared, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]), name);
    offset += local.length + name.length + data.length;
  }
  const size = entries.reduce((sum, entry) => sum + entry.length, 0);
  const end = numbers(true, [0x06054b50, 4], [0, 2], [0, 2], [files.length, 2], [files.length, 2], [size, 4], [offset, 4], [0, 2]);
  return new Blob([...parts, ...entries, end], { type: 'application/zip' });
}
