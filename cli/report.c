/* report.c: --report PAGE.html, the same for every command that has it. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

int check_report(const struct invocation *in)
{
    const char *path = option_text(in, "report");
    return path ? check_output(in, path) : EXIT_DONE;
}

/* The last part of a path, slashes at its end left out; free() it. */
static char *last_part(const char *path)
{
    char *copy = strdup(path);
    size_t n = copy ? strlen(copy) : 0;
    while (n > 1 && copy[n - 1] == '/') copy[--n] = '\0';
    char *slash = copy ? strrchr(copy, '/') : NULL;
    if (slash && slash[1]) memmove(copy, slash + 1, strlen(slash + 1) + 1);
    return copy;
}

int write_report(const struct invocation *in, const char *photos, struct eg_page_options *page)
{
    const char *path = option_text(in, "report");
    if (!path) return EXIT_DONE;
    struct progress progress;
    struct eg_error err;
    char *title = last_part(photos), *shown = title ? printable(title) : NULL;
    progress_begin(&progress, in, "report");
    page->size = sizeof *page;
    page->kind = in->command->name;
    page->title = shown;
    page->command = in->line;
    page->overwrite = true; /* whether it may be was asked before the work */
    page->progress = progress_step;
    page->user = &progress;
    enum eg_status status = eg_report_page(page, path, &err);
    progress_end(&progress);
    free(title);
    free(shown);
    if (status == EG_E_CANCELLED) {
        fprintf(stderr, "engraft %s: interrupted; '%s' was not written\n", in->command->name, path);
        return EXIT_INTERRUPTED;
    }
    if (status) return report_error(in, status, &err);
    if (!option_flag(in, "quiet")) fprintf(stderr, "the report is in %s\n", path);
    return EXIT_DONE;
}
