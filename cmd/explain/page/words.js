/* SPDX-License-Identifier: MIT */
/* The facts of each model in a table, and the run in words for those who do not see it drawn. */
'use strict';

const number = (n) => isNumber(n) ? digits(n) : UNKNOWN;
const yesNo = (value, yes, no) => value === true ? yes : value === false ? no : UNKNOWN;

/* Of the message that the facts are about, the first one. */
function copyingTime(model, ns) {
  return (isNumber(ns) && wakesToo(list(model.messages)[0]) ? '≤' + NBSP : '') + time(ns);
}

function factsRow(model) {
  const f = model.facts || {};
  return {
    head: model.name,
    cells: [
      note(f.waits || UNKNOWN), figure(time(f.waiting_ns)),
      note(f.copies || UNKNOWN), figure(copyingTime(model, f.copying_ns)),
      note(yesNo(f.blocked, 'blocked', 'not blocked')),
      note(yesNo(f.synchronous, 'synchronous', 'asynchronous')),
      figure(number(f.calls_per_small_message)), figure(number(f.calls_per_message)),
      figure(whole(f.system_calls)), figure(isNumber(f.queue_peak) ? exact(f.queue_peak) : UNKNOWN),
    ],
  };
}

function buildFacts() {
  add(byId('facts-table'), table({
    id: 'facts-figures',
    caption: 'What was seen in each model',
    columns: [
      {title: 'Model'}, {title: 'waits'}, {title: 'for', class: 'figure'}, {title: 'copies'},
      {title: 'for', class: 'figure'}, {title: 'while it waits'}, {title: 'by POSIX'},
      {title: 'late client’s', class: 'figure',
       hint: 'System calls for the message of the late client'},
      {title: 'mean', class: 'figure', hint: 'System calls divided by messages, of the whole run'},
      {title: 'whole run', class: 'figure'},
      {title: 'Queue, at most', class: 'figure',
       hint: 'Output of a connection that its socket did not take'},
    ],
    groups: [{title: 'Phase 1: until data is there', span: 2},
             {title: 'Phase 2: kernel to process', span: 2},
             {title: 'The process is', span: 2}, {title: 'System calls', span: 3},
             {title: '', span: 1}],
    rows: models.map(factsRow),
  }));
  const said = (m) => String(m.facts.sentence).replace(`${m.name}: `, '');
  add(byId('in-short'), models.map((m) => m.facts && m.facts.sentence &&
    el('li', {}, strong(m.name), ': ', said(m))));
}

/* The lists of the scene that is drawn. */
function tellInWords() {
  byId('word-lists').replaceChildren(...stage.parts.map((part) =>
    folded(`${part.model.name}: ${part.scene.title}`,
      el('ol', {class: 'told'}, playSteps(part).map((s) =>
        el('li', {}, el('span', {class: 'when'}, time(s.at)), ' ', s.sentence))))));
}
