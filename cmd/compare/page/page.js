/* SPDX-License-Identifier: MIT */
/* The page put together. */
'use strict';

/* ---- the head ---- */

function when() {
  const date = new Date(results.started);
  if (Number.isNaN(date.getTime()))
    return UNKNOWN;
  return new Intl.DateTimeFormat('en-GB', {dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC'})
    .format(date) + ' UTC';
}

function notice(title, words) {
  return el('p', {class: 'notice'}, strong(title), ' ', words);
}

function buildHead() {
  const machine = results.machine || {};
  const method = results.method || {};
  const processor = machine.cpu || {};
  byId('version').textContent = text(results.version);
  add(byId('what'),
    strong(plural(arms.length, 'server')), ' under ',
    strong(plural(workloads.length, 'workload')), ', in up to ',
    strong(plural(method.rounds, 'round')), ', measured in ',
    strong(seconds(results.took_seconds)), '. ', overall());
  add(byId('facts'), [
    when(), machine.hostname, [machine.system, machine.kernel].filter(Boolean).join(' '),
    processor.count && `${whole(processor.count)} × ${processor.model || machine.architecture}`,
    machine.virtual, machine.container,
    {lo: 'loopback', netns: 'two network namespaces'}[method.net],
  ].filter(Boolean).map((fact) => el('li', {}, fact)));
  document.title = `Pollux: which model wins, ${text(machine.hostname)}, ${when()}`;
}

function buildNotices() {
  const caveats = list(results.caveats).length;
  add(byId('notices'),
    results.partial && notice('Partial.',
      'The run was interrupted: what was measured until then is here.'),
    results.quick && notice('Quick.', 'Few rounds of short runs: more differences are ' +
      '“cannot tell” than a longer run would leave.'),
    !hasPlots && notice('The plots are missing:', 'this Pollux was built without Chart.js ' +
      '(Debian: libjs-chart.js). All figures are in the tables.'),
    caveats > 0 && el('p', {class: 'notice'},
      el('a', {href: '#caveats'}, plural(caveats, 'caveat')), ' fired in this run.'));
}

/* ---- all of it ---- */

/* A section that has nothing to say is left out, of the list of sections too. */
function build() {
  const sections = [
    ['short', buildShort], ['side', buildSide], ['sweeps', buildSweeps],
    ['spectrum', buildSpectrum], ['map', buildMap], ['workloads', buildWorkloads],
    ['claims', buildClaims], ['caveats', buildCaveats], ['machine', buildMachine],
    ['method', buildMethod], ['repeat', buildRepeat],
  ];
  for (const [id, fill] of sections) {
    const section = byId(id);
    if (!fill(section.querySelector('.body, .claims') || section)) {
      section.remove();
      continue;
    }
    add(byId('contents'), el('li', {}, el('a', {href: `#${id}`}, section.dataset.short)));
  }
}

/* On paper everything is open and light. */
let unfolded = [];

addEventListener('beforeprint', () => {
  unfolded = [...document.querySelectorAll('details:not([open])')];
  unfolded.forEach((details) => {
    details.open = true;
  });
  applyTheme('light');
  if (hasPlots)
    plots.forEach(draw);
});

addEventListener('afterprint', () => {
  unfolded.forEach((details) => {
    details.open = false;
  });
  applyTheme();
});

/* A link to a workload opens it. */
function openTarget() {
  const target = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === 'DETAILS') {
    target.open = true;
    target.scrollIntoView();
  }
}

addEventListener('hashchange', openTarget);

addEventListener('themechange', () => redraw(plots));
buildTheme();
buildHead();
buildNotices();
build();
openTarget();
