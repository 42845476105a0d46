
// Sorts, searches and filters the table of files.
const body = document.querySelector('#files tbody');
const rows = [...body.rows];
const [search, only, shown] = ['search', 'only', 'shown'].map(id => document.getElementById(id));
document.getElementById('tools').hidden = false;
document.getElementById('tools').addEventListener('submit', event => event.preventDefault());

function filter() {
  const wanted = search.value.toLowerCase();
  let count = 0;
  for (const row of rows) {
    row.hidden = (only.value && row.dataset.label !== only.value) || !row.cells[0].textContent.toLowerCase().includes(wanted);
    count += !row.hidden;
  }
  shown.textContent = `${count.toLocaleString('en')} of ${rows.length.toLocaleString('en')} files`;
}

// a second click turns the order round; files without a number come last
function sort(heading, column) {
  const down = heading.getAttribute('aria-sort') !== 'descending';
  for (const other of heading.parentNode.cells) other.removeAttribute('aria-sort');
  heading.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  const text = row => row.cells[column].textContent.trim();
  const number = row => (Number.isNaN(parseFloat(text(row))) ? -1 : parseFloat(text(row)));
  const compare = heading.dataset.sort === 'number' ? (a, b) => number(a) - number(b) : (a, b) => text(b).localeCompare(text(a));
  rows.sort((a, b) => (down ? compare(b, a) : compare(a, b)));
  body.append(...rows);
}

for (const [column, heading] of [...document.querySelectorAll('#files thead th')].entries()) {
  if (!heading.dataset.sort) continue;
  const button = document.createElement('button');
  button.type = 'button';
  button.append(...heading.childNodes);
  button.addEventListener('click', () => sort(heading, column));
  heading.append(button);
}
// thumbnails of files that lie beside the page: only when they are asked for, and only where one looks
const pictures = document.getElementById('pictures');
const seen = new IntersectionObserver(entries => {
  for (const { isIntersecting, target: row } of entries) {
    if (!isIntersecting || row.querySelector('.thumb')) continue;
    const link = row.querySelector('.path a');
    const video = row.dataset.kind === 'video';
    const picture = document.createElement(video ? 'video' : 'img');
    if (video) Object.assign(picture, { muted: true, preload: 'metadata', src: `${link.href}#t=0.1` });
    else Object.assign(picture, { alt: '', src: link.href });
    picture.className = 'thumb';
    picture.addEventListener('error', () => picture.remove());
    link.before(picture);
  }
}, { rootMargin: '200px' });

const local = rows.filter(row => row.dataset.kind);
document.getElementById('pictures-label').hidden = local.length === 0;
pictures.addEventListener('change', () => {
  seen.disconnect();
  for (const row of local) {
    if (pictures.checked) seen.observe(row);
    else row.querySelector('.thumb')?.remove();
  }
});

search.addEventListener('input', filter);
only.addEventListener('change', filter);
filter();
