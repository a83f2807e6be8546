/* SPDX-License-Identifier: MIT */
/*
 * Elements, and the two things that this page is made of: badges and tables. Text is set as text
 * everywhere: names come from whoever wrote the command line.
 */
'use strict';

const byId = (id) => document.getElementById(id);

/* Appends texts, nodes and lists of them; null, undefined and false are left out. */
function add(node, ...children) {
  const absent = [null, undefined, false];
  node.append(...children.flat(Infinity).filter((child) => !absent.includes(child)));
  return node;
}

/* el('p', {class: 'why', hidden: true}, 'text', node, [more]) */
function el(tag, properties, ...children) {
  const svg = el.svg.has(tag);
  const node = svg ? document.createElementNS('http://www.w3.org/2000/svg', tag)
                   : document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false)
      continue;
    if (name.startsWith('on'))
      node.addEventListener(name.slice(2), value);
    else
      node.setAttribute(name, value === true ? '' : value);
  }
  return add(node, children);
}
el.svg = new Set(['svg', 'g', 'rect', 'line', 'path', 'circle', 'text', 'tspan', 'defs', 'pattern',
                  'title', 'clipPath', 'marker']);

/* "a, b and c" of nodes or texts. */
function series(items, last = ' and ') {
  return items.flatMap((item, i) =>
    i === 0 ? [item] : [i === items.length - 1 ? last : ', ', item]);
}

const shortened = (text, most) => text.length > most ? `${text.slice(0, most - 1)}…` : text;
const strong = (text) => el('strong', {}, text);
const names = (list_) => series(list_.map(strong));
const plural = (n, word) => `${whole(n)} ${word}${n === 1 ? '' : 's'}`;
const unseen = (text) => el('span', {class: 'unseen'}, text);

/* ---- badges: a sign, a word and a colour for each verdict; the sign and the word suffice ---- */

const SIGNS = {
  'BEST': {sign: '★', tone: 'best', means: 'the best; the others are compared with it'},
  'TIE': {sign: '≈', tone: 'tie', means: 'the interval lies within the noise: no difference'},
  'LOSES': {sign: '▼', tone: 'loses',
            means: 'the interval lies beyond the noise: a win for the best'},
  'CANNOT TELL': {sign: '?', tone: 'unclear', means: 'the interval is too wide for either'},
  'INVALID': {sign: '✕', tone: 'invalid', means: 'no figure: it failed or answered wrongly'},
  'EXCLUDED': {sign: '–', tone: 'none', means: 'the arm cannot do this, for a stated reason'},
  'NOT MEASURED': {sign: '·', tone: 'none', means: 'its turn did not come, or it is not compared'},
  'WIN': {sign: '★', tone: 'best'},
  'ONE ARM': {sign: '1', tone: 'none'},
  'NO RESULT': {sign: '–', tone: 'none'},
  'CROSSES': {sign: '⇄', tone: 'unclear'},
  'HOLDS HERE': {sign: '✓', tone: 'best'},
  'DOES NOT HOLD HERE': {sign: '✕', tone: 'loses'},
};

function badge(word) {
  const {sign, tone} = SIGNS[word] || {sign: '·', tone: 'none'};
  return el('span', {class: 'badge', 'data-tone': tone},
            el('span', {class: 'sign', 'aria-hidden': 'true'}, sign), word);
}

/* What stands in an arm's place where it has no figure. */
function stateWord(cell) {
  return {excluded: 'EXCLUDED', invalid: 'INVALID'}[cell.state] || 'NOT MEASURED';
}

/* ---- tables ---- */

/* A figure. `of` says which one of the document it is: [workload, arm, key]. */
function figure(text, of, properties) {
  return el('td', {class: 'figure', 'data-figure': of && keyOf(...of), ...properties}, text);
}

const note = (text, properties) => el('td', properties || {}, text);

/*
 * A table that scrolls in its own frame, which the keyboard reaches too.
 *   caption   what it is
 *   columns   [{title, hint, class}]; the first one is that of the row headings
 *   groups    [{title, span}] above the columns, the first one excluded; or none
 *   rows      [{head, cells: [td...], class}]
 */
function table({caption, columns, groups, rows, id}) {
  const heading = (c) => el('th', {scope: 'col', class: c.class, title: c.hint}, c.title);
  const captionId = `${id}-caption`;
  return el('div', {class: 'frame', role: 'region', tabindex: '0', 'aria-labelledby': captionId},
    el('table', {id},
      el('caption', {id: captionId}, el('span', {}, caption)),
      el('thead', {},
        groups && el('tr', {}, el('td', {}),
          groups.map((g) =>
            el('th', {scope: 'colgroup', colspan: g.span, class: 'group'}, g.title))),
        el('tr', {}, columns.map(heading))),
      el('tbody', {}, rows.map((row) =>
        el('tr', {class: row.class}, el('th', {scope: 'row'}, row.head), row.cells)))));
}

/* A table behind a summary: what a plot shows, for those who do not see it or want the figures. */
function folded(summary, content, open) {
  return el('details', {class: 'fold', open}, el('summary', {}, summary), content);
}

/* Radio buttons in a row, added to a fieldset. */
function segments(fieldset, name, options, onChange) {
  options.forEach(({value, title}, i) => add(fieldset,
    el('label', {},
      el('input', {type: 'radio', name, value, checked: i === 0, onchange: () => onChange(value)}),
      el('span', {}, title))));
}

/* A list to choose from; options [[value, title]]. */
function chooser(label, options, onChange) {
  const select = el('select', {onchange: () => onChange(select.value)},
                    options.map(([value, title]) => el('option', {value}, title)));
  return el('label', {class: 'chooser'}, el('span', {}, label), select);
}
