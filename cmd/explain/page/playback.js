/* SPDX-License-Identifier: MIT */
/*
 * The run step by step. One model is followed; what is later than its current step is veiled in all
 * columns, so that the others can be compared at the same moment.
 */
'use strict';

const SPEEDS = [['2400', '½×'], ['1200', '1×'], ['600', '2×'], ['250', '5×']];

const play = {followed: models[0], steps: [], at: -1, timer: null, pause: 1200};

const partOf = (model) => stage.parts.find((p) => p.model === model);

/* ---- steps ---- */

/* [{at, sentence, item, label}] of a part, in order of time. */
function playSteps(part) {
  const steps = part.labels.map((label) => {
    const {item} = label;
    return {at: label.part ? label.at : part.clip(item.end), item, label,
            order: label.part === 'end' ? 2 : 1, sentence: sentenceOf(item, label.part)};
  });
  part.steps.forEach((s) =>
    steps.push({at: s.at, sentence: stepSentence(s), order: 0, client: true}));
  return steps.sort((a, b) => a.at - b.at || a.order - b.order);
}

/* ---- showing one ---- */

function meanwhile(part, step) {
  const shared = part.level(step.at);
  return stage.parts.filter((p) => p !== part).map((p) => el('li', {},
    strong(p.model.name), ' ', doingAt(p.items, p.back(shared))));
}

function clearMarks() {
  document.querySelectorAll('#stage .now').forEach((node) => node.classList.remove('now'));
}

function veil(y) {
  for (const part of stage.parts) {
    const height = Number(part.svg.getAttribute('height'));
    part.veil.setAttribute('y', y === null ? height : y);
    part.veil.setAttribute('height', y === null ? 0 : Math.max(0, height - y));
  }
}

/* The lowest pixel of a step: all of its label can be read. */
function bottomOf(part, step) {
  const y = part.y(part.clip(step.at));
  if (!step.label)
    return y + 4;
  const label = stage.bars ? 0 : step.label.top + step.label.lines.length * LINE;
  const begins = step.label.part && step.label.part !== 'end';
  return Math.max(label - 2, begins ? y : step.item.bottom) + 1;
}

/* Scrolls the drawing so that the step is in its middle, below the heads. */
function bringIntoSight(part, y) {
  const node = byId('stage');
  const head = part.column.querySelector('.column-head').offsetHeight;
  const clock = node.querySelector('.clock-column').offsetWidth;
  const behavior = matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth';
  let {scrollLeft: left, scrollTop: top} = node;
  if (y < top + 60 || y > top + node.clientHeight - head - 60)
    top = y - (node.clientHeight - head) / 2;
  const from = part.column.offsetLeft - clock;
  if (from < left || from + part.column.offsetWidth > left + node.clientWidth - clock)
    left = from;
  node.scrollTo({left, top, behavior});
}

/* The player and the drawing under it are seen together. */
function showPlayer() {
  const player = byId('player').getBoundingClientRect();
  if (player.top < 0 || byId('stage').getBoundingClientRect().bottom > innerHeight + 1)
    byId('player').scrollIntoView({behavior: 'auto', block: 'start'});
}

function showStep() {
  const part = partOf(play.followed);
  const step = play.steps[play.at];
  clearMarks();
  document.querySelectorAll('.follow').forEach((b) =>
    b.setAttribute('aria-pressed', String(b.dataset.model === (play.followed || {}).name)));
  byId('meanwhile').replaceChildren();
  byId('player').classList.toggle('stepping', Boolean(step));
  if (!part || !step) {
    veil(null);
    if (stage.cursor)
      stage.cursor.hidden = true;
    byId('count').textContent =
      part ? `${plural(play.steps.length, 'step')} of ${part.model.name}` : '';
    byId('sentence').textContent = part
      ? `${stage.scene.title || 'The run'}. Press → for the first step, or play.` : '';
    return;
  }
  const y = bottomOf(part, step);
  veil(y);
  stage.cursor.hidden = false;
  stage.cursor.style.top = `${y + part.column.querySelector('.column-head').offsetHeight}px`;
  for (const thing of [step.item, step.label]) {
    if (thing)
      thing.node.classList.add('now');
  }
  byId('count').textContent = `Step ${play.at + 1} of ${play.steps.length}, ` +
    `${part.model.name}, at ${time(step.at)}`;
  byId('sentence').textContent = step.sentence;
  byId('sentence').dataset.tone = step.client ? 'client' : step.item.tone;
  add(byId('meanwhile'), meanwhile(part, step));
  bringIntoSight(part, y);
  showPlayer();
}

/* ---- moving ---- */

function moveTo(at) {
  play.at = Math.min(Math.max(at, -1), play.steps.length - 1);
  showStep();
}

/* Beyond the end of a scene is the next one, if there is one. */
function toScene(by) {
  const next = scenes[scenes.indexOf(stage.scene) + by];
  if (!next || next.name === 'all' || stage.scene.name === 'all' || !next.spans.has(play.followed))
    return false;
  showScene(next);
  moveTo(by > 0 ? 0 : play.steps.length - 1);
  return true;
}

function next() {
  if (play.at + 1 < play.steps.length)
    moveTo(play.at + 1);
  else if (!toScene(1))
    pause();
}

function back() {
  if (play.at > 0 || !toScene(-1))
    moveTo(play.at - 1);
}

function pause() {
  clearInterval(play.timer);
  play.timer = null;
  markPlaying();
}

function start() {
  if (play.steps.length === 0)
    return;
  if (play.at === play.steps.length - 1)
    play.at = -1;
  next();
  clearInterval(play.timer);
  play.timer = setInterval(next, play.pause);
  markPlaying();
}

const playOrPause = () => play.timer === null ? start() : pause();

function leave() {
  pause();
  moveTo(-1);
}

function follow(model) {
  if (!model)
    return;
  const before = partOf(play.followed);
  const shared = before && play.at >= 0 ? before.level(play.steps[play.at].at) : null;
  play.followed = model;
  const part = partOf(model);
  play.steps = part ? playSteps(part) : [];
  /* The same moment in the other model. */
  play.at = shared === null || !part ? -1
    : Math.max(0, play.steps.findLastIndex((s) => part.level(s.at) <= shared));
  showStep();
}

function followNext() {
  const at = stage.parts.findIndex((p) => p.model === play.followed);
  if (stage.parts.length > 0)
    follow(stage.parts[(at + 1) % stage.parts.length].model);
}

/* After the scene or the models were chosen anew. */
function refresh() {
  drawStage();
  const part = partOf(play.followed) || stage.parts[0];
  play.at = -1;
  play.followed = part ? part.model : play.followed;
  play.steps = part ? playSteps(part) : [];
  showStep();
  tellInWords();
}

/* ---- buttons and keys ---- */

const ACTIONS = [
  {key: 'Home', sign: '⇤', words: 'First step', run: () => moveTo(0)},
  {key: 'ArrowLeft', sign: '←', shown: '←', words: 'Step back', run: back},
  {key: ' ', sign: '▶', shown: 'Space', words: 'Play or pause', run: playOrPause, id: 'play'},
  {key: 'ArrowRight', sign: '→', shown: '→', words: 'Next step', run: next},
  {key: 'End', sign: '⇥', words: 'Last step', run: () => moveTo(play.steps.length - 1)},
  {key: 'm', words: 'Follow the next model', run: followNext},
  {key: 'Escape', shown: 'Esc', words: 'Show everything', sign: 'Show all', run: leave},
  {key: '?', sign: '?', words: 'Help', run: () => byId('help').showModal()},
];

function markPlaying() {
  const button = byId('play');
  button.textContent = play.timer === null ? '▶ Play' : '❚❚ Pause';
}

function onKey(event) {
  const inside = event.target.closest('input, select, button, summary, a, dialog');
  const action = ACTIONS.find((a) => a.key === event.key);
  if (!action || event.ctrlKey || event.metaKey || event.altKey || byId('help').open)
    return;
  /* What has the focus may want the key for itself. */
  if (inside && (event.key === ' ' || inside.matches('select, input[type=radio]')))
    return;
  event.preventDefault();
  if (action.key !== ' ' && action.key !== '?')
    pause();
  action.run();
}

function buildPlayer() {
  add(byId('buttons'), ACTIONS.filter((a) => a.sign).map((a) =>
    el('button', {type: 'button', id: a.id, 'aria-label': a.id ? null : a.words,
                  title: `${a.words} (${a.shown || a.key})`, onclick: () => {
      if (a.run !== playOrPause)
        pause();
      a.run();
    }}, a.sign)),
    chooser('Speed', SPEEDS, (ms) => {
      play.pause = Number(ms);
      if (play.timer !== null)
        start();
    }));
  byId('buttons').querySelector('select').value = String(play.pause);
  add(byId('keys'), ACTIONS.map((a) => el('div', {},
    el('dt', {}, el('kbd', {}, a.shown || a.key)), el('dd', {}, a.words))));
  addEventListener('keydown', onKey);
  markPlaying();
}
