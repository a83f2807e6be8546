/* SPDX-License-Identifier: MIT */
/* The page put together. */
'use strict';

function notice(title, ...words) {
  return el('p', {class: 'notice'}, strong(title), ' ', words);
}

const SCENARIOS = {
  exchange: 'the same clients talked to an echo server under each model: one that is late, two ' +
    'at once, one with a message larger than the socket’s buffers, one that half-closes and one ' +
    'that resets.',
  buffer: 'a message larger than the free socket buffer is written under each model.',
};

function buildHead() {
  const what = SCENARIOS[trace.scenario];
  byId('version').textContent = trace.version || '';
  add(byId('what'), strong(plural(models.length, 'model')),
      models.length > 1 ? ', one real run each: ' : ': ',
      what || 'what a server did last, system call by system call.',
      ' Every bar is a measured call.');
  add(byId('facts'), [trace.machine_line, list(trace.command).join(' ')].filter(Boolean)
    .map((fact) => el('li', {}, fact)));
  document.title = `Pollux: what ${models.length === 1 ? models[0].name : 'each model'} does`;
}

function buildNotices() {
  const why = (m) => [m.reason, m.remedy].filter(Boolean).join('; ') || UNKNOWN;
  const because = (m) => `${m.name} (${why(m)})`;
  add(byId('notices'),
    absentModels.length > 0 && notice('Not here:', series(absentModels.map(because)), '.'),
    [...models, ...emptyModels].filter((m) => m.complaint)
      .map((m) => notice(`${m.name}:`, m.complaint)),
    models.filter((m) => m.lost > 0).map((m) =>
      notice(`${m.name}:`,
             `${plural(m.lost, 'event')} were overwritten before they could be read.`)),
    models.length === 0 && notice('Nothing was recorded.', 'There is nothing to draw.'));
}

/* ---- on paper everything is there, light, and unveiled ---- */

/* px that are free on a page below the title; paper is A4 or letter, across. */
const PAPER = {width: 930, height: 460};

let unfolded = [];

/* As many columns in a row as there is room for, each row on a page and with the clients beside. */
function layOnPaper() {
  const [clock, ...columns] = document.querySelectorAll('#stage .column');
  if (!clock)
    return;
  const zoom = Math.min(Math.max(PAPER.height / (stage.axis.height + 106), 0.35), 0.65);
  const rows = [];
  let free = 0;
  for (const column of columns) {
    if (rows.length === 0 || column.offsetWidth > free) {
      rows.push(el('div', {class: 'sheet'}, clock.cloneNode(true)));
      free = PAPER.width / zoom - CLOCK;
    }
    rows[rows.length - 1].append(column);
    free -= column.offsetWidth;
  }
  byId('stage').replaceChildren(...rows);
  rows.forEach((row) => {
    row.style.zoom = zoom;
  });
}

addEventListener('beforeprint', () => {
  if (models.length > 0)
    leave();
  unfolded = [...document.querySelectorAll('details:not([open])')];
  unfolded.forEach((details) => {
    details.open = true;
  });
  applyTheme('light');
  layOnPaper();
});

addEventListener('afterprint', () => {
  unfolded.forEach((details) => {
    details.open = false;
  });
  applyTheme();
  if (models.length > 0)
    refresh();
});

buildTheme();
buildHead();
buildNotices();
if (models.length > 0) {
  buildScenes();
  buildDetail();
  buildModels();
  buildPlayer();
  buildLegend();
  buildFacts();
  refresh();
} else {
  ['drawing', 'compared', 'words'].forEach((id) => byId(id).remove());
}
