/* SPDX-License-Identifier: MIT */
/*
 * The document (docs/comparing.md), made easy to ask. What is not known is null, and n/a on the
 * page.
 */
'use strict';

const results = JSON.parse(document.getElementById('results').textContent);

/* ---- differences ---- */

/* Percentages stop being read at about three times as much. */
const inTimes = (ratio) => ratio >= 3 || ratio <= 1 / 3;

function oneDifference(ratio, times) {
  if (!isNumber(ratio))
    return UNKNOWN;
  if (times)
    return digits(ratio) + '×';
  const n = (ratio - 1) * 100;
  const text = Math.abs(n).toFixed(Math.abs(n) < 9.95 ? 1 : 0);
  return (Number(text) === 0 ? '±' : n < 0 ? MINUS : '+') + text + NBSP + '%';
}

const difference = (ratio) => oneDifference(ratio, inTimes(ratio));

/* "+2.0 % to +6.1 %", in the same terms as the difference that it belongs to. */
function interval(standing) {
  const times = inTimes(standing.ratio);
  if (!isNumber(standing.low) || !isNumber(standing.high))
    return UNKNOWN;
  return `${oneDifference(standing.low, times)} to ${oneDifference(standing.high, times)}`;
}

/* ---- what was asked: by names ---- */

const allArms = list(results.arms);
const absentArms = allArms.filter((arm) => arm.runs === false);
const arms = allArms.filter((arm) => !arm.twin_of && arm.runs !== false);
const workloads = list(results.workloads);

const keyOf = (...names) => JSON.stringify(names);
const cells = new Map(list(results.cells).map((c) => [keyOf(c.workload, c.arm), c]));
const contests = new Map(list(results.contests).map((c) => [keyOf(c.workload, c.metric), c]));

function cellOf(workload, arm) {
  return cells.get(keyOf(workload.name, arm.name)) || {state: 'empty', samples: []};
}

function contestOf(workload, metric) {
  return contests.get(keyOf(workload.name, metric.name)) ||
    {held: false, not_held: 'not measured', standings: []};
}

function standingOf(workload, metric, arm) {
  return list(contestOf(workload, metric).standings).find((s) => s.arm === arm.name);
}

/* The median over the rounds of a figure of the samples, or of a kind of call. */
function medianOf(workload, arm, key) {
  const median = cellOf(workload, arm).median || {};
  const value = key.startsWith('calls.') ? (median.calls || {})[key.slice(6)] : median[key];
  return isNumber(value) ? value : null;
}

/* ---- what is judged ---- */

/* An idle workload has no messages: its CPU is per second, a share of one CPU. */
const cpu = (n, workload) =>
  workload && workload.idle ? percent(isNumber(n) ? n / 1e9 : null) : time(n);

const METRICS = [
  {name: 'cpu', key: 'cpu_ns', title: 'CPU per message', short: 'CPU', format: cpu, more: 'more'},
  {name: 'rate', key: 'rate', title: 'Rate', short: 'Rate', format: rate, more: 'less'},
  {name: 'p99', key: 'p99_ns', title: 'p99 latency', short: 'p99', format: time, more: 'more'},
];
const [CPU, , P99] = METRICS;
const metricOptions = METRICS.map((m) => ({value: m.name, title: m.title}));

const cpuTitle = (workload) => workload.idle ? 'CPU while idle' : 'CPU per message';

/* ---- what a workload is ---- */

const isActive = (w) => !(w.active < w.connections);

function loadWords(w) {
  const how = {pingpong: 'Ping-pong', pipeline: `Pipelined by ${w.pipeline}`, stream: 'Streaming',
               connect: 'Short connections'}[w.mode] || String(w.mode);
  const words = [how, isActive(w) ? 'all connections active' : `${whole(w.active)} active`];
  if (w.half)
    words.push('at half of the slowest one’s rate');
  else if (isNumber(w.rate))
    words.push(`at ${rate(w.rate)}`);
  return words.join(', ');
}

/* ---- latencies: a histogram is [low, high, count]... of all rounds ---- */

const histogramOf = (workload, arm) => {
  const buckets = cellOf(workload, arm).latency;
  return Array.isArray(buckets) && buckets.length > 0 ? buckets : null;
};

const totalOf = (buckets) => buckets.reduce((sum, bucket) => sum + bucket[2], 0);

/* The smallest value that the share `q` of all do not exceed: the middle of its bucket. */
function quantile(buckets, q) {
  let rank = Math.max(1, Math.ceil(q * totalOf(buckets)));
  for (const [low, high, n] of buckets) {
    rank -= n;
    if (rank <= 0)
      return (low + high) / 2;
  }
  return buckets[buckets.length - 1][1];
}

/* ---- sweeps: workloads that are points of one, in order ---- */

function sweepsOf() {
  const sweeps = new Map();
  for (const w of workloads) {
    if (!w.sweep || !isNumber(w.at))
      continue;
    if (!sweeps.has(w.sweep))
      sweeps.set(w.sweep, []);
    sweeps.get(w.sweep).push(w);
  }
  return [...sweeps].filter(([, points]) => points.length >= 2)
    .map(([name, points]) => ({name, points: points.sort((a, b) => a.at - b.at)}));
}

const sweeps = sweepsOf();
const inSweep = new Set(sweeps.flatMap((sweep) => sweep.points));
