'use strict';
// On every page: the theme, and tables that sort by a click on a column.

function rememberedTheme() {
  try { return localStorage.getItem('tevit_vis theme'); } catch { return null; }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem('tevit_vis theme', theme); } catch { /* files may have no storage */ }
}

if (rememberedTheme()) setTheme(rememberedTheme());

// Makes an element with attributes and children; texts are never read as HTML.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'class') element.className = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// The settings behind # in the address, such as id=3 and frame=10.
function settings() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

function cellValue(cell) {
  const text = cell ? cell.textContent.trim() : '';
  const number = parseFloat(text);
  if (cell && cell.classList.contains('number')) return Number.isNaN(number) ? -Infinity : number;
  return text.toLowerCase();
}

function sortTable(table, column, header) {
  const sorted = header.getAttribute('aria-sort');
  const descending = sorted ? sorted === 'ascending' : header.classList.contains('number');
  for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
  header.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => {
    const [first, second] = [cellValue(a.cells[column]), cellValue(b.cells[column])];
    return (first < second ? -1 : first > second ? 1 : 0) * (descending ? -1 : 1);
  });
  table.tBodies[0].append(...rows);
}

document.addEventListener('DOMContentLoaded', () => {
  document.getElementById('theme').addEventListener('click', () => {
    const chosen = document.documentElement.dataset.theme;
    const isDark = chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    setTheme(isDark ? 'light' : 'dark');
  });
  for (const table of document.querySelectorAll('table.sortable')) {
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const button = make('button', { type: 'button' }, ...header.childNodes);
      button.addEventListener('click', () => sortTable(table, column, header));
      header.append(button);
    });
  }
});
