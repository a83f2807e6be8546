/* SPDX-License-Identifier: MIT */
/*
 * The document of pollux explain, and a scene of it made ready to be drawn. A scene is an act of
 * the clients' script; of a server that ran by itself it is so many of its events.
 *
 * An item is what is drawn of an event: a call, a callback, a request, its completion, a queue.
 * What was polled in turn is one item. Times are nanoseconds since the model's own zero.
 */
'use strict';

const trace = JSON.parse(document.getElementById('results').textContent);

/* From here on a call has waited long enough to have a beginning and an end of its own. */
const LONG_NS = 200e3;
/* A server's own events have no acts: so many of them are a scene. */
const SCENE_EVENTS = 120;
/* What all scenes together may have and still be drawn at once. */
const ALL_EVENTS = 3000;

/* A round of so many calls, made so many times and nothing else between, is one item. */
const ROUND = {most: 5, times: 3};

const isSilent = (e) => e.kind === 'woken' || (e.kind === 'state' && !(e.result < 0));

const allModels = list(trace.models);
const absentModels = allModels.filter((m) => m.runs === false);
const models = allModels.filter((m) => m.runs !== false && list(m.events).length > 0);
const emptyModels = allModels.filter((m) => m.runs !== false && !models.includes(m));

/* ---- scenes ---- */

/* [{name, title}], the same for all models; a model knows when each of them was. */
const scenes = [];

function addScene(name, title, model, from, to) {
  let scene = scenes.find((s) => s.name === name);
  if (!scene)
    scenes.push(scene = {name, title, spans: new Map()});
  scene.spans.set(model, {from, to});
}

const firstOf = (model) => list(model.events).reduce(
  (first, e) => Math.min(first, e.begin_ns), 0);
const lastOf = (model) => list(model.events).reduce(
  (last, e) => Math.max(last, e.end_ns), Number(model.duration_ns) || 0);

function cutIntoScenes(model) {
  const events = model.events.filter((e) => !isSilent(e));
  for (let i = 0; i < events.length; i += SCENE_EVENTS) {
    const next = events[i + SCENE_EVENTS];
    addScene(`part-${i}`, `from ${time(events[i].begin_ns)}`, model,
             events[i].begin_ns, next ? next.begin_ns : lastOf(model) + 1);
  }
}

function findScenes() {
  for (const model of models) {
    if (list(model.acts).length === 0)
      cutIntoScenes(model);
    else
      model.acts.forEach((a) => addScene(a.name, a.title, model, a.begin_ns, a.end_ns));
  }
  const all = {from: -Infinity, to: Infinity};
  if (scenes.length > 1 &&
      models.reduce((n, m) => n + itemsOf(m, all).length, 0) <= ALL_EVENTS) {
    addScene('all', 'The whole run', null, 0, 0);
    models.forEach((m) => addScene('all', '', m, firstOf(m), lastOf(m) + 1));
  }
}

/* ---- who ---- */

const isAgain = (e) => e.error === 'EAGAIN' || e.error === 'EWOULDBLOCK';
const isFault = (e) => e.result < 0 && !isAgain(e);
const isLong = (e) => e.end_ns - e.begin_ns >= LONG_NS;
const isReceive = (name) => /^(recv|read|recvmsg|recvfrom|readv)$/.test(name);
const isSend = (name) => /^(send|write|sendmsg|sendto|writev|send_zc|sendmsg_zc)$/.test(name);
const isAccept = (name) => /^accept/.test(name);

/* ---- what is drawn ---- */

/*
 * What of the process's time a call was, for its colour: wait, copy, mixed (waited and copied, when
 * it is not known how long each), again (EAGAIN), fault, control.
 */
function toneOf(model, e, message) {
  if (e.kind !== 'call')
    return e.kind;
  if (isAgain(e))
    return 'again';
  if (e.phase === 'waits')
    return 'wait';
  if (isFault(e))
    return 'fault';
  if (e.phase === 'copies') {
    if (!isLong(e) || message)
      return 'copy';
    return e.result === 0 ? 'wait' : 'mixed';
  }
  return isAccept(e.name) && isLong(e) ? 'wait' : 'control';
}

/* The message whose waiting or copying phase was seen in this event, if the process was in it. */
function messageIn(model, index, event) {
  return list(model.messages).find((m) =>
    m.copying && m.copying.event === index && m.copying.who === 'process' &&
    m.arrived_ns > event.begin_ns && m.arrived_ns < event.end_ns);
}

function itemOf(model, e, index) {
  const message = e.kind === 'call' && e.phase === 'copies' ? messageIn(model, index, e) : null;
  return {
    model, events: [e], index, kind: e.kind, tone: toneOf(model, e, message), message,
    begin: e.begin_ns, end: Math.max(e.begin_ns, e.end_ns), thread: e.thread, conn: e.conn || 0,
    long: isLong(e) && (e.kind === 'call' || e.kind === 'callback'),
  };
}

/* ---- what is polled: one item for all of it ---- */

const isPolled = (item) => item.kind === 'call' && item.events.some((e) => e.count > 1);
const callKey = (e) => `${e.name} ${e.conn} ${e.result < 0 || e.phase === 'waits' ? e.result : ''}`;
const keyOfItem = (item) => item.events.map(callKey).sort().join();

/* What `item` did happened as well: its calls count as those of `into` with the same result. */
function merge(into, item) {
  for (const e of item.events) {
    const same = into.events.findIndex((x) => callKey(x) === callKey(e));
    if (same < 0) {
      into.events.push(e);
      continue;
    }
    const had = into.events[same];
    into.events[same] = {...had, count: had.count + e.count, spent_ns: had.spent_ns + e.spent_ns,
                         end_ns: Math.max(had.end_ns, e.end_ns)};
  }
  into.end = Math.max(into.end, item.end);
  into.long = into.end - into.begin >= LONG_NS;
  if (into.tone !== item.tone)
    into.tone = [into.tone, item.tone].includes('fault') ? 'fault' : 'control';
}

/* How often the items from `from` on repeat with that period. */
function repeats(keys, from, period) {
  let n = 1;
  for (;; n++) {
    for (let i = 0; i < period; i++) {
      const key = keys[from + n * period + i];
      if (!key || key !== keys[from + i])
        return n;
    }
  }
}

/* Of one thread. Only calls that moved no bytes are folded: the others are what it is about. */
function foldRounds(items) {
  const keys = items.map((i) => i.kind === 'call' && i.events.every((e) => e.result < 0 ||
    (e.phase === 'waits' && !i.long)) ? keyOfItem(i) : null);
  const rounds = [];
  for (let i = 0; i < items.length;) {
    let best = {n: 1, period: 1};
    for (let period = 1; keys[i] && period <= ROUND.most; period++) {
      const n = repeats(keys, i, period);
      if (n > best.n && (n >= ROUND.times || isPolled(items[i])))
        best = {n, period};
    }
    const count = best.n * best.period;
    const all = items.slice(i, i + count);
    all.slice(1).forEach((item) => merge(all[0], item));
    rounds.push(all[0]);
    i += count;
  }
  return rounds;
}

/* What was polled in turn begins and ends together. */
function joinPolled(items) {
  const joined = [];
  for (const item of items) {
    const last = joined[joined.length - 1];
    if (last && isPolled(item) && isPolled(last) && item.begin < last.end)
      merge(last, item);
    else
      joined.push(item);
  }
  return joined;
}

function itemsOf(model, span) {
  const threads = new Map();
  const queues = new Map();
  list(model.events).forEach((e, index) => {
    const same = e.kind === 'queued' && queues.get(e.conn) === e.result;
    if (e.kind === 'queued')
      queues.set(e.conn, e.result);
    if (same || isSilent(e) || e.begin_ns >= span.to || e.end_ns < span.from ||
        (e.end_ns === span.from && e.begin_ns < span.from))
      return;
    if (!threads.has(e.thread))
      threads.set(e.thread, []);
    threads.get(e.thread).push(itemOf(model, e, index));
  });
  return [...threads.values()].flatMap((items) => foldRounds(joinPolled(items)))
    .sort((a, b) => a.begin - b.begin);
}

/* When a step of a client counts: a receive when it has what it wanted, others when they begin. */
const momentOf = (step) => step.what === 'receive' ? step.end_ns : step.begin_ns;

function stepsOf(model, span) {
  return list(model.steps).filter((s) => momentOf(s) >= span.from && momentOf(s) < span.to)
    .map((s) => ({...s, at: momentOf(s)}));
}

/* A request from its submission to its completion; one that completes again and again goes on. */
function requestsOf(model) {
  const open = new Map();
  const found = [];
  for (const e of list(model.events)) {
    const key = `${e.conn} ${e.name}`;
    if (e.kind === 'submitted') {
      const request = {name: e.name, conn: e.conn || 0, begin: e.begin_ns, end: Infinity};
      found.push(request);
      open.set(key, [...(open.get(key) || []), request]);
    } else if (e.kind === 'completed' && e.asked !== 1 && open.has(key)) {
      const [first, ...others] = open.get(key);
      first.end = e.end_ns;
      if (others.length > 0)
        open.set(key, others);
      else
        open.delete(key);
    }
  }
  return found;
}

/* When a connection was in the kernel, and from when on the process had it. */
function lifeOf(model, conn) {
  const connect = list(model.steps).find((s) => s.conn === conn && s.what === 'connect');
  const states = list(model.events).filter((e) => e.conn === conn && e.kind === 'state');
  const accepted = states.find((e) => e.name !== 'closed');
  const closed = states.findLast((e) => e.name === 'closed');
  return {
    begin: connect ? connect.begin_ns : accepted ? accepted.begin_ns : -Infinity,
    accepted: accepted ? accepted.begin_ns : connect ? Infinity : -Infinity,
    end: closed ? closed.end_ns : Infinity,
  };
}

/* A scene of one model, ready to be drawn; null where it has none. */
function sceneOf(scene, model) {
  const span = scene.spans.get(model);
  if (!span)
    return null;
  const items = itemsOf(model, span);
  const steps = stepsOf(model, span);
  const within = (p) => p && p.end_ns > span.from && p.begin_ns < span.to;
  const messages = list(model.messages).filter((m) =>
    m.arrived_ns >= span.from && m.arrived_ns < span.to &&
    (within(m.waiting) || within(m.copying)));
  const conns = [...new Set([...items, ...steps, ...messages].map((x) => x.conn || 0))]
    .filter((c) => c > 0).sort((a, b) => a - b);
  const threads = [...new Set(items.map((i) => i.thread))].sort((a, b) => a - b);
  return {
    scene, model, span, items, steps, messages, conns, threads,
    requests: requestsOf(model).filter((r) => r.begin < span.to && r.end > span.from),
    clip: (t) => Math.min(Math.max(t, span.from), span.to),
  };
}

findScenes();
