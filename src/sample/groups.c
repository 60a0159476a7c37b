/* Which rows belong together (a burst of photos, a patient, a video), told by their paths. */
#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "sample/sample.h"

enum { PATTERN_MOST = 255, COPIES_MOST = 255 };

/* Patterns come out of model files too, so nothing that makes matching slow or large: they are short,
 * have no back references, and their counts {n} multiply to no more than COPIES_MOST. */
static enum eg_status check(const char *pattern, struct eg_error *err)
{
    unsigned long copies = 1;
    if (!*pattern || strlen(pattern) > PATTERN_MOST)
        return eg__fail(err, EG_E_ARGUMENT, "the group pattern '%.40s' must have 1 to %d characters", pattern,
                        PATTERN_MOST);
    for (const char *c = pattern; *c; c++) {
        if (*c == '\\' && isdigit((unsigned char)c[1]))
            return eg__fail(err, EG_E_UNSUPPORTED,
                            "the group pattern '%s' refers back by \\%c (write it out)", pattern, c[1]);
        if (*c != '{') continue;
        char *end;
        unsigned long least = strtoul(c + 1, &end, 10), most = *end == ',' ? strtoul(end + 1, &end, 10) : 0;
        unsigned long count = least > most ? least : most;
        if (count > COPIES_MOST || (copies *= count ? count : 1) > COPIES_MOST)
            return eg__fail(err, EG_E_ARGUMENT,
                            "the counts in the group pattern '%s' multiply to more than %d", pattern,
                            COPIES_MOST);
    }
    return EG_OK;
}

/* A row's group is a piece of its path; a row that matches nothing is a group of its own, named by
 * its number. */
struct piece {
    const char *text;
    size_t n, row;
    bool alone;
};

static int compare_names(const struct piece *x, const struct piece *y)
{
    if (x->alone != y->alone) return x->alone ? 1 : -1;
    if (x->alone) return x->row < y->row ? -1 : x->row > y->row;
    int order = memcmp(x->text, y->text, x->n < y->n ? x->n : y->n);
    return order ? order : x->n < y->n ? -1 : x->n > y->n;
}

static int compare_pieces(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    int order = compare_names(x, y);
    return order ? order : x->row < y->row ? -1 : x->row > y->row;
}

static struct piece find_piece(const regex_t *regex, const char *path, size_t row)
{
    regmatch_t match[2];
    if (regexec(regex, path, 2, match, 0)) return (struct piece){path, strlen(path), row, true};
    const regmatch_t *m = regex->re_nsub && match[1].rm_so >= 0 ? &match[1] : &match[0];
    return (struct piece){path + m->rm_so, (size_t)(m->rm_eo - m->rm_so), row, false};
}

enum eg_status eg__groups(const char *pattern, const char *const *paths, size_t n, int32_t *groups,
                          uint8_t (*identity)[32], struct eg_error *err)
{
    regex_t regex;
    enum eg_status status = check(pattern, err);
    if (status) return status;
    if (n > INT32_MAX) return eg__fail(err, EG_E_UNSUPPORTED, "%zu rows are too many to group", n);
    int failure = regcomp(&regex, pattern, REG_EXTENDED);
    if (failure) {
        char why[200];
        regerror(failure, &regex, why, sizeof why);
        return eg__fail(err, EG_E_ARGUMENT, "the group pattern '%s' is no regular expression: %s", pattern,
                        why);
    }
    struct piece *pieces = eg__alloc(n, sizeof *pieces);
    if (!pieces) {
        regfree(&regex);
        return eg__fail_memory(err, "the groups");
    }
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        pieces[i] = find_piece(&regex, paths[i], i);
        any = any || !pieces[i].alone;
    }
    regfree(&regex);
    qsort(pieces, n, sizeof *pieces, compare_pieces);
    int32_t group = 0;
    for (size_t i = 0; i < n && !status; i++) {
        bool same = i && !compare_names(&pieces[i - 1], &pieces[i]);
        size_t row = pieces[i].row;
        if (i && !same) group++;
        groups[row] = group;
        if (!identity || pieces[i].alone) continue;
        if (same)
            memcpy(identity[row], identity[pieces[i - 1].row], sizeof *identity);
        else
            status = eg__sha256(pieces[i].text, pieces[i].n, identity[row], err);
    }
    if (!any && n && !status)
        status = eg__fail(err, EG_E_ARGUMENT, "the group pattern '%s' matches no path ('%s' is one)", pattern,
                          paths[0]);
    free(pieces);
    return status;
}
