/* SPDX-License-Identifier: MIT */
/* The sections of lines: how a model changes with the load, and the spectrum of latencies. */
'use strict';

/* ---- sweeps ---- */

/* "none from 3 000 on": at which points there is no figure. */
function missingWords(sweep, missing) {
  const last = sweep.points.slice(-missing.length);
  if (missing.length === sweep.points.length)
    return 'none here';
  if (missing.length > 1 && last.every((point, i) => point === missing[i]))
    return `none from ${sweepAt(sweep, missing[0].at)} on`;
  return `none at ${missing.map((point) => sweepAt(sweep, point.at)).join(', ')}`;
}

/* Why a line ends: who is not measured everywhere. */
function endsOf(sweep) {
  return arms.flatMap((arm) => {
    const missing = sweep.points.filter((point) => cellOf(point, arm).state !== 'ok');
    if (missing.length === 0)
      return [];
    const cell = cellOf(missing[0], arm);
    return [el('li', {}, strong(arm.name), `: ${missingWords(sweep, missing)}, `,
               cell.why || stateWord(cell).toLowerCase(), '.')];
  });
}

const plainText = (...parts) => el('p', {}, parts).textContent;

function sweepFrame(sweep, metric, number) {
  return plotFrame({
    title: metric.title, lines: true, height: 360,
    says: plainText(sweepSentence(sweep, metric)),
    make: () => sweepChart(sweep, metric),
    table: table({
      id: `sweep-${number}-${metric.name}`,
      caption: `${metric.title} over ${sweep.name}, medians`,
      columns: [{title: 'Arm'},
                ...sweep.points.map((p) => ({title: sweepAt(sweep, p.at), class: 'figure'}))],
      rows: arms.map((arm) => ({
        head: arm.name,
        cells: sweep.points.map((p) => figure(metric.format(medianOf(p, arm, metric.key)),
                                              [p.name, arm.name, metric.key])),
      })),
    }),
  });
}

function buildSweeps(body) {
  sweeps.forEach((sweep, number) => {
    const ends = endsOf(sweep);
    add(body,
      sweeps.length > 1 && el('p', {class: 'over'}, sweepTitle(sweep)),
      hasPlots && legendFor(arms, 'Show'),
      el('div', {class: 'plots'},
        METRICS.map((m) => sweepFrame(sweep, m, number)),
        ends.length > 0 && el('div', {class: 'figure-frame'},
          el('h3', {}, 'Who has no figure where, and why'), el('ul', {class: 'plain'}, ends))));
  });
  return sweeps.length > 0;
}

/* ---- the spectrum ---- */

const QUANTILES = [0.5, 0.9, 0.99, 0.999, 0.9999];

function spectrumTable(workload) {
  const right = (title, hint) => ({title, hint, class: 'figure'});
  return table({
    id: 'spectrum-figures', caption: `Latencies of all rounds together: ${workload.title}`,
    columns: [{title: 'Arm'}, ...QUANTILES.map((q) => right(`p${Number((q * 100).toFixed(2))}`)),
              right('Most', 'known to better than 1 %'), right('Messages')],
    rows: arms.filter((arm) => histogramOf(workload, arm)).map((arm) => {
      const buckets = histogramOf(workload, arm);
      const of = (key) => [workload.name, arm.name, `latency.${key}`];
      return {head: arm.name, cells: [
        ...QUANTILES.map((q) => figure(time(quantile(buckets, q)), of(q))),
        figure(time(buckets[buckets.length - 1][1]), of('most')),
        figure(count(totalOf(buckets)), of('count')),
      ]};
    }),
  });
}

function spectrumFrame(workload) {
  const {held: compared, not_held: why} = contestOf(workload, P99);
  return plotFrame({
    title: workload.name, lines: true, height: 420,
    says: `${workload.title}. Time that a message took, by the share of messages that were ` +
          `faster; both axes logarithmic. ${compared ? '' : `No verdict on p99: ${why}.`}`,
    make: () => spectrumChart(workload),
    table: spectrumTable(workload),
  });
}

function buildSpectrum(body) {
  const measured = workloads.filter((w) => !w.idle && arms.some((arm) => histogramOf(w, arm)));
  /* Those whose latencies mean something come first: at a fixed rate. */
  measured.sort((a, b) => contestOf(b, P99).held - contestOf(a, P99).held);
  const frame = el('div', {});
  const show = (workload) => {
    forgetPlots(frame);
    frame.replaceChildren(spectrumFrame(workload));
  };
  if (measured.length === 0)
    return false;
  add(body, el('div', {class: 'controls'},
    chooser('Workload', measured.map((w) => [w.name, `${w.name}: ${w.title}`]),
            (name) => show(measured.find((w) => w.name === name)))),
    hasPlots && legendFor(arms, 'Show'), frame);
  show(measured[0]);
  return true;
}
