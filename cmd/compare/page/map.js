/* SPDX-License-Identifier: MIT */
/* The map of winners: connections to the right, message sizes upward, in each field who is best. */
'use strict';

/* ---- which workloads lie on one map: those that differ in connections and size only ---- */

function familyOf(w, active) {
  const words = loadWords({...w, active: active === null ? w.connections : active,
                           connections: active === null ? w.connections : Infinity});
  const key = keyOf(w.mode, w.pipeline, active, w.half, w.half ? null : w.rate);
  return {key, words, points: []};
}

/* With 10 connections, "10 active" and "all active" are the same workload: it lies on both maps. */
function familiesOf() {
  const actives = new Set(workloads.filter((w) => !isActive(w)).map((w) => w.active));
  const families = new Map();
  const add = (w, active) => {
    const family = familyOf(w, active);
    if (!families.has(family.key))
      families.set(family.key, family);
    families.get(family.key).points.push(w);
  };
  for (const w of workloads.filter((each) => !each.idle)) {
    if (isActive(w))
      add(w, null);
    if (!isActive(w) || actives.has(w.connections))
      add(w, Math.min(w.active, w.connections));
  }
  /* First what has two sides, then what has most. */
  const rank = (f) => (gridOf(f).sizes.length > 1 ? 1e6 : 0) + f.points.length;
  return [...families.values()].filter((f) => f.points.length >= 2)
    .sort((a, b) => rank(b) - rank(a));
}

const ascending = (values) => [...new Set(values)].sort((a, b) => a - b);

function gridOf(family) {
  return {connections: ascending(family.points.map((w) => w.connections)),
          sizes: ascending(family.points.map((w) => w.size))};
}

function pointAt(family, connections, size, metric) {
  const here = family.points.filter((w) => w.connections === connections && w.size === size);
  return here.find((w) => contestOf(w, metric).held) || here[0];
}

/* ---- a field in words ---- */

function fieldLines(workload, metric) {
  if (!workload)
    return ['not', 'measured'];
  const {kind, best, tied, unclear, losers} = outcomeOf(workload, metric);
  const others = (standings, sign) => standings.length > 1
    ? `${sign} ${whole(standings.length)} more` : `${sign} ${standings[0].arm}`;
  switch (kind) {
  case 'WIN': return [best.arm, `next ${difference(losers[0].ratio)}`];
  case 'TIE': return [best.arm, others(tied, '≈')];
  case 'CANNOT TELL': return [best.arm, others(unclear, '?')];
  case 'ONE ARM': return [best.arm, 'alone'];
  default: return ['no', 'result'];
  }
}

function fieldText(workload, metric) {
  if (!workload)
    return 'not measured';
  const {kind, best, tied, unclear, losers, why} = outcomeOf(workload, metric);
  const all = (standings) => standings.map((s) => s.arm).join(', ');
  switch (kind) {
  case 'WIN': return `WIN of ${best.arm}, ${metric.format(best.value, workload)}; next ` +
    `${losers[0].arm} ${difference(losers[0].ratio)}`;
  case 'TIE': return `TIE of ${all([best, ...tied])}, ${metric.format(best.value, workload)}`;
  case 'CANNOT TELL': return `CANNOT TELL ${best.arm}, ${metric.format(best.value, workload)}, ` +
    `from ${all(unclear)}`;
  case 'ONE ARM': return `only ${best.arm}, ${metric.format(best.value, workload)}`;
  default: return `NO RESULT: ${why}`;
  }
}

/* ---- a field drawn ---- */

let patterns = 0;

/* Stripes of the arms that tie, dots where it cannot be told, a cross where there is no result. */
function fieldFill(workload, metric, defs) {
  const id = `field-${patterns += 1}`;
  const color = (standing) => `var(--${looks.get(standing.arm).color})`;
  const paint = (node, name, value) => {
    node.style[name] = value;
    return node;
  };
  const outcome = workload ? outcomeOf(workload, metric) : {kind: 'NOT MEASURED'};
  if (outcome.kind === 'WIN' || outcome.kind === 'ONE ARM')
    return {fill: color(outcome.best), opacity: outcome.kind === 'WIN' ? 0.5 : 0.2};
  if (outcome.kind === 'NOT MEASURED')
    return {fill: 'none', opacity: 1};
  let inside;
  if (outcome.kind === 'TIE') {
    inside = [outcome.best, outcome.tied[0]].map((s, i) =>
      paint(el('rect', {x: i * 7, y: 0, width: 7, height: 14}), 'fill', color(s)));
  } else if (outcome.kind === 'CANNOT TELL') {
    inside = [[3, 3], [10, 10]].map(([cx, cy]) =>
      paint(el('circle', {cx, cy, r: 1.8}), 'fill', color(outcome.best)));
  } else {
    inside = paint(el('path', {d: 'M0 0L14 14M14 0L0 14'}), 'stroke', 'var(--rule)');
  }
  add(defs, el('pattern', {id, width: 14, height: 14, patternUnits: 'userSpaceOnUse',
                             patternTransform: outcome.kind === 'TIE' ? 'rotate(45)' : null},
                     inside));
  return {fill: `url(#${id})`, opacity: outcome.kind === 'TIE' ? 0.5 : 1};
}

const FIELD = {width: 112, height: 62, left: 74, top: 8, below: 46};

function field(workload, metric, defs, x, y) {
  const {fill, opacity} = fieldFill(workload, metric, defs);
  const lines = fieldLines(workload, metric);
  const box = el('rect', {x: x + 2, y: y + 2, rx: 6,
                          width: FIELD.width - 4, height: FIELD.height - 4,
                          class: workload ? 'field' : 'field empty', 'fill-opacity': opacity});
  box.style.fill = fill;
  return el('g', {}, el('title', {}, fieldText(workload, metric)), box,
    lines.map((line, i) => el('text', {
      x: x + FIELD.width / 2, y: y + 27 + 18 * i, 'text-anchor': 'middle',
      class: i === 0 && workload ? 'field-name' : 'field-more',
    }, shortened(line, 15))));
}

function mapDrawing(family, metric) {
  const {connections, sizes} = gridOf(family);
  const right = FIELD.left + connections.length * FIELD.width;
  const bottom = FIELD.top + sizes.length * FIELD.height;
  const row = (size) => FIELD.top + (sizes.length - 1 - sizes.indexOf(size)) * FIELD.height;
  const defs = el('defs', {});
  const marks = [
    ...connections.map((n, i) => el('text', {
      x: FIELD.left + (i + 0.5) * FIELD.width, y: bottom + 18, 'text-anchor': 'middle',
      class: 'mark'}, whole(n))),
    ...sizes.map((n) => el('text', {x: FIELD.left - 8, y: row(n) + FIELD.height / 2 + 4,
                                    'text-anchor': 'end', class: 'mark'}, binary(n))),
    el('text', {x: (FIELD.left + right) / 2, y: bottom + 38, 'text-anchor': 'middle',
                class: 'mark-title'}, 'Connections'),
  ];
  const fields = connections.flatMap((n, i) => sizes.map((size) => field(
    pointAt(family, n, size, metric), metric, defs, FIELD.left + i * FIELD.width, row(size))));
  const width = right + 8;
  const height = bottom + FIELD.below;
  const drawing = el('svg', {viewBox: `0 0 ${width} ${height}`, role: 'img', class: 'map',
    'aria-label': `Map of winners by ${metric.title}, ${family.words}. ` +
                  'The table below it says the same.'}, defs, marks, fields);
  /* It may grow with the window, but not shrink to what nobody can read: then it scrolls. */
  drawing.style.minWidth = `${width}px`;
  drawing.style.maxWidth = `${1.4 * width}px`;
  return drawing;
}

function mapTable(family, metric) {
  const {connections, sizes} = gridOf(family);
  return table({
    id: 'map-figures',
    caption: `Winners by ${metric.title}. ${family.words}.`,
    columns: [{title: 'Message'},
              ...connections.map((n) => ({title: plural(n, 'connection')}))],
    rows: [...sizes].reverse().map((size) => ({
      head: binary(size),
      cells: connections.map((n) => note(fieldText(pointAt(family, n, size, metric), metric))),
    })),
  });
}

/* ---- the section ---- */

function mapKey(family, metric) {
  const outcomes = family.points.map((w) => outcomeOf(w, metric)).filter((o) => o.best);
  const seen = arms.filter((arm) => outcomes.some((o) => o.best.arm === arm.name ||
    (o.kind === 'TIE' && o.tied[0].arm === arm.name)));
  const sample = (kind) =>
    el('span', {class: 'map-sample', 'data-kind': kind, 'aria-hidden': 'true'});
  return el('ul', {class: 'key'},
    seen.map((arm) => {
      const color = el('span', {class: 'map-sample', 'aria-hidden': 'true'});
      color.style.background = `var(--${looks.get(arm.name).color})`;
      return el('li', {}, color, arm.name);
    }),
    [['tie', 'hatched: a tie, in the colours of two that tie'], ['unclear', 'dotted: cannot tell'],
     ['none', 'crossed: no result'], ['empty', 'dashed: not measured']]
      .map(([kind, text]) => el('li', {}, sample(kind), text)));
}

function buildMap(body) {
  const families = familiesOf();
  if (families.length === 0)
    return false;
  let [family] = families;
  let [metric] = METRICS;
  const frame = el('div', {});
  const show = () => frame.replaceChildren(
    el('figure', {class: 'figure-frame'},
      el('figcaption', {}, el('h3', {}, `${metric.title}. ${family.words}`)),
      el('div', {class: 'frame bare', tabindex: '0', role: 'region', 'aria-label': 'The map'},
         mapDrawing(family, metric)),
      mapKey(family, metric),
      folded('The same map as a table', mapTable(family, metric))));
  const by = el('fieldset', {class: 'segments'}, el('legend', {}, 'By'));
  segments(by, 'map-metric', metricOptions, (value) => {
    metric = METRICS.find((m) => m.name === value);
    show();
  });
  add(body, el('div', {class: 'controls'}, by,
    families.length > 1 && chooser('Load', families.map((f) => [f.key, f.words]), (value) => {
      family = families.find((f) => f.key === value);
      show();
    })), frame);
  show();
  return true;
}
