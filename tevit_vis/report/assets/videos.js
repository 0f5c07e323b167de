'use strict';
// The list of videos: search, filter, sort; a part of it at a time.

const ROWS_AT_ONCE = 50;
const list = { report: null, rows: [], run: 0, sort: null, descending: false, part: 0 };

function loadReport(report) { list.report = report; }

function loadVideos(rows) {
  list.rows = rows;
  document.readyState === 'loading' ? document.addEventListener('DOMContentLoaded', start) : start();
}

const percent = (value) => (value < 0 ? '-' : (100 * value).toFixed(1));

// Name of each column, how its value is got, and how it is shown.
function columns() {
  const of = (name) => (row) => row.runs[list.run][name];
  const found = [
    { name: 'video', value: (row) => row.name.toLowerCase() },
    { name: 'frames', value: (row) => row.frames },
  ];
  if (!list.report.scored) return [...found, { name: 'predictions', value: of('predictions') }];
  const errors = list.report.kinds.filter((kind) => kind !== 'Ignored');
  return [
    ...found,
    { name: 'objects', value: (row) => row.objects },
    ...['AP50', 'HOTA', 'IDF1'].map((name) => ({ name, value: of(name), text: percent })),
    { name: 'switches', value: of('switches') },
    ...errors.map((name) => ({ name, value: of(name), title: list.report.meaning[name] })),
  ];
}

function start() {
  for (const id of ['search', 'kind', 'run']) {
    const field = document.getElementById(id);
    if (!field) continue;
    if (settings()[id]) field.value = settings()[id];
    field.addEventListener('input', () => { list.part = 0; show(); });
  }
  document.getElementById('filters').addEventListener('submit', (event) => event.preventDefault());
  show();
}

function fieldValue(id) {
  const field = document.getElementById(id);
  return field ? field.value : '';
}

function chosenRows() {
  const words = fieldValue('search').toLowerCase().split(/\s+/).filter(Boolean);
  const kind = fieldValue('kind');
  const rows = list.rows.filter((row) => {
    const text = `${row.name} ${row.id} ${row.classes.join(' ')}`.toLowerCase();
    return words.every((word) => text.includes(word)) && (!kind || row.runs[list.run][kind] > 0);
  });
  const column = columns().find((each) => each.name === list.sort);
  if (!column) return rows;
  const sign = list.descending ? -1 : 1;
  return rows.sort((a, b) => {
    const [first, second] = [column.value(a), column.value(b)];
    if ((first < 0) !== (second < 0)) return first < 0 ? 1 : -1; // what has no score comes last
    return sign * (first < second ? -1 : first > second ? 1 : 0);
  });
}

function show() {
  list.run = Number(fieldValue('run') || 0);
  const rows = chosenRows();
  const parts = Math.max(1, Math.ceil(rows.length / ROWS_AT_ONCE));
  list.part = Math.min(list.part, parts - 1);
  showHeader();
  const first = list.part * ROWS_AT_ONCE;
  const shown = rows.slice(first, first + ROWS_AT_ONCE);
  document.querySelector('#videos tbody').replaceChildren(...shown.map(rowOf));
  document.getElementById('shown').textContent =
    rows.length === list.rows.length ? `${rows.length} videos` : `${rows.length} of ${list.rows.length} videos`;
  showPager(parts);
}

function showHeader() {
  const header = make('tr', {}, make('th', { scope: 'col' }, 'frames and predictions'));
  for (const column of columns()) {
    const cell = make('th', { scope: 'col', class: column.name === 'video' ? '' : 'number' });
    if (column.title) cell.title = column.title;
    if (column.name === list.sort) cell.setAttribute('aria-sort', list.descending ? 'descending' : 'ascending');
    const button = make('button', { type: 'button', 'data-column': column.name }, column.name);
    button.addEventListener('click', () => {
      list.descending = list.sort === column.name ? !list.descending : column.name !== 'video';
      list.sort = column.name;
      list.part = 0;
      show();
      document.querySelector(`[data-column="${column.name}"]`).focus();
    });
    cell.append(button);
    header.append(cell);
  }
  document.querySelector('#videos thead').replaceChildren(header);
}

function rowOf(row) {
  const link = `video.html#id=${row.id}${list.run ? `&run=${list.run}` : ''}`;
  const picture = make('td');
  if (row.strip) {
    const image = make('img', { class: 'strip', src: `strips/${row.id}.jpg`, loading: 'lazy', alt: '' });
    picture.append(make('a', { href: link, tabindex: '-1', 'aria-hidden': 'true' }, image));
  }
  const cells = columns().map((column) => {
    if (column.name === 'video') {
      const classes = make('small', {}, row.classes.join(', '));
      return make('th', { scope: 'row' }, make('a', { href: link }, row.name), classes);
    }
    const value = column.value(row);
    const shown = column.text ? column.text(value) : String(value);
    return make('td', { class: value === 0 && !column.text ? 'number zero' : 'number' }, shown);
  });
  return make('tr', {}, picture, ...cells);
}

function showPager(parts) {
  const buttons = [];
  for (let part = 0; parts > 1 && part < parts; part++) {
    const button = make('button', { type: 'button' }, String(part + 1));
    if (part === list.part) button.setAttribute('aria-current', 'page');
    button.addEventListener('click', () => { list.part = part; show(); scrollTo(0, 0); });
    buttons.push(button);
  }
  document.getElementById('pager').replaceChildren(...buttons);
}
