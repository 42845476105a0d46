// The language that the page speaks: the sentences are in English here, their translations are made of the catalogues in locale/ (docs/languages.py).
let code = 'en';
let sentences = {};
let forms = []; // which form of a plural a number takes, for 0 to 199

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

export const say = (sentence, values = {}) => fill(sentences[sentence] ?? sentence, values);

export function sayMany(one, many, n, values = {}) {
  const translated = sentences[one];
  const form = translated ? translated[forms[n < 200 ? n : 100 + (n % 100)]] : n === 1 ? one : many;
  return fill(form, { n, ...values });
}

export const fixed = (value, digits) => value.toLocaleString(code, { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false });

// as many decimals as it has, three at most
export const plain = value => value.toLocaleString(code, { maximumFractionDigits: 3, useGrouping: false });

export const language = () => code;

// the reader's own choice, kept by the browser, or what the browser asks for
export function wished(offered) {
  let kept = null;
  try { kept = localStorage.getItem('language'); } catch { /* a browser that keeps nothing */ }
  const wishes = [kept, ...navigator.languages.map(wish => wish.toLowerCase().split('-')[0])];
  return wishes.find(wish => offered.includes(wish)) ?? 'en';
}

// without an answer the page stays as it is
export async function speak(wanted) {
  const catalogue = wanted === 'en' ? { sentences: {}, forms: [] } : await (await fetch(`words/${wanted}.json`)).json();
  ({ sentences, forms } = catalogue);
  code = wanted;
  document.documentElement.lang = code;
}

export function keep(chosen) {
  try { localStorage.setItem('language', chosen); } catch { /* then until the page is closed */ }
}
