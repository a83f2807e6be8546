/* SPDX-License-Identifier: MIT */
/* In short, a card for each workload; and all workloads side by side. */
'use strict';

/* ---- in short ---- */

/* What is in short must be short; the others are one click away. */
const CARDS = 11;

const entryId = (workload) => `workload-${workloads.indexOf(workload)}`;
const linkTo = (workload) =>
  el('a', {href: `#${entryId(workload)}`, title: workload.title}, workload.name);

function workloadCard(workload) {
  const {kind} = outcomeOf(workload, CPU);
  const others = METRICS.slice(1);
  const held = (metric) => contestOf(workload, metric).held;
  const silent = others.filter((metric) => !held(metric));
  return el('li', {class: 'card'},
    el('div', {class: 'card-head'}, el('h3', {}, linkTo(workload)), badge(kind)),
    el('p', {class: 'card-title'}, workload.title),
    el('p', {}, sentenceOf(workload)),
    !workload.idle && el('p', {class: 'card-more'},
      others.filter(held).map((m) => el('span', {}, inBrief(workload, m))),
      silent.length > 0 &&
        el('span', {}, `Not compared: ${silent.map((m) => m.short).join(', ')}`)));
}

function sentenceList(which) {
  return el('ul', {class: 'plain'}, which.map((w) =>
    el('li', {}, badge(outcomeOf(w, CPU).kind), ' ', linkTo(w), ': ', sentenceOf(w))));
}

function sweepCard(sweep) {
  const [first] = sweep.points;
  const last = sweep.points[sweep.points.length - 1];
  return el('li', {class: 'card'},
    el('div', {class: 'card-head'}, el('h3', {}, sweepTitle(sweep)), badge(sweepKind(sweep))),
    el('p', {class: 'card-title'}, `${plural(sweep.points.length, 'workload')}, `,
       `${sweepAt(sweep, first.at)} to ${sweepAt(sweep, last.at)}: ${loadWords(last)}`),
    el('p', {}, 'By CPU per message: ', sweepSentence(sweep, CPU)),
    folded('Point by point', sentenceList(sweep.points)));
}

function buildShort() {
  const kinds = workloads.map((w) => outcomeOf(w, CPU).kind);
  const single = workloads.filter((w) => !inSweep.has(w));
  /* These three always, so that none of them looks like an exception. */
  add(byId('tally'), [...new Set(['WIN', 'TIE', 'CANNOT TELL', ...kinds])].map((kind) =>
    el('span', {class: 'tally-item'},
       strong(whole(kinds.filter((k) => k === kind).length)), badge(kind))));
  add(byId('cards'), single.slice(0, CARDS).map(workloadCard), sweeps.map(sweepCard),
      workloads.length === 0 && el('li', {class: 'card'}, 'Nothing was measured.'));
  if (single.length > CARDS)
    byId('cards').after(folded(plural(single.length - CARDS, 'more workload'),
                               sentenceList(single.slice(CARDS))));
  return true;
}

/* ---- side by side ---- */

function verdictCell(word, content, properties) {
  const {tone, sign} = SIGNS[word] || SIGNS['NOT MEASURED'];
  return el('td', {class: 'verdict', 'data-tone': tone, ...properties},
            el('span', {class: 'sign', 'aria-hidden': 'true'}, sign), unseen(`${word} `), content);
}

function sideCell(workload, arm, metric) {
  const standing = standingOf(workload, metric, arm);
  const cell = cellOf(workload, arm);
  if (!standing || standing.verdict === 'INVALID') {
    const word = cell.state !== 'ok' ? stateWord(cell) : standing ? 'INVALID' : 'NOT MEASURED';
    return verdictCell(word, '', {title: cell.why});
  }
  const best = standing.verdict === 'BEST';
  const key = `${metric.name}.${best ? 'value' : 'ratio'}`;
  return verdictCell(standing.verdict,
    best ? metric.format(standing.value, workload) : difference(standing.ratio),
    {title: standing.why, 'data-figure': keyOf(workload.name, arm.name, key)});
}

function sideTable(metric) {
  return table({
    id: 'side-figures', caption: `${metric.title}, against the best of each row`,
    columns: [{title: 'Workload'}, ...arms.map((arm) => ({title: arm.name}))],
    rows: workloads.map((w) => ({
      head: linkTo(w),
      cells: arms.map((arm) => sideCell(w, arm, metric)),
    })),
  });
}

function buildSide() {
  const show = (name) =>
    byId('side-table').replaceChildren(sideTable(METRICS.find((m) => m.name === name)));
  segments(byId('side-metric'), 'side', metricOptions, show);
  add(byId('verdict-key'), Object.entries(SIGNS).filter(([, sign]) => sign.means)
    .map(([word, sign]) => el('li', {}, badge(word), ` ${sign.means}`)));
  if (absentArms.length > 0)
    add(byId('side'), el('p', {class: 'soft'}, 'Not on this machine: ', series(absentArms.map(
      (arm) => [strong(arm.name), arm.why && ` (${arm.why})`])), '.'));
  show(CPU.name);
  return workloads.length > 0 && arms.length > 0;
}
