/* SPDX-License-Identifier: MIT */
/* The drawing: what the clients did at the left, and a column for each model that is chosen. */
'use strict';

/* The five of the book, in its order. */
const BOOK = {blocking: '6.1', nonblocking: '6.2', select: '6.3', sigio: '6.4', 'posix-aio': '6.5'};

const CLOCK = 178;

/* More models than this are first shown as bars only: all of them side by side. */
const MANY = 4;
/* More scenes than this are a list. */
const MANY_SCENES = 12;

/* The message that is late is the book's; otherwise where there is a message at all. */
function firstScene() {
  const hasMessage = (s) =>
    models.some((m) => list(m.messages).some((message) => message.act === s.name));
  return scenes.find((s) => s.name === 'late') || scenes.find(hasMessage) || scenes[0];
}

const stage = {scene: firstScene(), chosen: new Set(models),
               bars: models.length > MANY, parts: [], axis: null};

/* ---- the clients and the time ---- */

/* What a client did; the last line is for when. */
const stepLines = (step) => [...wrapped(`${step.client} ${step.text}`, CLOCK - 26, 3), ''];

/* Round times after a step, where there is room for them. */
function ticks(axis) {
  const found = [];
  axis.anchors.forEach((a, i) => {
    const next = axis.anchors[i + 1];
    const end = next ? next.at : axis.nodes[axis.nodes.length - 1];
    let free = axis.y(a.at) + (a.step ? LINE * (stepLines(a.step).length + 0.4) : LINE);
    for (let unit = 1e3; unit <= 1e9; unit *= 10) {
      for (const n of [1, 2, 5]) {
        const t = a.at + n * unit;
        const y = axis.y(t);
        const room = next ? axis.y(next.at) - LINE : Infinity;
        const broken = axis.breaks.some((b) => y > b.y - 26 && y < b.y + 12);
        if (t < end && y >= free && y < room && !broken) {
          found.push({y, text: `+${time(n * unit)}`});
          free = y + 26;
        }
      }
    }
  });
  return found;
}

function clockOf(axis, first) {
  const x = CLOCK - 10;
  return el('svg', {class: 'lanes clock', width: CLOCK, height: axis.height, 'aria-hidden': 'true'},
    line(x, TOP, x, axis.height, {class: 'axis'}),
    axis.said.map((a) => {
      const y = axis.y(a.at);
      const last = a.lines.length - 1;
      return el('g', {class: 'step'},
        line(x - 6, y, CLOCK, y, {class: 'axis'}),
        a.lines.map((text, i) => svgText(x - 10, y + 4 + 13 * i,
          i === last ? time(first.back(a.at)) : text,
          {class: i === last ? 'end more' : 'end first'})));
    }),
    ticks(axis).map(({y, text}) => el('g', {class: 'tick'},
      line(x - 4, y, x, y, {class: 'axis'}),
      svgText(x - 10, y + 4, atMark(text), {class: 'end more'}))),
    axis.breaks.map((b) => [breakOf(b.y, CLOCK),
      svgText(x - 10, b.y - 7, `${time(b.to - b.from)} left out`, {class: 'end more'})]));
}

/* ---- columns ---- */

function headLine(part) {
  const {model} = part;
  return el('div', {class: 'column-head'},
    el('div', {class: 'column-name'},
       el('button', {type: 'button', class: 'follow', 'data-model': model.name,
                     'aria-pressed': 'false', onclick: () => follow(model)},
          model.name, unseen(': play this model')),
       BOOK[model.name] && !stage.bars &&
         el('span', {class: 'book', title: 'UNIX Network Programming, volume 1'},
            `Stevens, figure ${BOOK[model.name]}`)),
    el('span', {class: 'column-says'}, phasesInShort(model)),
    part.head);
}

function phasesInShort(model) {
  const facts = model.facts || {};
  return `waits ${facts.waits || UNKNOWN}; copies ${facts.copies || UNKNOWN}`;
}

function drawStage() {
  const node = byId('stage');
  stage.parts = models.filter((m) => stage.chosen.has(m)).map((m) => sceneOf(stage.scene, m))
    .filter(Boolean);
  node.replaceChildren();
  if (stage.parts.length === 0) {
    add(node, el('p', {class: 'nothing'}, 'No model is chosen, or it has nothing here.'));
    return;
  }
  stage.axis = layOut(stage.parts);
  const columns = stage.parts.map((part) => {
    const svg = columnOf(part, stage.axis);
    part.column = el('div', {class: 'column', 'data-model': part.model.name}, headLine(part), svg);
    part.column.style.width = `${svg.getAttribute('width')}px`;
    return part.column;
  });
  const clock = el('div', {class: 'column clock-column'},
    el('div', {class: 'column-head'},
       el('div', {class: 'column-name'}, strong(stage.axis.said.length > 0 ? 'Clients' : 'Time')),
       el('span', {class: 'column-says'},
          stage.axis.said.length > 0 ? 'what they do, and when; ' : '',
          'time runs down, not to scale')),
    clockOf(stage.axis, stage.parts[0]));
  stage.cursor = el('div', {class: 'cursor', hidden: true});
  add(node, el('div', {class: 'sheet'}, clock, columns, stage.cursor));
  node.scrollTo(0, 0);
}

/* ---- what is shown ---- */

const SHORT = {
  start: 'Start', late: 'Late client', two: 'Two at once', large: 'Large message',
  halfclose: 'Half-close', reset: 'Reset', write: 'Large write', end: 'End', all: 'Whole run',
};

function buildScenes() {
  const fieldset = byId('acts');
  if (scenes.length < 2) {
    fieldset.remove();
    return;
  }
  const change = (name) => showScene(scenes.find((s) => s.name === name));
  const options = scenes.map((s) => ({value: s.name, title: SHORT[s.name] || s.title}));
  if (scenes.length <= MANY_SCENES) {
    segments(fieldset, 'scene', options, change);
  } else {
    stage.list = chooser('Scene', options.map((o) => [o.value, o.title]), change);
    fieldset.replaceWith(stage.list);
  }
  checkScene();
}

function checkScene() {
  const input = [...document.querySelectorAll('#acts input')]
    .find((i) => i.value === stage.scene.name);
  if (input)
    input.checked = true;
  if (stage.list)
    stage.list.querySelector('select').value = stage.scene.name;
}

function showScene(scene) {
  stage.scene = scene;
  checkScene();
  refresh();
}

function choose(chosen) {
  stage.chosen = new Set(chosen);
  document.querySelectorAll('#models input').forEach((input, i) => {
    input.checked = stage.chosen.has(models[i]);
  });
  refresh();
}

function buildDetail() {
  segments(byId('detail'), 'detail',
           [{value: 'labels', title: 'With labels'}, {value: 'bars', title: 'Bars only'}],
           (value) => {
             stage.bars = value === 'bars';
             refresh();
           });
  byId('detail').querySelector(`input[value=${stage.bars ? 'bars' : 'labels'}]`).checked = true;
}

function buildModels() {
  const fieldset = byId('models');
  const preset = (title, wanted) => {
    const chosen = models.filter(wanted);
    return chosen.length > 0 &&
      el('button', {type: 'button', onclick: () => choose(chosen)}, title);
  };
  if (models.length < 2) {
    fieldset.remove();
    return;
  }
  add(fieldset, models.map((m) => el('label', {},
    el('input', {type: 'checkbox', checked: true, value: m.name, onchange: (event) => {
      stage.chosen[event.target.checked ? 'add' : 'delete'](m);
      refresh();
    }}), m.name)),
    preset('All', () => true),
    models.some((m) => BOOK[m.name]) && preset('The book’s', (m) => BOOK[m.name]),
    preset('Not in the book', (m) => m.name === 'epoll-et' || m.name === 'io_uring'));
}

/* ---- legend ---- */

const LEGEND = [
  ['wait', 'blocked: it waits'], ['copy', 'copies'], ['mixed', 'waits and copies, not told apart'],
  ['again', 'EAGAIN: not yet'], ['fault', 'an error'], ['control', 'other calls'],
  ['callback', 'the handler runs'], ['submitted', 'a request is handed over'],
  ['completed', 'a completion is taken'], ['queued', 'output waits in the process'],
  ['data', 'data is in the kernel'], ['request', 'a request is with the kernel'],
  ['backlog', 'connected, not accepted yet'],
];

function sample(name) {
  const shape = {
    data: () => el('g', {class: 'data'}, rect(5, 1, 10, 12, {})),
    request: () => el('g', {class: 'request'}, line(10, 0, 10, 14, {})),
    backlog: () => el('g', {class: 'socket'}, line(10, 0, 10, 14, {class: 'backlog'})),
  }[name];
  const diamond = ['submitted', 'completed', 'queued'].includes(name);
  return el('svg', {width: 20, height: 14, class: 'lanes sample', 'aria-hidden': 'true'},
    shape ? shape() : el('g', {class: 'item'}, diamond
      ? el('path', {d: 'M5 7l5 -5l5 5l-5 5z', 'data-tone': name})
      : rect(4, 1, 12, 12, {'data-tone': name, rx: 1})));
}

/* The hatching is defined once, for every drawing. */
function hatching() {
  const bars = (name) => el('pattern', {id: `hatch-${name}`, width: 5, height: 5, class: 'hatch',
    patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)', 'data-tone': name},
    rect(0, 0, 5, 5, {class: 'base'}), rect(0, 0, 1.6, 5, {class: 'bar'}));
  return el('svg', {width: 0, height: 0, class: 'unseen', 'aria-hidden': 'true'},
            el('defs', {}, bars('wait'), bars('mixed')));
}

function buildLegend() {
  add(byId('legend'), LEGEND.map(([name, words]) => el('li', {}, sample(name), words)));
  document.body.append(hatching());
}
