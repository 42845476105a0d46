// The server, as the page calls it. Errors are Problem (the server said no) or TypeError (nobody answered).
import { language } from './language.js';

export class Problem extends Error {
  constructor(status, kind, message, retry) {
    super(message);
    Object.assign(this, { status, kind, retry });
  }
}

let key = '';
export function useKey(text) { key = text.trim(); }
const headers = () => ({ 'accept-language': language(), ...(key && { authorization: `Bearer ${key}` }) });

function problem(status, text, retry) {
  let error = {};
  try { error = JSON.parse(text).error; } catch { /* not ours: a proxy's page */ }
  return new Problem(status, error.kind ?? 'unknown', error.message ?? `HTTP ${status}`, Number(retry) || 0);
}

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } });
  if (!answer.ok) throw problem(answer.status, await answer.text(), answer.headers.get('retry-after'));
  return answer;
}

export const json = async path => (await ask(path)).json();
export const blob = async path => (await ask(path)).blob();
// with the words that the page's reader has added
export async function report({ id, caseName = '', notes = '' }, kind, prevalence) {
  const form = new FormData();
  for (const [name, value] of Object.entries({ kind, case_name: caseName, notes, ...(prevalence && { prevalence }) })) form.append(name, value);
  return (await ask(`/v1/scans/${id}/report`, { method: 'POST', body: form })).blob();
}
export const forget = id => ask(`/v1/scans/${id}`, { method: 'DELETE', keepalive: true }).catch(() => {});

// fetch tells nothing of an upload's progress, XMLHttpRequest does
// given: a file, or a link to one
export function send(given, options, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    for (const [name, value] of Object.entries(options)) form.append(name, value);
    if (given instanceof File) form.append('file', given, given.name);
    else form.append('url', given);
    request.open('POST', '/v1/scans');
    request.setRequestHeader('Prefer', 'respond-async');
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.addEventListener('progress', event => progress(event.lengthComputable ? event.loaded / event.total : 0));
    request.addEventListener('load', () => {
      if (request.status === 202 || request.status === 200) resolve(JSON.parse(request.responseText));
      else reject(problem(request.status, request.responseText, request.getResponseHeader('retry-after')));
    });
    request.addEventListener('error', () => reject(new TypeError('no answer')));
    request.addEventListener('abort', () => reject(new DOMException('stopped', 'AbortError')));
    signal.addEventListener('abort', () => request.abort(), { once: true });
    request.send(form);
  });
}

// EventSource cannot send a key; a stream that ends without `end` has been cut
export async function* events(id, signal) {
  const answer = await ask(`/v1/scans/${id}/events`, { signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new TypeError('the line was cut');
    text += value;
    let end;
    while ((end = text.search(/\r?\n\r?\n/)) >= 0) {
      const fields = text.slice(0, end).split(/\r?\n/);
      text = text.slice(end).replace(/^\r?\n\r?\n/, '');
      const name = fields.find(line => line.startsWith('event:'))?.slice(6).trim();
      const data = fields.filter(line => line.startsWith('data:')).map(line => line.slice(5)).join('\n');
      if (!name) continue;
      yield { name, data: JSON.parse(data) };
      if (name === 'end') return;
    }
  }
}
