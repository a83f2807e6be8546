/* SPDX-License-Identifier: MIT */
/*
 * What `pollux compare` takes. Defaults are not in the rows, but filled in by compare_plan.c: they
 * depend on each other, and a repetition contradicts what was typed, not what was left out.
 */
#include "cmd/compare.h"
#include "cmd/compare/net.h"

#include <errno.h>
#include <string.h>

#define DAY (24 * 3600 * PLX_SECOND)

#define AT(field) .offset = offsetof(struct compare_values, field)

const struct opt compare_options[] = {
    {.name = "models",
     .brief = 'm',
     .kind = OPT_TEXT,
     AT(models),
     .arg = "LIST",
     .help = "Which models: names with commas between them, `all`, or `none`, which leaves those "
             "of --server. All if not given."},
    {.name = "server",
     .kind = OPT_LIST,
     AT(server),
     .arg = "NAME=COMMAND",
     .help = "Another program that echoes, measured in the same rounds; may be repeated. The shell "
             "runs COMMAND, in which {addr} and {port} stand for where it is to listen."},
    {.name = "workload",
     .brief = 'w',
     .kind = OPT_LIST,
     AT(workload),
     .arg = "NAME[=SPEC]",
     .help = "What to ask of them: a built-in workload by its name, or one of your own, "
             "mine=connections=500,size=2k; may be repeated. All built-in ones if not given."},
    {.name = "budget",
     .kind = OPT_TIME,
     AT(budget_ns),
     .arg = "TIME",
     .min = PLX_SECOND,
     .max = 7 * DAY,
     .help = "How long all of it may take. Runs are as long as this allows, and rounds are made "
             "until everything is decided or the time is spent. 30m if not given."},
    {.name = "rounds",
     .kind = OPT_COUNT,
     AT(rounds),
     .arg = "N",
     .min = 1,
     .max = 10000,
     .help = "Make N rounds. If not given, as many as it takes within the budget."},
    {.name = "quick",
     .kind = OPT_FLAG,
     AT(quick),
     .help = "About a minute: short runs of the few workloads that matter most."},
    {.name = "pin",
     .kind = OPT_TEXT,
     AT(pin),
     .arg = "CPUS",
     .help = "Which CPUs: `SERVER:CLIENT`, as in 0:1 or 0-1:2-3, `none`, or `auto`: one for the "
             "server, and one of another core for the client. Auto if not given."},
    {.name = "net",
     .kind = OPT_TEXT,
     AT(net),
     .arg = "NET",
     .choice = net_kind,
     .help = "Over which network: `lo`, the loopback device, or `netns`, two network namespaces, "
             "in which server and client receive on their own CPUs as two hosts do. It takes root, "
             "or the right to make user namespaces. Lo if not given."},
    {.name = "seed",
     .kind = OPT_COUNT,
     AT(seed),
     .arg = "N",
     .min = 1,
     .max = INT64_MAX,
     .help = "Where the random numbers begin, for the order of the runs and the contents of the "
             "messages. If not given, another one each time; the results say which."},
    {.name = "output",
     .brief = 'o',
     .kind = OPT_TEXT,
     .flags = OPT_FILE,
     AT(output),
     .arg = "DIR",
     .help = "Write results.json, report.html and repeat.sh into DIR, which is made if it is "
             "missing. If not given, into a new directory pollux-compare-DATE-TIME."},
    {.name = "repeat",
     .kind = OPT_TEXT,
     .flags = OPT_FILE,
     AT(repeat),
     .arg = "FILE",
     .help = "Do again what FILE, a results.json, says, and say whether it came out the same."},
    {0}};

/* ---- a repetition ---- */

static bool was_given(const struct compare_values *v, const struct opt *o)
{
    const char *field = (const char *)v + o->offset;
    const char *text;
    int64_t number;
    bool flag;
    size_t n;

    switch (o->kind) {
    case OPT_LIST: memcpy(&n, field + offsetof(struct opt_list, n), sizeof n); return n > 0;
    case OPT_TEXT: memcpy(&text, field, sizeof text); return text != NULL;
    case OPT_FLAG: memcpy(&flag, field, sizeof flag); return flag;
    case OPT_COUNT:
    case OPT_SIZE:
    case OPT_TIME: memcpy(&number, field, sizeof number); return number != 0;
    case OPT_CHOICE: break; /* there is none */
    }
    return false;
}

int compare_repeat_check(const struct compare_values *v, char *err, size_t errcap)
{
    for (const struct opt *o = compare_options; v->repeat != NULL && o->name != NULL; o++) {
        bool may = strcmp(o->name, "repeat") == 0 || strcmp(o->name, "output") == 0 ||
                   strcmp(o->name, "net") == 0;

        if (was_given(v, o) && !may)
            return compare_refuse(err, errcap,
                                  "--repeat and --%s contradict each other: what is repeated is "
                                  "said by %s; leave one of them out",
                                  o->name, v->repeat);
    }
    return 0;
}
