/* SPDX-License-Identifier: MIT */
/* Each workload: its bars, its standings, and all of its figures. */
'use strict';

/* ---- standings ---- */

/* The best first, as in the plot above; those without a figure last. */
function inOrder(workload) {
  const order = barRows(workload, CPU).map((row) => row.standing.arm);
  const place = (arm) => order.includes(arm.name) ? order.indexOf(arm.name) : order.length;
  return [...arms].sort((a, b) => place(a) - place(b));
}

/* Why it loses, by which metrics: "1.0 more wait calls per message; Rate: ...". The counters often
 * explain all of them alike. */
function whyOf(workload, arm) {
  const whys = new Map();
  for (const metric of METRICS) {
    const {why} = standingOf(workload, metric, arm) || {};
    if (why)
      whys.set(why, [...(whys.get(why) || []), metric.short]);
  }
  return [...whys].map(([why, by]) => `${by.join(', ')}: ${why}`).join('; ');
}

const medianCell = (workload, arm, metric) =>
  figure(metric.format(medianOf(workload, arm, metric.key), workload),
         [workload.name, arm.name, metric.key], {class: 'figure first'});

function differenceCell(workload, arm, metric, standing) {
  if (!standing || standing.verdict === 'BEST' || !isNumber(standing.ratio))
    return note(standing && standing.verdict === 'BEST' ? '' : UNKNOWN, {class: 'figure'});
  return figure([difference(standing.ratio), el('span', {class: 'interval'}, interval(standing))],
                [workload.name, arm.name, `${metric.name}.ratio`]);
}

function standingCells(workload, arm, metric) {
  const standing = standingOf(workload, metric, arm);
  return [
    medianCell(workload, arm, metric), differenceCell(workload, arm, metric, standing),
    note(standing ? badge(standing.verdict) : ''),
    metric === CPU && note(whyOf(workload, arm), {class: 'why'}),
  ];
}

function standingRow(workload, arm) {
  const cell = cellOf(workload, arm);
  const rest = 1 + 3 * (METRICS.length - 1);
  return {
    head: arm.name,
    cells: cell.state === 'ok'
      ? METRICS.map((metric) => standingCells(workload, arm, metric))
      : [note(badge(stateWord(cell)), {colspan: 3, class: 'first'}),
         note(cell.why, {colspan: rest})],
  };
}

/* What an arm and its twin differ by is noise. */
function twinRow(workload, twin) {
  return {
    head: `${twin.twin_of} again`, class: 'twin',
    cells: METRICS.map((metric) => [
      medianCell(workload, twin, metric), note(''), note('A/A'),
      metric === CPU && note('the same once more: what it differs by is noise', {class: 'why'}),
    ]),
  };
}

function standingsTable(workload, number) {
  const twins = allArms.filter((arm) => arm.twin_of && cellOf(workload, arm).state === 'ok');
  const columns = METRICS.flatMap((metric) => [
    {title: 'Median', class: 'figure first'}, {title: 'To the best', class: 'figure'},
    {title: 'Verdict'}, ...(metric === CPU ? [{title: 'Why'}] : [])]);
  return table({
    id: `standings-${number}`,
    caption: 'Standings: medians, paired differences to the best with their intervals, verdicts',
    groups: METRICS.map((metric) => metric === CPU ? {title: cpuTitle(workload), span: 4}
                                                   : {title: metric.title, span: 3}),
    columns: [{title: 'Arm'}, ...columns],
    rows: [...inOrder(workload).map((arm) => standingRow(workload, arm)),
           ...twins.map((twin) => twinRow(workload, twin))],
  });
}

/* ---- all figures ---- */

/* Groups of columns; a column is the key of the median, its title, and how to write it. */
function figureGroups(workload) {
  const per = workload.idle ? 'per second' : 'per message';
  return [
    ['Latency', ['p50_ns', 'p50', time], ['p99_ns', 'p99', time], ['p999_ns', 'p99.9', time]],
    [`CPU ${per}`, ['user_ns', 'User', cpu], ['system_ns', 'System', cpu]],
    [`System calls ${per}`, ...['wait', 'ctl', 'accept', 'recv', 'send', 'other']
      .map((kind) => [`calls.${kind}`, kind, count])],
    [`Switches ${per}`, ['wakeups', 'Wake-ups', count], ['voluntary', 'Voluntary', count],
     ['involuntary', 'Involuntary', count]],
    ['Memory', ['memory_bytes', 'At most', bytes], ['per_connection', 'Per connection', bytes]],
    ['Busy, of a CPU', ['server_busy', 'Server', percent], ['client_busy', 'Client', percent]],
    ['Per run', ['messages', 'Messages', count]],
  ];
}

function figuresTable(workload, number) {
  const groups = figureGroups(workload);
  const columns = groups.flatMap(([, ...inside]) => inside);
  return table({
    id: `figures-${number}`, caption: 'All figures: medians over the rounds',
    groups: [...groups.map(([title, ...inside]) => ({title, span: inside.length})),
             {title: '', span: 1}],
    columns: [{title: 'Arm'}, ...columns.map(([, title]) => ({title, class: 'figure'})),
              {title: 'Rounds', class: 'figure'}],
    rows: allArms.filter((arm) => cellOf(workload, arm).state === 'ok').map((arm) => ({
      head: arm.twin_of ? `${arm.twin_of} again` : arm.name, class: arm.twin_of && 'twin',
      cells: [
        ...columns.map(([key, , format]) => figure(format(medianOf(workload, arm, key), workload),
                                                   [workload.name, arm.name, key])),
        figure(whole(list(cellOf(workload, arm).samples).length)),
      ],
    })),
  });
}

/* ---- the entry ---- */

function workloadPlot(workload, number) {
  const metric = METRICS.find((m) => barRows(workload, m).length > 0);
  if (!metric)
    return null;
  const {floor} = contestOf(workload, metric);
  return plotFrame({
    title: metric === CPU ? cpuTitle(workload) : metric.title, level: 4,
    says: 'Bars: medians. Lines: the interval of the paired difference to the best. Dots: the ' +
          `rounds. ${isNumber(floor) ? `Shaded: the noise, ±${percent(floor)}. ` : ''}` +
          'Hatched: a tie; chequered: cannot tell.',
    height: barHeight(workload, metric), make: () => bars(workload, metric),
    tableId: `standings-${number}`,
  });
}

function workloadEntry(workload, number) {
  const absent = absentOf(workload);
  return el('details', {class: 'workload', open: number === 0, id: entryId(workload)},
    el('summary', {}, el('h3', {}, workload.name), badge(outcomeOf(workload, CPU).kind),
       el('span', {class: 'workload-title'}, workload.title)),
    el('p', {}, sentenceOf(workload), absent && ` (${absent}.)`),
    el('p', {class: 'soft'}, 'Asked with ',
       el('code', {}, `-w '${workload.name}=${workload.spec}'`),
       METRICS.slice(1).map((metric) => [' · ', inBrief(workload, metric)])),
    workloadPlot(workload, number), standingsTable(workload, number),
    folded('All figures', figuresTable(workload, number)));
}

function buildWorkloads(body) {
  const entries = workloads.map(workloadEntry);
  const open = (yes) => () => entries.forEach((entry) => {
    entry.open = yes;
  });
  add(body, el('p', {class: 'controls'},
    el('button', {type: 'button', onclick: open(true)}, 'Open all'),
    el('button', {type: 'button', onclick: open(false)}, 'Close all')), entries);
  return workloads.length > 0 && allArms.length > 0;
}
