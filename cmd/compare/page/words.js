/* SPDX-License-Identifier: MIT */
/* What the figures come to, in sentences: outcomes of contests, and where the winner changes. */
'use strict';

/*
 * Who stands how in a contest:
 *   kind  'WIN' (one is better than all), 'TIE', 'CANNOT TELL', 'ONE ARM', 'NO RESULT' (see `why`)
 *   best, tied, unclear, losers (the nearest first): standings; ahead = best and those tied with it
 */
function outcomeOf(workload, metric) {
  const contest = contestOf(workload, metric);
  const standings = list(contest.standings);
  const by = (verdict) => standings.filter((s) => s.verdict === verdict);
  const far = (s) => isNumber(s.ratio) ? Math.abs(Math.log(s.ratio)) : Infinity;
  const [best] = by('BEST');
  if (!contest.held || !best)
    return {kind: 'NO RESULT', why: contest.not_held || 'no valid figure', ahead: [], losers: []};
  const tied = by('TIE');
  const unclear = by('CANNOT TELL');
  const losers = by('LOSES').sort((a, b) => far(a) - far(b));
  const kind = tied.length ? 'TIE' : unclear.length ? 'CANNOT TELL'
    : losers.length ? 'WIN' : 'ONE ARM';
  return {kind, best, tied, unclear, losers, ahead: [best, ...tied]};
}

const armNames = (standings) => names(standings.map((s) => s.arm));

/* "8.4 %" or "3.1×": how far a loser is behind, without a sign. */
function distance(standing) {
  const n = Math.abs(standing.ratio - 1);
  if (inTimes(standing.ratio))
    return `${digits(standing.ratio)} times as much`;
  return `${n < 0.0995 ? (n * 100).toFixed(1) : digits(n * 100)}${NBSP}% ` +
    (standing.ratio > 1 ? 'more' : 'less');
}

/* ---- a workload, by CPU per message ---- */

function beginning(outcome, amount) {
  const {kind, best, unclear, ahead} = outcome;
  if (kind === 'TIE')
    return [armNames(ahead), ` tie at about ${amount}.`];
  if (kind === 'CANNOT TELL')
    return [strong(best.arm), ` shows the least, ${amount}, but is not told from `,
            armNames(unclear), '.'];
  if (kind === 'ONE ARM')
    return ['Only ', strong(best.arm), ` has a figure: ${amount}.`];
  return [strong(best.arm), ` wins with ${amount}.`];
}

function sentenceOf(workload) {
  const outcome = outcomeOf(workload, CPU);
  const {kind, best, unclear, losers} = outcome;
  if (kind === 'NO RESULT')
    return [`${cpuTitle(workload)} is not compared: ${outcome.why}.`];
  const text = beginning(outcome, cpu(best.value, workload) +
                                  (workload.idle ? ' of one CPU' : ' of CPU per message'));
  if (kind === 'TIE' && unclear.length)
    text.push(' Not told from them: ', armNames(unclear), '.');
  if (losers.length) {
    const [next] = losers;
    const others = losers.length - 1;
    text.push(others ? ' The next, ' : ' ', strong(next.arm), others ? ',' : '',
              ` needs ${distance(next)} (${interval(next)})`,
              others ? `; ${whole(others)} more ${others > 1 ? 'need' : 'needs'} more.` : '.');
  }
  return text;
}

/* Who is not among them, and why in a word. */
function absentOf(workload) {
  const absent = (word) => arms.filter((arm) => stateWord(cellOf(workload, arm)) === word &&
                                                cellOf(workload, arm).state !== 'ok');
  return [['excluded', 'EXCLUDED'], ['invalid', 'INVALID'], ['not measured', 'NOT MEASURED']]
    .map(([label, word]) => [label, absent(word)])
    .filter(([, who]) => who.length > 0)
    .map(([label, who]) => `${label}: ${who.map((arm) => arm.name).join(', ')}`)
    .join('; ');
}

/* Another metric in a few words. */
function inBrief(workload, metric) {
  const outcome = outcomeOf(workload, metric);
  const {kind, best, unclear, ahead} = outcome;
  const title = metric.short;
  if (kind === 'NO RESULT')
    return `${title}: not compared, ${outcome.why}`;
  const amount = metric.format(best.value, workload);
  const few = (standings) => standings.length > 3
    ? `${standings.slice(0, 2).map((s) => s.arm).join(', ')} and ${standings.length - 2} more`
    : standings.map((s) => s.arm).join(', ');
  if (kind === 'TIE')
    return `${title}: tie of ${few(ahead)} (${amount})`;
  if (kind === 'CANNOT TELL')
    return `${title}: cannot tell ${best.arm} (${amount}) from ${few(unclear)}`;
  return `${title}: ${best.arm} (${amount})`;
}

/* ---- a sweep: whom nobody was found to beat, from where to where ---- */

const unbeaten = (outcome) =>
  [...outcome.ahead, ...(outcome.unclear || [])].map((standing) => standing.arm);

/* The winner changes only where nobody has been unbeaten on both sides. */
function segmentsOf(sweep, metric) {
  const found = [];
  for (const point of sweep.points) {
    const outcome = outcomeOf(point, metric);
    const last = found[found.length - 1];
    const now = unbeaten(outcome);
    const still = last ? last.who.filter((name) => now.includes(name)) : [];
    const nobody = now.length === 0 && last && last.who.length === 0;
    if (nobody || still.length > 0)
      Object.assign(last, {to: point.at, who: still, kinds: [...last.kinds, outcome.kind]});
    else
      found.push({from: point.at, to: point.at, who: now, kinds: [outcome.kind]});
  }
  return found;
}

function sweepSentence(sweep, metric) {
  const at = (n) => sweep.name === 'size' ? binary(n) : whole(n);
  const found = segmentsOf(sweep, metric);
  if (found.every((s) => s.who.length === 0))
    return [`No verdict: ${outcomeOf(sweep.points[0], metric).why}.`];
  return ['Nobody was found better than ',
    found.map((s, i) => [
      i > 0 ? '; ' : '',
      s.who.length ? names(s.who) : '(no result)',
      s.from === s.to ? ` at ${at(s.from)}` : ` from ${at(s.from)} to ${at(s.to)}`,
    ]), sweep.name === 'size' ? '.' : ` ${sweep.name}.`];
}

function sweepKind(sweep) {
  const found = segmentsOf(sweep, CPU).filter((s) => s.who.length > 0);
  const kinds = found.flatMap((s) => s.kinds);
  if (found.length !== 1)
    return found.length ? 'CROSSES' : 'NO RESULT';
  return ['CANNOT TELL', 'TIE', 'ONE ARM'].find((kind) => kinds.includes(kind)) || 'WIN';
}

const sweepTitle = (sweep) => `Sweep over ${sweep.name === 'size' ? 'message sizes' : sweep.name}`;

/* Is there somebody whom nobody beats, wherever CPU per message is compared? */
function overall() {
  const outcomes = workloads.map((w) => outcomeOf(w, CPU)).filter((o) => o.best);
  const always = arms.filter((arm) => outcomes.every((o) => unbeaten(o).includes(arm.name)));
  if (outcomes.length < 2 || arms.length < 2)
    return [];
  if (always.length === 0)
    return ['There is no overall winner: by CPU per message, everyone is beaten somewhere.'];
  return ['By CPU per message nobody was found better than ', names(always.map((arm) => arm.name)),
          ` in any of the ${whole(outcomes.length)} workloads that have a result.`];
}
