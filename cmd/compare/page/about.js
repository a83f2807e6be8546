/* SPDX-License-Identifier: MIT */
/* What stands around the figures: claims, caveats, the machine, the method, how to repeat it. */
'use strict';

/* ---- claims, caveats ---- */

function buildClaims(listNode) {
  add(listNode, list(results.claims).map((claim) => el('li', {value: claim.number},
    el('div', {class: 'claim-head'},
       el('p', {class: 'claim-text'}, claim.text), badge(claim.answer)),
    claim.figures && el('p', {class: 'claim-figures'}, claim.figures))));
  return listNode.childElementCount > 0;
}

function buildCaveats(body) {
  const caveats = list(results.caveats);
  add(body, caveats.length === 0 ? el('p', {}, 'None fired.')
    : el('dl', {class: 'caveats'}, caveats.map((caveat) =>
      el('div', {}, el('dt', {}, caveat.name), el('dd', {}, caveat.text)))));
  return true;
}

/* ---- the machine ---- */

const isUnknown = (value) => value === null || value === undefined || value === '';
const text = (value) => isUnknown(value) ? UNKNOWN : String(value);
const switched = (value) => isUnknown(value) ? UNKNOWN : value ? 'yes' : 'no';
const limit = (format) => (value) => typeof value === 'string' ? value : format(value);
const plainNumber = (value) => isNumber(value) ? digits(value) : UNKNOWN;
const triple = (format) => (value) =>
  Array.isArray(value) ? value.map(format).join(' / ') : UNKNOWN;
const clock = (mhz) => isNumber(mhz) ? scaled(mhz * 1e6, [[1e9, 'GHz'], [1e6, 'MHz']]) : UNKNOWN;
const seen = (format) => (value) => isUnknown(value) ? 'none seen' : format(value);
const range = (value) => Array.isArray(value) ? value.join(' to ') : UNKNOWN;

/* Path in the machine's object, label, how to write it. */
const MACHINE = [
  ['System', [
    ['hostname', 'Host', text], ['system', 'System', text], ['kernel', 'Kernel', text],
    ['kernel_version', 'Kernel build', text], ['architecture', 'Architecture', text],
    ['command_line', 'Kernel command line', text], ['virtual', 'Virtual machine', seen(text)],
    ['container', 'Container', seen(text)],
    ['load_average', 'Load average (1, 5, 15 min)', triple(plainNumber)],
    ['uptime_seconds', 'Up for', (v) => isNumber(v) ? `${digits(v / 3600)}${NBSP}h` : UNKNOWN]]],
  ['Processor and memory', [
    ['cpu.model', 'Processor', text], ['cpu.count', 'CPUs online', whole],
    ['cpu.allowed', 'CPUs allowed', text], ['cpu.mhz', 'Clock now', clock],
    ['cpu.governor', 'Governor', text], ['cpu.smt', 'SMT', text],
    ['cpu.numa_nodes', 'NUMA nodes', whole],
    ['memory_bytes', 'Memory', binary], ['page_size', 'Page', binary]]],
  ['Limits', [
    ['limits.nofile_soft', 'Open files, soft', limit(whole)],
    ['limits.nofile_hard', 'Open files, hard', limit(whole)],
    ['limits.memlock_bytes', 'Locked memory', limit(binary)],
    ['limits.seccomp', 'Seccomp', (v) => ['none', 'strict', 'filter'][v] || text(v)],
    ['limits.io_uring_disabled', 'io_uring_disabled', text],
    ['limits.cgroup_cpu_quota', 'CPU quota', seen((n) => `${digits(n)} CPUs`)],
    ['limits.cgroup_memory_bytes', 'Memory limit', seen(binary)],
    ['limits.somaxconn', 'somaxconn', whole], ['limits.ip_local_port_range', 'Local ports', range],
    ['limits.tcp_tw_reuse', 'tcp_tw_reuse', text],
    ['limits.tcp_rmem', 'tcp_rmem (least / default / most)', triple(binary)],
    ['limits.tcp_wmem', 'tcp_wmem (least / default / most)', triple(binary)]]],
  ['Build', [
    ['build.version', 'Pollux', text], ['build.revision', 'Revision', text],
    ['build.dirty', 'Modified', switched], ['build.compiler', 'Compiler', text],
    ['build.type', 'Kind of build', text], ['build.flags', 'Flags', text]]],
];

const follow = (object, path) =>
  path.split('.').reduce((at, key) => isUnknown(at) ? at : at[key], object);

function definitions(rows) {
  return el('dl', {class: 'pairs'}, rows.map(([term, description]) =>
    el('div', {}, el('dt', {}, term), el('dd', {}, description))));
}

function buildMachine(body) {
  const machine = results.machine || {};
  const mitigations = Object.entries(machine.mitigations || {});
  add(body, el('div', {class: 'panels'}, MACHINE.map(([title, rows]) =>
    el('div', {class: 'panel'}, el('h3', {}, title),
      definitions(rows.map(([path, label, format]) => [label, format(follow(machine, path))]))))),
    mitigations.length > 0 && folded('Mitigations of the processor’s faults',
                                     definitions(mitigations.map(([k, v]) => [k, text(v)]))));
  return Object.keys(machine).length > 0;
}

/* ---- the method ---- */

const NETS = {
  lo: 'the loopback device: the sender pays for the receiver’s share of the network stack',
  netns: 'a pair of virtual devices between two network namespaces of this machine: no wire, no card',
};

function methodParagraphs(m) {
  const twin = (allArms.find((arm) => arm.twin_of) || {}).twin_of;
  const confidence = isNumber(m.confidence) ? atMark(percent(m.confidence)) : UNKNOWN;
  return [
    ['Turns', `Every arm is a server started anew for each run, on its own. In each round all arms
      of a workload run once, in an order drawn anew (seed ${text(m.seed)}), so that what drifts on
      the machine falls on all alike. The busiest workload had ${plural(m.rounds, 'round')}. A run
      is ${seconds(m.warmup_seconds)} of warm-up, which is dropped, and
      ${seconds(m.measure_seconds)} that
      count${isNumber(m.idle_seconds) ? `, ${seconds(m.idle_seconds)} when idle` : ''}. The whole
      had a budget of ${seconds(m.budget_seconds)}.`],
    ['Right before fast', `Every byte of every answer is verified. An arm that answers wrongly, does
      not start, or dies is INVALID, with its last words, and has no figure.`],
    ['CPU per message', `The server’s user and system time with all its threads, processes and
      kernel workers, divided by the messages answered in that time. In the idle workload nothing is
      sent, and it is the share of one CPU.`],
    ['Closed and open loop', `In the closed loop each connection sends when it has its answer: that
      finds the most a server can do. At a fixed rate a message’s latency counts from the moment at
      which it was due, so a server that stalls is charged for all who waited.`],
    ['Differences', `An arm is compared with the best one round by round, as a ratio: the figure
      given is the median of these ratios with its ${confidence} interval, from
      ${whole(m.resamples)} resamples (bootstrap).`],
    ['Noise', !twin ? 'No arm ran twice (A/A), so how large the noise is was not measured.'
      : `One arm, ${twin}, runs twice under two names (A/A). What the two differ by is the floor of
      that workload: no smaller difference is called one. The shaded band in the bars is this floor
      around the best.`],
    ['Where', `The network is ${NETS[m.net] || text(m.net)}. Pinning is ${text(m.pin)}: servers on
      CPU ${m.server_cpus || 'any'}, the client on CPU ${m.client_cpus || 'any'}. A client that is
      itself at its limit makes the rate say nothing about the server: then rates are not
      compared.`],
  ];
}

function buildMethod(body) {
  const oneLine = (words) => words.replace(/\s*\n\s+/g, ' ');
  const paragraphs = methodParagraphs(results.method || {});
  add(body, el('dl', {class: 'method'}, paragraphs.map(([term, words]) =>
    el('div', {}, el('dt', {}, term), el('dd', {}, oneLine(words))))));
  return true;
}

/* ---- again ---- */

/* As a shell takes it. */
function commandLine() {
  const line = results.command_line;
  if (!Array.isArray(line))
    return text(line);
  return line.map((word) => /^[\w@%+=:,./-]+$/.test(word) ? word
    : `'${word.replace(/'/g, `'\\''`)}'`).join(' ');
}

/* Compact, as it is in this file; the browser makes the file, and asks nobody for it. */
function saveData() {
  const url = URL.createObjectURL(new Blob([JSON.stringify(results)], {type: 'application/json'}));
  const link = el('a', {href: url, download: 'results.json'});
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function buildRepeat(body) {
  const code = (line) => el('pre', {tabindex: '0'}, el('code', {}, line));
  add(body,
    el('p', {}, 'What was run:'), code(commandLine()),
    el('p', {}, 'The same again, here or elsewhere, judged against these figures: it says ',
       strong('REPRODUCED'), ', ', strong('NOT REPRODUCED'), ' or ', strong('DIFFERENT MACHINE'),
       '. The script repeat.sh beside this file does just this.'),
    code('pollux compare --repeat results.json'),
    el('p', {}, 'All of the data, each run of each arm included, is also inside of this page: ',
       el('button', {type: 'button', onclick: saveData}, 'Save results.json')));
  return true;
}
