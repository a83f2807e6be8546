/* SPDX-License-Identifier: MIT */
/*
 * What all plots share: the arms' colours, dashes and markers, which arms are shown, the frame with
 * its text alternative, and when a plot is drawn. Chart.js does the drawing; where the build had
 * none, the frames hold their tables only.
 */
'use strict';

const hasPlots = typeof Chart !== 'undefined';

const token = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/* ---- an arm's look: 8 colours x 7 markers x 4 dashes are 56 different ones ---- */

const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3]];
const MARKERS = ['circle', 'rect', 'triangle', 'rectRot', 'crossRot', 'cross', 'star'];
const MARKER_PATHS = {
  circle: 'M4 0A4 4 0 1 1-4 0A4 4 0 1 1 4 0Z',
  rect: 'M-3.5-3.5H3.5V3.5H-3.5Z',
  triangle: 'M0-4.5L4.2 3.2H-4.2Z',
  rectRot: 'M0-4.8L4.8 0L0 4.8L-4.8 0Z',
  crossRot: 'M-3.5-3.5L3.5 3.5M-3.5 3.5L3.5-3.5',
  cross: 'M-4.5 0H4.5M0-4.5V4.5',
  star: 'M-4.5 0H4.5M0-4.5V4.5M-3.2-3.2L3.2 3.2M-3.2 3.2L3.2-3.2',
};

const looks = new Map(arms.map((arm, i) => [arm.name, {
  color: `series-${i % 8}`,
  dash: DASHES[i % DASHES.length],
  marker: MARKERS[i % MARKERS.length],
}]));

function swatch(arm) {
  const look = looks.get(arm.name);
  const stroke = `var(--${look.color})`;
  const line = el('line', {x1: -17, x2: 17, y1: 0, y2: 0, 'stroke-width': 2,
                           'stroke-dasharray': look.dash.join(' ')});
  const marker = el('path', {d: MARKER_PATHS[look.marker], 'stroke-width': 1.5});
  line.style.stroke = stroke;
  marker.style.stroke = stroke;
  marker.style.fill = stroke;
  return el('svg', {class: 'swatch', viewBox: '-18 -7 36 14', width: 36, height: 14,
                    'aria-hidden': 'true'}, line, marker);
}

/* ---- which arms the plots of lines show: one choice for all of them ---- */

const shown = new Set(arms.map((arm) => arm.name));
const legends = [];
let emphasized = null; /* the name of the arm that the pointer or the keyboard is on */

function refreshLegends() {
  for (const box of legends.flatMap((legend) => [...legend.querySelectorAll('input')]))
    box.checked = shown.has(box.value);
  redrawLines();
}

function emphasize(name) {
  if (emphasized === name)
    return;
  emphasized = name;
  redrawLines();
}

function legendFor(which, label) {
  const items = which.map((arm) => el('label', {
    onpointerenter: () => emphasize(arm.name), onpointerleave: () => emphasize(null),
    onfocusin: () => emphasize(arm.name), onfocusout: () => emphasize(null),
  },
  el('input', {type: 'checkbox', value: arm.name, checked: shown.has(arm.name),
               onchange: ({target}) => {
                 shown[target.checked ? 'add' : 'delete'](arm.name);
                 refreshLegends();
               }}),
  swatch(arm), el('span', {}, arm.name)));
  const set = (title, names_) => el('button', {type: 'button', onclick: () => {
    shown.clear();
    names_.forEach((name) => shown.add(name));
    refreshLegends();
  }}, title);
  const legend = el('fieldset', {class: 'arms'}, el('legend', {}, label), items,
                    set('All', which.map((arm) => arm.name)), set('None', []));
  legends.push(legend);
  return legend;
}

/* ---- frames ---- */

const plots = []; /* {canvas, make, lines, chart} */

function draw(plot) {
  if (plot.chart)
    plot.chart.destroy();
  plot.chart = new Chart(plot.canvas, plot.make());
}

function redraw(which) {
  which.filter((plot) => plot.chart).forEach(draw);
}

/* Those in `node`, which is about to get other content. */
function forgetPlots(node) {
  const gone = plots.filter((plot) => node.contains(plot.canvas));
  gone.filter((plot) => plot.chart).forEach((plot) => plot.chart.destroy());
  plots.splice(0, plots.length, ...plots.filter((plot) => !gone.includes(plot)));
}

const redrawLines = () => redraw(plots.filter((plot) => plot.lines));

/* A plot is drawn when it comes near the window: a page of fifty plots opens at once. */
const watcher = hasPlots && new IntersectionObserver((entries) => {
  for (const entry of entries.filter((e) => e.isIntersecting)) {
    const plot = plots.find((p) => p.canvas === entry.target);
    watcher.unobserve(entry.target);
    if (plot && !plot.chart)
      draw(plot);
  }
}, {rootMargin: '400px'});

/*
 * A plot with its heading and what says the same in words.
 *   title   heading, with `level` 3 or 4
 *   says    what it shows, for who cannot see it
 *   make    gives Chart.js its configuration; called again when the theme or the choice changes
 *   height  in CSS pixels
 *   table   the same figures, put behind a summary; or `tableId`, of a table that stands in sight
 */
function plotFrame({title, level = 3, says, make, height, lines = false, table: figures, tableId}) {
  const canvas = el('canvas', {role: 'img', 'aria-label': `${title}. ${says}`,
                               'aria-details': tableId});
  const box = el('div', {class: 'plot'}, canvas);
  box.style.height = `${height}px`;
  if (hasPlots) {
    plots.push({canvas, make, lines});
    watcher.observe(canvas);
  }
  return el('figure', {class: 'figure-frame'},
    el('figcaption', {}, el(`h${level}`, {}, title), says && el('p', {class: 'says'}, says)),
    hasPlots && box,
    figures && folded('The same figures as a table', figures, !hasPlots));
}

/* ---- what Chart.js is told for every plot ---- */

if (hasPlots) {
  Chart.defaults.animation = false;
  Chart.defaults.maintainAspectRatio = false;
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.plugins.legend.display = false;
}

function axis(title, options) {
  return {
    grid: {color: token('grid'), borderColor: token('rule')},
    title: {display: Boolean(title), text: title, color: token('soft')},
    ...options,
    ticks: {color: token('soft'), maxRotation: 0, ...options.ticks},
  };
}

/* 1, 10, 100...; also 2 and 5 where there are few of them. */
function logTicks(format) {
  return function tick(value) {
    const {min, max} = this;
    const lead = Math.round(value / 10 ** Math.floor(Math.log10(value) + 1e-9));
    const wanted = max / min > 300 ? [1] : max / min > 20 ? [1, 3] : [1, 2, 3, 5, 7];
    return wanted.includes(lead) ? atMark(format(value)) : null;
  };
}

const tooltip = (label) => ({
  backgroundColor: token('text'), titleColor: token('back'), bodyColor: token('back'),
  usePointStyle: true, callbacks: {label},
});

/* Moves marks with heights `y`, from the top down, apart to `at`: those that would overlap stand as
 * one block around their middle. */
function moveApart(marks, least, top, bottom) {
  const blocks = [];
  for (const mark of marks.sort((a, b) => a.y - b.y)) {
    let block = {marks: [mark], sum: mark.y};
    const middle = (b) => Math.min(bottom - (b.marks.length - 1) * least / 2,
                                   Math.max(top + (b.marks.length - 1) * least / 2,
                                            b.sum / b.marks.length));
    block.middle = middle(block);
    for (let last = blocks[blocks.length - 1];
         last && block.middle - last.middle < (block.marks.length + last.marks.length) * least / 2;
         last = blocks[blocks.length - 1]) {
      block = {marks: [...last.marks, ...block.marks], sum: last.sum + block.sum};
      block.middle = middle(block);
      blocks.pop();
    }
    blocks.push(block);
  }
  for (const block of blocks)
    block.marks.forEach((mark, i) => {
      mark.at = block.middle + (i - (block.marks.length - 1) / 2) * least;
    });
}

/* The right ends of the lines, where they end. */
function endsOfLines(chart) {
  return chart.data.datasets.flatMap((dataset, i) => {
    const last = chart.getDatasetMeta(i).data.filter((p) => !p.skip && Number.isFinite(p.y)).pop();
    return last ? [{name: dataset.label, color: dataset.borderColor, x: last.x, y: last.y}] : [];
  });
}

/* Names beside them: who is who without looking at the legend. */
const endLabels = {
  id: 'endLabels',
  afterDatasetsDraw(chart) {
    const {ctx, chartArea: {top, bottom, right}} = chart;
    const ends = endsOfLines(chart);
    if (chart.options.layout.padding.right < 40)
      return;
    moveApart(ends, 13, top, bottom);
    ctx.save();
    ctx.font = `11px ${Chart.defaults.font.family}`;
    ctx.textBaseline = 'middle';
    for (const end of ends) {
      ctx.strokeStyle = end.color;
      ctx.globalAlpha = 0.6;
      ctx.setLineDash([1, 2]);
      ctx.beginPath();
      ctx.moveTo(end.x + 5, end.y);
      ctx.lineTo(Math.max(end.x + 5, right + 5), end.y);
      ctx.lineTo(right + 14, end.at);
      ctx.stroke();
      ctx.globalAlpha = 1;
      ctx.fillStyle = token('text');
      ctx.fillText(shortened(end.name, 14), right + 17, end.at);
    }
    ctx.restore();
  },
};

/* Room for them, where there is room. */
const endRoom = () => innerWidth >= 720 ? 100 : 8;

/* A line of an arm; the others step back from the one that the pointer is on. */
function lineOf(arm, data, more) {
  const look = looks.get(arm.name);
  const back = emphasized !== null && emphasized !== arm.name;
  const color = back ? token('grid') : token(look.color);
  return {
    label: arm.name, data, borderColor: color, backgroundColor: color, pointBorderColor: color,
    borderDash: look.dash, pointStyle: look.marker, order: back ? 1 : 0,
    borderWidth: emphasized === arm.name ? 3 : 1.75, pointRadius: 4, pointHoverRadius: 6,
    pointBorderWidth: 1.5, clip: 8, ...more,
  };
}
