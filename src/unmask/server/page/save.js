// What people take away: files that they download, text that they paste.
import { h } from './dom.js';
import { words } from './strings.js';

export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

const cell = value => {
  const text = String(value ?? '');
  // a leading sign would make a formula of it in a spreadsheet
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

// one line for each file, as the table in words.csv says
export function csv(items) {
  const rows = items.map(({ name, report, view, error }) => [
    name, error ? 'failed' : report.verdict.label, report?.verdict.probability_fake, view?.headline ?? error.message,
    report?.verdict.reasons.join(' '), report?.people.length, report?.media.kind, report?.media.sha256, report?.model.name, report?.model.version]);
  return new Blob(['\ufeff', [words.csv, ...rows].map(row => row.map(cell).join(',')).join('\r\n'), '\r\n'], { type: 'text/csv' });
}

export async function copy(text, told) {
  try {
    await navigator.clipboard.writeText(text);
    told.textContent = words.copied;
  } catch { // not allowed, or no https: shown to be copied by hand
    told.replaceChildren(h('textarea', { readonly: true, rows: 10, class: 'by-hand', 'aria-label': words.copy }, text));
    told.firstChild.select();
  }
}
