/* SPDX-License-Identifier: MIT */
/*
 * One model's column: labels, the process (a lane for each thread), the kernel (a lane for what has
 * no connection, and one for each connection), and the two phases of each message in brackets.
 */
'use strict';

const THREAD = 18;   /* px of a thread's lane */
const LANE = 17;     /* px of a connection's lane */
const ARROWS = 28;   /* px between process and kernel */
const BRACKET = 9;
const PHASES = 126;  /* px of the brackets' texts, and when there are bars only */
const TIMES = 58;
const LABELS = {least: 96, most: 226};
const MOST_LANES = 10;

const svgText = (x, y, text, properties) => el('text', {x, y, ...properties}, text);
const line = (x1, y1, x2, y2, properties) => el('line', {x1, y1, x2, y2, ...properties});
const rect = (x, y, width, height, properties) =>
  el('rect', {x, y, width: Math.max(0, width), height: Math.max(0, height), ...properties});

/* ---- places ---- */

/* Brackets side by side where they overlap: the lane of each message. */
function bracketLanes(part) {
  const ends = [];
  part.messages.forEach((m) => {
    const begin = Math.min(...[m.waiting, m.copying].filter(Boolean).map((p) => p.begin_ns));
    const end = Math.max(...[m.waiting, m.copying].filter(Boolean).map((p) => p.end_ns));
    let lane = ends.findIndex((e) => e <= begin);
    lane = lane < 0 ? ends.length : lane;
    ends[lane] = end;
    m.lane = Math.min(lane, 3);
  });
  return Math.min(ends.length, 4);
}

/* Where everything of a column is, from left to right. */
function placesOf(part) {
  const widest = Math.max(0, ...part.labels.flatMap((l) => l.lines.map(widthOf)));
  const labels = stage.bars ? 0 : Math.min(Math.max(widest + 4, LABELS.least), LABELS.most);
  const texts = stage.bars ? TIMES : PHASES;
  const threads = Math.min(Math.max(part.threads.length, 1), MOST_LANES);
  const lanes = Math.min(part.conns.length, MOST_LANES);
  const process = 10 + labels + 8;
  const kernel = process + threads * THREAD + ARROWS;
  const brackets = kernel + (1 + lanes) * LANE + 10;
  const phases = brackets + bracketLanes(part) * BRACKET + 5;
  return {
    labels, texts, process, kernel, brackets, phases,
    processWidth: threads * THREAD, kernelWidth: (1 + lanes) * LANE,
    width: part.messages.length > 0 ? phases + texts
      : Math.max(phases + 12, stage.bars ? 150 : 240),
    thread: (id) => process + (Math.max(0, part.threads.indexOf(id)) % MOST_LANES + 0.5) * THREAD,
    lane: (conn) => kernel + LANE / 2 +
      (conn > 0 ? (1 + part.conns.indexOf(conn) % MOST_LANES) * LANE : 0),
  };
}

/* ---- the head: what the lanes are ---- */

function headOf(part, at) {
  const few = part.conns.slice(0, MOST_LANES);
  return el('svg', {class: 'lanes-head', width: at.width, height: 34, 'aria-hidden': 'true'},
    svgText(at.process + at.processWidth / 2, 13, 'process', {class: 'lane-name middle'}),
    svgText(at.kernel + at.kernelWidth / 2, 13, 'kernel', {class: 'lane-name middle'}),
    part.threads.length > 1 && part.threads.slice(0, MOST_LANES).map((id) =>
      svgText(at.thread(id), 28, String(id), {class: 'lane-number middle'})),
    few.map((c) => svgText(at.lane(c), 28, `#${c}`, {class: 'lane-number middle'})),
    part.messages.length > 0 && !stage.bars &&
      svgText(at.phases, 13, 'phases', {class: 'lane-name'}));
}

/* ---- the kernel ---- */

function socketOf(part, at, y, conn) {
  const life = lifeOf(part.model, conn);
  const x = at.lane(conn);
  const [from, accepted, to] = [life.begin, life.accepted, life.end].map((t) => y(part.clip(t)));
  return el('g', {class: 'socket'},
    life.begin < life.accepted && life.begin < part.span.to &&
      el('g', {}, line(x, from, x, accepted, {class: 'backlog'}),
         el('title', {}, `Connection ${conn} is in the backlog: not accepted yet.`)),
    line(x, accepted, x, to, {class: 'open'}));
}

/* What has arrived and is not copied yet. */
function dataOf(part, at, y, m) {
  const end = m.copying ? m.copying.end_ns : part.span.to;
  const x = at.lane(m.conn);
  const top = y(m.arrived_ns);
  return el('g', {class: 'data'},
    rect(x - 5, top, 10, y(part.clip(end)) - top, {}),
    el('title', {}, `${amount(m.bytes)} of client ${m.client} are in the kernel.`));
}

function requestOf(part, at, y, r) {
  const x = at.lane(r.conn) - (isSend(r.name) ? -5 : 5);
  return el('g', {class: 'request'},
    line(x, y(part.clip(r.begin)), x, y(part.clip(r.end)), {}),
    el('title', {}, `A request, ${r.name}, is with the kernel.`));
}

/* ---- the process ---- */

const ARROW = 4;

function arrow(x1, x2, y, tone, properties) {
  const back = x2 > x1 ? -ARROW : ARROW;
  return el('path', {
    d: `M${x1} ${y}H${x2}M${x2 + back} ${y - 3}L${x2} ${y}L${x2 + back} ${y + 3}`,
    class: 'arrow', 'data-tone': tone, ...properties});
}

/* The box of a call in its thread's lane: a waited and a copied part where both are known. */
function boxOf(part, at, y, item, top, bottom) {
  const x = at.thread(item.thread);
  const wide = item.kind === 'callback' ? 15 : 11;
  const arrived = item.message && y(part.clip(item.message.arrived_ns));
  if (item.message && arrived > top && arrived < bottom) {
    return [rect(x - wide / 2, top, wide, arrived - top, {'data-tone': 'wait', rx: 1}),
            rect(x - wide / 2, arrived, wide, bottom - arrived, {'data-tone': 'copy', rx: 1})];
  }
  if (item.kind === 'callback' || item.kind === 'call')
    return rect(x - wide / 2, top, wide, bottom - top, {'data-tone': item.tone, rx: 1});
  const middle = top + BOX / 2;
  return el('path', {d: `M${x - 5} ${middle}l5 -5l5 5l-5 5z`, 'data-tone': item.tone});
}

function arrowsOf(part, at, y, item, top, bottom) {
  const from = at.thread(item.thread) + 7;
  const lanes = item.events.map((e) => at.lane(e.conn || 0) - 6);
  const began = item.begin >= part.span.from;
  const ended = item.end < part.span.to;
  switch (item.kind) {
  case 'call':
    return lanes.map((to, i) => [
      began && arrow(from, to, top + 1 + 3 * i, item.tone),
      ended && arrow(to, from, Math.max(bottom - 1 - 3 * i, top + 5), item.tone,
                     {class: 'arrow back'}),
    ]);
  case 'submitted':
    return arrow(from, lanes[0], top + BOX / 2, item.tone);
  case 'completed':
    return arrow(lanes[0], from, top + BOX / 2, item.tone, {class: 'arrow back'});
  default:
    return null;
  }
}

function drawnItem(part, at, y, item) {
  const top = y(part.clip(item.begin));
  const bottom = Math.max(y(part.clip(item.end)), top + BOX);
  const told = item.long && !isPolled(item)
    ? `${sentenceOf(item, 'begin')} ${sentenceOf(item, 'end')}` : sentenceOf(item);
  item.top = top;
  item.bottom = bottom;
  item.node = el('g', {class: 'item'}, el('title', {}, told), boxOf(part, at, y, item, top, bottom),
                 arrowsOf(part, at, y, item, top, bottom));
  return item.node;
}

function drawnLabel(part, at, y, label) {
  const top = y(part.clip(label.at)) + label.dy;
  label.node = el('g', {class: 'label', 'data-tone': label.tone},
    label.lines.map((text, i) =>
      svgText(at.process - 8, top + 8 + i * LINE, fitted(text, at.labels), {class: 'end'})));
  label.top = top;
  return label.node;
}

/* ---- the phases ---- */

/* Texts under each other that want to be at `want`: each gets its `top`. */
function spread(texts) {
  let free = TOP;
  texts.sort((a, b) => a.want - b.want).forEach((t) => {
    t.top = Math.max(t.want, free);
    free = t.top + t.lines.length * 13 + 3;
  });
}

function bracketOf(x, top, bottom, tone) {
  return el('path', {d: `M${x - 4} ${top}h4V${bottom}h-4`, class: 'bracket', 'data-tone': tone});
}

function phasesOf(part, at, y) {
  const texts = [];
  const brackets = [];
  for (const m of part.messages) {
    const x = at.brackets + m.lane * BRACKET + 4;
    const waitTone = m.waiting && m.waiting.who === 'nobody' ? 'again' : 'wait';
    for (const [kind, tone] of [['waiting', waitTone], ['copying', 'copy']]) {
      const p = m[kind];
      if (!p)
        continue;
      const top = y(part.clip(p.begin_ns));
      const bottom = Math.max(y(part.clip(p.end_ns)), top + 6);
      const lines = stage.bars ? [phaseText(kind, m)[0].replace(/^\w+ /, '')]
        : phaseText(kind, m).flatMap((text) => wrapped(text, PHASES - 4, 2));
      brackets.push(bracketOf(x, top + 1, bottom - 1, tone));
      texts.push({want: kind === 'waiting' ? Math.max(top, bottom - 13 * lines.length - 4) : top,
                  lines, tone});
    }
  }
  for (const s of part.steps.filter((step) => step.what === 'receive' && !stage.bars)) {
    texts.push({want: y(s.at) - 4, lines: wrapped(`${s.client} ${s.text}`, PHASES - 6, 2),
                tone: 'client'});
  }
  spread(texts);
  return [brackets, texts.map((t) => el('g', {class: 'phase', 'data-tone': t.tone},
    t.lines.map((text, i) => svgText(at.phases, t.top + 10 + i * 13, fitted(text, at.texts - 4),
                                     {class: i === 0 ? 'first' : 'more'}))))];
}

/* ---- the column ---- */

/* A cut through everything: time was left out here. */
function breakOf(y, width) {
  let d = `M0 ${y}`;
  for (let x = 0; x < width; x += 12)
    d += 'l6 -4l6 4';
  return el('g', {class: 'break'}, el('path', {d, class: 'gap'}), el('path', {d, class: 'edge'}));
}

/* The drawing of a part on an axis; `part.veil` hides what is later than the playback. */
function columnOf(part, axis) {
  const at = placesOf(part);
  const y = (t) => axis.y(part.level(t));
  const name = part.model.name;
  const callbacksFirst = [...part.items].sort((a, b) =>
    (b.kind === 'callback') - (a.kind === 'callback'));
  part.y = y;
  part.head = headOf(part, at);
  part.veil = rect(0, 0, at.width, 0, {class: 'veil'});
  part.svg = el('svg', {class: 'lanes', width: at.width, height: axis.height, role: 'img',
                        'data-model': name, 'aria-label': `${name}: ${part.scene.title}; ` +
                        'the list of the run in words tells the same'},
    rect(at.process, 0, at.processWidth, axis.height, {class: 'ground process'}),
    rect(at.kernel, 0, at.kernelWidth, axis.height, {class: 'ground kernel'}),
    part.threads.slice(0, MOST_LANES).map((id) =>
      line(at.thread(id), 0, at.thread(id), axis.height, {class: 'thread'})),
    axis.anchors.filter((a) => a.step).map((a) =>
      line(0, axis.y(a.at), at.width, axis.y(a.at), {class: 'level'})),
    part.conns.map((c) => socketOf(part, at, y, c)),
    part.messages.map((m) => dataOf(part, at, y, m)),
    part.requests.map((r) => requestOf(part, at, y, r)),
    part.steps.filter((s) => s.conn > 0 && s.what !== 'wait' && s.what !== 'receive')
      .map((s) => arrow(at.kernel + at.kernelWidth + 8, at.lane(s.conn) + 2, y(s.at), 'client')),
    part.steps.filter((s) => s.conn > 0 && s.what === 'receive')
      .map((s) => arrow(at.lane(s.conn) + 6, at.kernel + at.kernelWidth + 8, y(s.at), 'client',
                        {class: 'arrow back'})),
    callbacksFirst.map((i) => drawnItem(part, at, y, i)),
    axis.breaks.map((b) => breakOf(b.y, at.width)),
    part.labels.map((l) => drawnLabel(part, at, y, l)).filter(() => !stage.bars),
    phasesOf(part, at, y), part.veil);
  return part.svg;
}
