// How common fakes are in what the reader checks: the probability, and the reports, are made for that.
import { h } from './dom.js';
import { words } from './strings.js';

export const share = { value: 0 }; // of the files, for this visit; 0 while it is not told

const ONE_IN = [2, 10, 100, 1000];

// Bayes' rule, as `at_prevalence` on the server; p: where half of all files are fake
const there = p => p * share.value / (p * share.value + (1 - p) * (1 - share.value));

export function baseRate(p) {
  const told = h('strong', { role: 'status' });
  const select = h('select', {}, h('option', { value: 0 }, words.shareUnknown), ONE_IN.map(n => h('option', { value: 1 / n }, words.oneIn(n))));
  const show = () => { told.textContent = share.value ? words.percent(there(p)) : ''; };
  select.value = String(share.value);
  select.addEventListener('change', () => { share.value = Number(select.value); show(); });
  show();
  return h('p', { class: 'small base-rate' }, h('label', {}, words.howCommon, ' ', select), ' ', told);
}
