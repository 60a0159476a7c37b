/* Progress, colours, ctrl-C, and text in columns. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

static volatile sig_atomic_t stop_asked;
static bool bar_shown;

static void ask_to_stop(int signal_number)
{
    (void)signal_number;
    stop_asked = 1;
}

void catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool interrupted(void) { return stop_asked; }

double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

bool colour_on(FILE *to)
{
    const char *term = getenv("TERM"), *none = getenv("NO_COLOR");
    return isatty(fileno(to)) && !(none && *none) && term && strcmp(term, "dumb");
}

void progress_begin(struct progress *progress, const struct invocation *in, const char *what)
{
    catch_interrupt();
    double now = seconds_now();
    *progress = (struct progress){.what = what, .quiet = option_flag(in, "quiet"), .start = now, .last = now};
    const char *form = option_text(in, "progress");
    progress->json = form && !strcmp(form, "json");
    progress->terminal = isatty(STDERR_FILENO);
}

static void print_time(double seconds)
{
    unsigned long s = (unsigned long)ceil(seconds);
    if (s >= 3600)
        fprintf(stderr, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
    else
        fprintf(stderr, "%lu:%02lu", s / 60, s % 60);
}

size_t terminal_columns(FILE *to)
{
    enum { LEAST = 40, MOST = 1000 };
    struct winsize size;
    long long columns = 0;
    const char *given = getenv("COLUMNS");
    if (!ioctl(fileno(to), TIOCGWINSZ, &size) && size.ws_col)
        columns = size.ws_col;
    else if (!given || !parse_integer(given, &columns) || columns < 1 || columns > MOST)
        columns = 80;
    return columns < LEAST ? LEAST : (size_t)columns;
}

static int bar_width(void)
{
    int width = (int)terminal_columns(stderr) - 56;
    return width < 0 ? 0 : width > 40 ? 40 : width;
}

/* What is not known yet is null. */
static void print_event(const struct progress *p, size_t done, size_t total, double rate)
{
    fprintf(stderr, "{\"event\": \"%s\", \"done\": %zu, ", p->what, done);
    if (total)
        fprintf(stderr, "\"total\": %zu, ", total);
    else
        fprintf(stderr, "\"total\": null, ");
    if (rate > 0 && !total)
        fprintf(stderr, "\"rate\": %.6g, \"seconds_left\": null}\n", rate);
    else if (rate > 0)
        fprintf(stderr, "\"rate\": %.6g, \"seconds_left\": %.3f}\n", rate, (double)(total - done) / rate);
    else
        fprintf(stderr, "\"rate\": null, \"seconds_left\": null}\n");
    fflush(stderr);
}

bool progress_step(void *user, size_t done, size_t total)
{
    struct progress *p = user;
    if (stop_asked) return false;
    double now = seconds_now();
    if (!p->started || done < p->before) { /* or a new pass over the same */
        if (p->started) p->start = now;
        p->started = true;
        p->first = done;
    }
    p->before = done;
    double pause = p->json ? (done < total || !total ? 1.0 : 0) : p->terminal ? 0.1 : 4.0;
    if (p->quiet || now - p->last < pause) return true;
    p->last = now;
    double rate = now > p->start ? (double)(done - p->first) / (now - p->start) : 0;
    if (p->json) {
        print_event(p, done, total, rate);
        return true;
    }
    if (p->terminal && !total) {
        fprintf(stderr, "\r\033[K%s: ", p->what);
        bar_shown = true;
    } else if (p->terminal) {
        int width = bar_width(), filled = total ? (int)((double)width * (double)done / (double)total) : 0;
        fprintf(stderr, "\r\033[K%s [", p->what);
        for (int i = 0; i < width; i++) fputc(i < filled ? '#' : '.', stderr);
        fprintf(stderr, "] ");
        bar_shown = true;
    } else {
        fprintf(stderr, "%s: ", p->what);
    }
    if (p->bytes)
        fprintf(stderr, "%.1f of %.1f MB", (double)done / 1e6, (double)total / 1e6);
    else
        fprintf(stderr, total ? "%zu of %zu" : "%zu", done, total);
    if (rate > 0) {
        fprintf(stderr,
                p->bytes    ? ", %.1f MB/s"
                : rate < 10 ? ", %.1f/s"
                            : ", %.0f/s",
                p->bytes ? rate / 1e6 : rate);
        if (done < total) {
            fprintf(stderr, ", ");
            print_time((double)(total - done) / rate);
            fprintf(stderr, " left");
        }
    }
    if (!p->terminal) fputc('\n', stderr);
    fflush(stderr);
    return true;
}

void clear_bar(void)
{
    if (bar_shown) fprintf(stderr, "\r\033[K");
    bar_shown = false;
}

void progress_end(struct progress *progress)
{
    (void)progress;
    clear_bar();
}

static size_t utf8_length(const unsigned char *u)
{
    if (u[0] < 0x80) return u[0] ? 1 : 0;
    if (u[0] < 0xc2 || u[0] > 0xf4) return 0;
    size_t n = u[0] >= 0xf0 ? 4 : u[0] >= 0xe0 ? 3 : 2;
    for (size_t i = 1; i < n; i++)
        if ((u[i] & 0xc0) != 0x80) return 0;
    if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) || (u[0] == 0xf0 && u[1] < 0x90) ||
        (u[0] == 0xf4 && u[1] > 0x8f))
        return 0;
    return n;
}

char *printable(const char *text)
{
    char *clean = malloc(4 * strlen(text) + 1), *to = clean;
    if (!clean) return NULL;
    for (const unsigned char *u = (const unsigned char *)text; *u;) {
        size_t n = utf8_length(u);
        bool control = u[0] < 0x20 || u[0] == 0x7f || (u[0] == 0xc2 && u[1] < 0xa0);
        if (n && !control) {
            memcpy(to, u, n);
            to += n;
            u += n;
        } else {
            to += snprintf(to, 5, "\\x%02x", *u++);
        }
    }
    *to = '\0';
    return clean;
}

size_t text_width(const char *utf8)
{
    size_t n = 0;
    for (; *utf8; utf8++) n += (*utf8 & 0xc0) != 0x80;
    return n;
}

void print_padded(FILE *to, const char *text, size_t width, bool cut)
{
    size_t n = text_width(text);
    if (n <= width || !cut) {
        fprintf(to, "%s%*s", text, n < width ? (int)(width - n) : 0, "");
        return;
    }
    for (size_t skip = n - (width > 3 ? width - 3 : 0); skip; skip--) do
            text++;
        while ((*text & 0xc0) == 0x80);
    fprintf(to, "...%s", text);
}

void print_count(FILE *to, unsigned long long n, int width)
{
    char digits[32], grouped[48];
    int length = snprintf(digits, sizeof digits, "%llu", n), at = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0) grouped[at++] = ',';
        grouped[at++] = digits[i];
    }
    grouped[at] = '\0';
    fprintf(to, "%*s", width, grouped);
}
