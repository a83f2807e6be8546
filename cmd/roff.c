/* SPDX-License-Identifier: MIT */
/*
 * The manual: `pollux man` prints pollux.1, `pollux man COMMAND` prints pollux-COMMAND.1, in the
 * man(7) macros. The pages are made at build time and carry no date, so that the same source gives
 * the same bytes.
 */
#include "cmd/cmd.h"

#include <ctype.h>
#include <pollux/pollux.h>
#include <stdio.h>
#include <string.h>

/* Prints text so that roff takes none of it for a request: a backslash and a hyphen are escaped
 * (a plain - becomes a typographic hyphen, which cannot be pasted into a shell), and so is a point
 * or a quote at the beginning of a line. `x` becomes bold. */
static void put_text(const char *text)
{
    bool bold = false;
    bool start = true;

    for (; *text != '\0'; text++) {
        switch (*text) {
        case '\\': fputs("\\e", stdout); break;
        case '-': fputs("\\-", stdout); break;
        case '\'': fputs("\\(aq", stdout); break;
        case '`':
            bold = !bold;
            fputs(bold ? "\\fB" : "\\fR", stdout);
            break;
        case '.': fputs(start ? "\\&." : ".", stdout); break;
        default: putchar(*text); break;
        }
        start = *text == '\n';
    }
}

/* Plain text in bold. */
static void put_bold(const char *text)
{
    fputs("\\fB", stdout);
    put_text(text);
    fputs("\\fR", stdout);
}

static void put_upper(const char *text)
{
    for (; *text != '\0'; text++)
        putchar(toupper((unsigned char)*text));
}

static void header(const struct cmd *cmd)
{
    printf(".TH POLLUX");
    if (cmd != NULL) {
        putchar('-');
        put_upper(cmd->name);
    }
    printf(" 1 \"\" \"pollux " PLX_VERSION "\" \"User Commands\"\n.SH NAME\n");
}

/* "see also" as a list: pollux-serve(1), epoll(7) with the names in bold. */
static void put_references(const char *text)
{
    size_t len;

    for (; *text != '\0'; text += len) {
        len = strcspn(text, "(");
        fputs("\\fB", stdout);
        for (size_t i = 0; i < len; i++)
            fputs(text[i] == '-' ? "\\-" : (char[2]){text[i], '\0'}, stdout);
        fputs("\\fR", stdout);
        text += len;
        len = strcspn(text, ",");
        len += strspn(text + len, ", ");
        printf("%.*s", (int)len, text);
    }
    putchar('\n');
}

static void roff_program(void)
{
    const struct cmd *cmd;

    header(NULL);
    printf("pollux \\- network I/O models: servers, clients, and what each model costs\n"
           ".SH SYNOPSIS\n\\fBpollux\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]\n"
           ".SH DESCRIPTION\n");
    put_text("Pollux runs one and the same server under every way a process can wait for and move "
             "bytes: blocking calls, processes, threads, polling, select, poll, epoll, signals, "
             "POSIX asynchronous I/O and io_uring. `pollux models` lists them and says which run "
             "on this machine.\n");
    printf(".SH COMMANDS\n");
    for (size_t i = 0; (cmd = cmd_at(i)) != NULL; i++) {
        printf(".TP\n");
        put_bold(cmd->name);
        putchar('\n');
        put_text(cmd->summary);
        printf("; see \\fBpollux\\-%s\\fR(1)\n", cmd->name);
    }
    printf(".SH OPTIONS\n.TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\n"
           "Print a summary; \\fBpollux \\fICOMMAND\\fB \\-\\-help\\fR that of a command.\n"
           ".TP\n\\fB\\-V\\fR, \\fB\\-\\-version\\fR\nPrint the version.\n"
           ".SH ADDRESSES AND UNITS\n");
    put_text("An address is `HOST:PORT`, `[::1]:PORT`, `:PORT` or `unix:PATH`. An empty host means "
             "127.0.0.1; a server that is to be reached from elsewhere says 0.0.0.0 or [::]. "
             "Port 0 means any free port; a server prints the one it got.\n");
    printf(".PP\n");
    put_text("Counts are given as 100, 10k or 2M, in powers of 1000; sizes as 4096, 64k or 1M, in "
             "powers of 1024; times with their unit, as 100ns, 50us, 250ms, 10s, 2m or 1h. Where "
             "a limit can be switched off, its value is `none`.\n");
    printf(".SH EXIT STATUS\nOf every command; some add more.\n"
           ".TP\n\\fB0\\fR\nDone.\n.TP\n\\fB1\\fR\nFailed while running.\n"
           ".TP\n\\fB2\\fR\nWrong usage, or it cannot start.\n.SH SEE ALSO\n");
    for (size_t i = 0; (cmd = cmd_at(i)) != NULL; i++)
        printf("%s\\fBpollux\\-%s\\fR(1)", i > 0 ? ", " : "", cmd->name);
    putchar('\n');
}

static void roff_option(const struct opt *o)
{
    char facts[OPT_TEXT_MAX];

    printf(".TP\n");
    if (o->brief != '\0')
        printf("\\fB\\-%c\\fR, ", o->brief);
    printf("\\fB");
    put_text("--");
    put_text(o->name);
    printf("\\fR");
    if (o->kind != OPT_FLAG)
        printf((o->flags & OPT_OPTIONAL) != 0 ? "[=\\fI%s\\fR]" : " \\fI%s\\fR", o->arg);
    putchar('\n');
    put_text(o->help);
    if (opt_facts(o, facts, sizeof facts)[0] != '\0') {
        putchar(' ');
        put_text(facts);
    }
    putchar('\n');
}

static void roff_list(const struct cmd_list *list)
{
    const char *name;

    printf(".SH ");
    put_upper(list->heading);
    putchar('\n');
    for (size_t i = 0; (name = list->name(i)) != NULL; i++) {
        printf(".TP\n");
        put_bold(name);
        putchar('\n');
        put_text(list->text(i));
        printf(".\n");
    }
}

void cmd_roff(const struct cmd *cmd)
{
    static const struct opt help = {
        .name = "help", .brief = 'h', .kind = OPT_FLAG, .help = "Print a summary and exit."};

    if (cmd == NULL) {
        roff_program();
        return;
    }
    header(cmd);
    printf("pollux\\-%s \\- ", cmd->name);
    put_text(cmd->summary);
    printf("\n.SH SYNOPSIS\n\\fBpollux %s\\fR [\\fIOPTIONS\\fR]", cmd->name);
    if (cmd->args[0] != '\0')
        printf(" %s", cmd->args);
    printf("\n.SH DESCRIPTION\n");
    for (const char *const *p = cmd->description; *p != NULL; p++) {
        if (p != cmd->description)
            printf(".PP\n");
        put_text(*p);
        putchar('\n');
    }
    printf(".SH OPTIONS\n");
    for (const struct opt *o = cmd->options; o->name != NULL; o++)
        roff_option(o);
    roff_option(&help);
    for (const struct cmd_list *list = cmd->lists; list != NULL && list->heading != NULL; list++)
        roff_list(list);
    printf(".SH EXIT STATUS\n");
    for (const struct cmd_exit *e = cmd->exits; e->text != NULL; e++) {
        printf(".TP\n\\fB%d\\fR\n", e->status);
        put_text(e->text);
        putchar('\n');
    }
    printf(".SH EXAMPLES\n");
    for (const struct cmd_example *e = cmd->examples; e->line != NULL; e++) {
        printf(".TP\n");
        put_bold(e->line);
        putchar('\n');
        put_text(e->text);
        putchar('\n');
    }
    printf(".SH SEE ALSO\n");
    put_references(cmd->see_also);
}
