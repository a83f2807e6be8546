/* SPDX-License-Identifier: MIT */
/* The plots: bars with intervals, lines over a sweep, the spectrum of latencies. */
'use strict';

/* ---- a workload's arms by a metric: bars, intervals, rounds ---- */

/* The interval is one of the ratio to the best; laid on the bar, it ends where the bar would. */
function whiskers(standing) {
  const {value, ratio, low, high} = standing;
  return [ratio, low, high].every(isNumber) && ratio > 0
    ? [value * low / ratio, value * high / ratio] : null;
}

function pattern(tone) {
  const tile = el('canvas', {width: 8, height: 8});
  const ctx = tile.getContext('2d');
  ctx.fillStyle = token('panel');
  ctx.fillRect(0, 0, 8, 8);
  ctx.strokeStyle = token(tone);
  ctx.fillStyle = token(tone);
  ctx.lineWidth = 2.5;
  if (tone === 'tie') {
    ctx.beginPath();
    for (const x of [-8, 0, 8]) {
      ctx.moveTo(x - 1, 9);
      ctx.lineTo(x + 9, -1);
    }
    ctx.stroke();
  } else {
    ctx.fillRect(1, 1, 2.5, 2.5);
    ctx.fillRect(5, 5, 2.5, 2.5);
  }
  return ctx.createPattern(tile, 'repeat');
}

function barFill(verdict) {
  const {tone} = SIGNS[verdict] || SIGNS['NOT MEASURED'];
  return tone === 'tie' || tone === 'unclear' ? pattern(tone) : token(tone);
}

/* Over the bars: the band of noise, each round as a dot, the interval, the figure and verdict. */
const barMarks = {
  id: 'barMarks',
  beforeDatasetsDraw(chart, _, {floor, best}) {
    const {ctx, chartArea: {top, bottom, left, right}, scales: {x}} = chart;
    if (!isNumber(floor) || !isNumber(best))
      return;
    const from = Math.max(left, x.getPixelForValue(best * (1 - floor)));
    const to = Math.min(right, x.getPixelForValue(best * (1 + floor)));
    ctx.save();
    ctx.fillStyle = token('band');
    ctx.fillRect(from, top, Math.max(1, to - from), bottom - top);
    ctx.restore();
  },
  afterDatasetsDraw(chart, _, {rows, metric, workload}) {
    const {ctx, chartArea, scales: {x}} = chart;
    const wide = chart.width >= 560;
    ctx.save();
    ctx.font = `12px ${Chart.defaults.font.family}`;
    ctx.textBaseline = 'middle';
    chart.getDatasetMeta(0).data.forEach((bar, i) => {
      const {standing, rounds} = rows[i];
      const ends = whiskers(standing);
      const inside = (v) =>
        Math.min(chartArea.right, Math.max(chartArea.left, x.getPixelForValue(v)));
      ctx.fillStyle = token('text');
      ctx.globalAlpha = 0.45;
      for (const v of rounds.filter((r) => x.getPixelForValue(r) <= chartArea.right)) {
        ctx.beginPath();
        ctx.arc(inside(v), bar.y, 1.6, 0, 7);
        ctx.fill();
      }
      ctx.globalAlpha = 1;
      if (ends && standing.verdict !== 'BEST')
        whisker(ctx, inside(ends[0]), inside(ends[1]), bar.y);
      const {sign} = SIGNS[standing.verdict] || {sign: ''};
      const beside = standing.verdict === 'BEST' ? 'best' : difference(standing.ratio);
      const label = `${sign} ${metric.format(standing.value, workload)}`;
      ctx.fillText(wide ? `${label}  ${beside}` : label, chartArea.right + 8, bar.y);
    });
    ctx.restore();
  },
};

function whisker(ctx, from, to, y) {
  for (const [color, width] of [[token('panel'), 5], [token('text'), 1.75]]) {
    ctx.strokeStyle = color;
    ctx.lineWidth = width;
    ctx.beginPath();
    ctx.moveTo(from, y);
    ctx.lineTo(to, y);
    ctx.moveTo(from, y - 5);
    ctx.lineTo(from, y + 5);
    ctx.moveTo(to, y - 5);
    ctx.lineTo(to, y + 5);
    ctx.stroke();
  }
}

function barRows(workload, metric) {
  const way = metric.name === 'rate' ? -1 : 1;
  return list(contestOf(workload, metric).standings)
    .filter((s) => isNumber(s.value))
    .sort((a, b) => way * (a.value - b.value))
    .map((standing) => ({
      standing,
      rounds: list(cellOf(workload, {name: standing.arm}).samples)
        .map((sample) => sample[metric.key]).filter(isNumber),
    }));
}

function bars(workload, metric) {
  const contest = contestOf(workload, metric);
  const rows = barRows(workload, metric);
  const most = Math.max(...rows.map((r) => r.standing.value));
  const end = (standing) => (whiskers(standing) || [0, 0])[1];
  /* One interval that says nothing must not squeeze all bars. */
  const reach = Math.max(most, ...rows.map((r) => Math.min(1.3 * most, end(r.standing))));
  const best = rows.find((r) => r.standing.verdict === 'BEST');
  return {
    type: 'bar',
    data: {
      labels: rows.map((r) => r.standing.arm),
      datasets: [{
        label: metric.title, data: rows.map((r) => r.standing.value),
        backgroundColor: rows.map((r) => barFill(r.standing.verdict)),
        borderColor: rows.map((r) => token((SIGNS[r.standing.verdict] || SIGNS.EXCLUDED).tone)),
        borderWidth: 1.5, borderSkipped: false, barPercentage: 0.86, categoryPercentage: 0.86,
      }],
    },
    options: {
      indexAxis: 'y',
      layout: {padding: {right: innerWidth >= 720 ? 132 : 78}},
      scales: {
        x: axis(null, {beginAtZero: true, max: reach * 1.03,
                       ticks: {maxTicksLimit: 7, includeBounds: false,
                               callback: (v) => v ? atMark(metric.format(v, workload)) : '0'}}),
        y: axis(null, {grid: {display: false}, ticks: {
          color: token('text'), autoSkip: false,
          callback: (_, i) => shortened(rows[i].standing.arm, 18),
        }}),
      },
      plugins: {
        tooltip: tooltip(({dataIndex}) => {
          const s = rows[dataIndex].standing;
          return `${metric.format(s.value, workload)}, ${s.verdict}` +
            (s.verdict === 'BEST' ? '' : ` ${difference(s.ratio)} (${interval(s)})`);
        }),
        barMarks: {rows, metric, workload, floor: contest.floor,
                   best: best && best.standing.value},
      },
    },
    plugins: [barMarks],
  };
}

const barHeight = (workload, metric) => 44 + 26 * barRows(workload, metric).length;

/* ---- a sweep ---- */

const sweepAxis = (sweep) => sweep.name === 'size' ? 'Bytes of a message'
  : sweep.name.charAt(0).toUpperCase() + sweep.name.slice(1);
const sweepAt = (sweep, n) => sweep.name === 'size' ? binary(n) : whole(n);

function sweepChart(sweep, metric) {
  const ats = sweep.points.map((p) => p.at);
  const value = (point, arm) => {
    const n = medianOf(point, arm, metric.key);
    return n > 0 ? n : null; /* there is no 0 on a logarithmic axis */
  };
  const datasets = arms.filter((arm) => shown.has(arm.name)).map((arm) =>
    lineOf(arm, sweep.points.map((p) => ({x: p.at, y: value(p, arm)}))));
  return {
    type: 'line',
    data: {datasets},
    options: {
      layout: {padding: {right: endRoom(), top: 6}},
      interaction: {mode: 'nearest', intersect: false},
      scales: {
        x: axis(sweepAxis(sweep), {
          type: 'logarithmic', min: ats[0], max: ats[ats.length - 1],
          afterBuildTicks: (scale) => {
            scale.ticks = ats.map((v) => ({value: v}));
          },
          ticks: {callback: (v) => sweepAt(sweep, v)},
        }),
        y: axis(null, {type: 'logarithmic', ticks: {callback: logTicks((v) => metric.format(v))}}),
      },
      plugins: {tooltip: tooltip(({dataset, parsed}) =>
        ` ${dataset.label}: ${metric.format(parsed.y)}`)},
    },
    plugins: [endLabels],
  };
}

/* ---- latencies: the share of messages that took longer, from half of them to one in n ---- */

/* 90 %, 99 %, 99.9 % and so on as 10, 100, 1000: one of so many messages took longer. */
const oneIn = (n) => n <= 1 ? '0 %' : `${Number((100 - 100 / n).toFixed(6))}${NBSP}%`;

const DECADES = [2, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
const POINTS = 160;

/* As many points as can be told apart on paper, and one with a marker at each of the DECADES. */
function spectrumOf(buckets) {
  const total = totalOf(buckets);
  const points = [{x: 1, y: buckets[0][0]}];
  let passed = 0;
  let next = 1;
  for (const [low, high, n] of buckets) {
    for (const at of DECADES.filter((d) => d <= total)) {
      const rank = Math.max(1, Math.ceil((1 - 1 / at) * total));
      if (rank > passed && rank <= passed + n)
        points.push({x: at, y: (low + high) / 2, marked: true});
    }
    passed += n;
    const x = passed < total ? total / (total - passed) : total;
    if (x >= next || passed === total) {
      points.push({x, y: passed < total ? (low + high) / 2 : high});
      next = x * total ** (1 / POINTS);
    }
  }
  return points.sort((a, b) => a.x - b.x || a.y - b.y);
}

function spectrumChart(workload) {
  const measured = arms.filter((arm) => shown.has(arm.name) && histogramOf(workload, arm));
  const all = arms.map((arm) => histogramOf(workload, arm)).filter(Boolean).map(totalOf);
  const most = Math.max(10, ...all);
  const datasets = measured.map((arm) => {
    const data = spectrumOf(histogramOf(workload, arm));
    return lineOf(arm, data, {pointRadius: data.map((p) => p.marked ? 4 : 0),
                              pointHitRadius: 4, tension: 0});
  });
  return {
    type: 'line',
    data: {datasets},
    options: {
      layout: {padding: {right: endRoom(), top: 6}},
      interaction: {mode: 'nearest', intersect: false},
      scales: {
        x: axis('Share of the messages that were faster', {
          type: 'logarithmic', min: 1, max: most,
          afterBuildTicks: (scale) => {
            scale.ticks = [1, ...DECADES].filter((v) => v <= most).map((value) => ({value}));
          },
          ticks: {callback: oneIn},
        }),
        y: axis(null, {type: 'logarithmic', ticks: {callback: logTicks(time)}}),
      },
      plugins: {tooltip: tooltip(({dataset, parsed}) =>
        ` ${dataset.label}: ${oneIn(parsed.x)} within ${time(parsed.y)}`)},
    },
    plugins: [endLabels],
  };
}
