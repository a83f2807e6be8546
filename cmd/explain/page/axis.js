/* SPDX-License-Identifier: MIT */
/*
 * One axis of time for several runs.
 *
 * The runs were one after another, and a client that sleeps for 30 ms wakes a little earlier or
 * later each time. So what the clients did is what the runs have in common: their steps are level
 * with each other, and from each step on time runs as measured. Where a run had less to do before
 * the next step than another, its longest idle stretch is drawn longer.
 *
 * From time to pixels the axis is monotonic but not linear: idle stretches are cut out, and what is
 * close together is spread until the labels of each run can be read.
 */
'use strict';

const LINE = 15;          /* px of a label */
const BOX = 9;            /* px of the shortest call */
const BREAK_NS = 1e6;     /* a stretch without any event that is longer than this is cut out */
const BREAK = 46;         /* px that are left of it, with those below its mark */
const BREAK_BELOW = 18;
const PER_NS = 0.2 / 1e3; /* px, at most STRETCH */
const STRETCH = 24;
const TOP = 16;

/* ---- the clients' steps, as what all runs have in common ---- */

/* [{key, at, step}] of a run: the script's steps, not what the server's speed decides. */
function anchorsOf(part) {
  const seen = new Map();
  const anchors = [{key: 'begin', at: part.span.from}];
  for (const step of part.steps) {
    if (step.what === 'receive')
      continue;
    const name = `${step.act} ${step.client} ${step.what}`;
    seen.set(name, (seen.get(name) || 0) + 1);
    anchors.push({key: `${name} ${seen.get(name)}`, at: step.at, step});
  }
  return anchors.sort((a, b) => a.at - b.at);
}

/* Those of `anchors` that come in the order of `order`, as many as a walk through it finds. */
function inOrder(anchors, order) {
  let last = -1;
  return anchors.filter(({key}) => {
    const place = order.indexOf(key);
    if (place <= last)
      return false;
    last = place;
    return true;
  });
}

/* Where the stretch between two anchors gets longer: in the longest gap between events. */
function slackAfter(times, from, to) {
  const inside = [from, ...times.filter((t) => t > from && t < to), to];
  let best = 0;
  for (let i = 1; i + 1 < inside.length; i++) {
    if (inside[i + 1] - inside[i] > inside[best + 1] - inside[best])
      best = i;
  }
  return inside[best];
}

/*
 * Gives each part `level`, from its own time to the time that all share, and `back`, the other way.
 * Returns the anchors in order: [{key, at, step}], in shared time.
 */
function alignParts(parts) {
  const own = parts.map(anchorsOf);
  const order = own.reduce((most, a) => a.length > most.length ? a : most, []);
  const keys = order.map((a) => a.key);
  const kept = own.map((anchors) => inOrder(anchors, keys));
  const shared = new Map();

  keys.forEach((key, i) => {
    let at = i === 0 ? 0 : shared.get(keys[i - 1]);
    kept.forEach((anchors) => {
      const n = anchors.findIndex((a) => a.key === key);
      if (n > 0)
        at = Math.max(at, shared.get(anchors[n - 1].key) + anchors[n].at - anchors[n - 1].at);
    });
    shared.set(key, at);
  });
  parts.forEach((part, p) => {
    const times = part.items.flatMap((i) => [part.clip(i.begin), part.clip(i.end)])
      .sort((a, b) => a - b);
    const pieces = kept[p].map((a, n) => {
      const next = kept[p][n + 1];
      return {from: a.at, at: shared.get(a.key), to: next ? next.at : Infinity,
              end: next ? shared.get(next.key) : Infinity,
              cut: next ? slackAfter(times, a.at, next.at) : Infinity};
    });
    part.level = (t) => {
      const p_ = pieces.findLast((piece) => t >= piece.from) || pieces[0];
      return t <= p_.cut ? p_.at + t - p_.from : p_.end - (p_.to - t);
    };
    part.back = (t) => {
      const p_ = pieces.findLast((piece) => t >= piece.at) || pieces[0];
      const early = p_.from + t - p_.at;
      return early <= p_.cut ? early : Math.max(p_.cut, p_.to - (p_.end - t));
    };
  });
  return order.map((a) => ({...a, at: shared.get(a.key)}));
}

/* ---- from time to pixels ---- */

/*
 * A list of demands {from, to, px}: from one time to another there are at least so many pixels; and
 * `said` tells how many lines stand at a time, so that a break comes below them. Returns
 * {y, nodes, breaks, height}: y(time), and [{from, to, y}] where idle time is cut out.
 */
function makeAxis(times, demands, said) {
  const nodes = [...new Set(times)].sort((a, b) => a - b);
  const place = new Map(nodes.map((t, i) => [t, i]));
  const demanded = nodes.map(() => []);
  const ys = [];
  const breaks = [];
  const below = new Map(said.map((s) => [s.at, s.lines.length * 13]));

  demands.forEach((d) => d.to > d.from && demanded[place.get(d.to)].push(d));
  nodes.forEach((t, i) => {
    if (i === 0) {
      ys.push(TOP);
      return;
    }
    const gap = t - nodes[i - 1];
    const cut = gap >= BREAK_NS;
    const least = ys[i - 1] +
      (cut ? BREAK + (below.get(nodes[i - 1]) || 0) : Math.min(gap * PER_NS, STRETCH));
    ys.push(demanded[i].reduce((y, d) => Math.max(y, ys[place.get(d.from)] + d.px), least));
    if (cut)
      breaks.push({from: nodes[i - 1], to: t, y: ys[i] - BREAK_BELOW});
  });

  function y(t) {
    let low = 0;
    let high = nodes.length - 1;
    if (t <= nodes[low])
      return ys[low];
    if (t >= nodes[high])
      return ys[high];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (nodes[middle] <= t)
        low = middle;
      else
        high = middle;
    }
    return ys[low] + (ys[high] - ys[low]) * (t - nodes[low]) / (nodes[high] - nodes[low]);
  }
  return {y, nodes, breaks, height: ys[ys.length - 1] + 2 * LINE};
}

/* The lines that a list of {at, lines} needs, one under the other: demands between its times. */
function lineDemands(labels, level) {
  const demands = [];
  let last = null;
  let lines = 0;
  for (const label of labels) {
    const at = level(label.at);
    if (at === last) {
      lines += label.lines.length;
      continue;
    }
    if (last !== null)
      demands.push({from: last, to: at, px: lines * LINE});
    last = at;
    lines = label.lines.length;
  }
  return demands;
}

/* The axis of these parts; gives each of them its labels, in order, each with its place `dy`. */
function layOut(parts) {
  const anchors = alignParts(parts);
  const times = anchors.map((a) => a.at);
  const said = anchors.filter((a) => a.step).map((a) => ({...a, lines: stepLines(a.step)}));
  const demands = lineDemands(said, (t) => t);

  for (const part of parts) {
    const {clip, level} = part;
    part.labels = part.items.flatMap((i) => labelsOf(part, i))
      .sort((a, b) => level(a.at) - level(b.at));
    let last = null;
    let dy = 0;
    part.labels.forEach((label) => {
      dy = level(label.at) === last ? dy : 0;
      last = level(label.at);
      label.dy = dy;
      dy += LINE * label.lines.length;
    });
    if (!stage.bars)
      demands.push(...lineDemands(part.labels, level));
    for (const i of part.items) {
      const from = level(clip(i.begin));
      const to = level(clip(i.end));
      times.push(from, to);
      demands.push({from, to, px: i.long && !stage.bars ? 2 * LINE : BOX});
    }
    for (const m of part.messages) {
      const points = [m.waiting && m.waiting.begin_ns, m.arrived_ns,
                      m.copying && m.copying.begin_ns, m.copying && m.copying.end_ns]
        .filter(isNumber).map((t) => level(clip(t))).sort((a, b) => a - b);
      times.push(...points);
      if (m.copying)
        demands.push({from: level(clip(m.copying.begin_ns)), to: level(clip(m.copying.end_ns)),
                      px: stage.bars ? LINE : 2 * LINE});
    }
    times.push(...part.steps.map((s) => level(s.at)));
    times.push(level(part.span.from));
  }
  return {...makeAxis(times, demands, said), anchors, said};
}
