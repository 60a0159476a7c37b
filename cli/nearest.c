/* "did you mean": the known words nearest to one that was typed. */
#include <string.h>

#include "cli.h"

enum { LONGEST = 64 };

static unsigned least(unsigned a, unsigned b) { return a < b ? a : b; }

/* Letters put in, left out, exchanged or swapped with their neighbour, of the first n and m
 * letters (optimal string alignment). */
static unsigned distance(const char *a, size_t n, const char *b, size_t m)
{
    unsigned rows[3][LONGEST + 1], *before = rows[0], *last = rows[1], *row = rows[2];
    for (unsigned j = 0; j <= m; j++) last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);
            best = least(best, least(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = least(best, before[j - 2] + 1);
            row[j] = best;
        }
        unsigned *unused = before;
        before = last;
        last = row;
        row = unused;
    }
    return last[m];
}

/* A word may also be typed in part: then what follows counts as one. */
static unsigned word_distance(const char *typed, const char *word)
{
    size_t n = strnlen(typed, LONGEST), m = strnlen(word, LONGEST);
    unsigned best = distance(typed, n, word, m);
    for (size_t part = n ? n - 1 : 0; part <= n + 1 && part < m; part++)
        best = least(best, distance(typed, n, word, part) + 1);
    return best;
}

void nearest_begin(struct nearest *nearest, const char *typed)
{
    unsigned longest = (unsigned)strnlen(typed, LONGEST) / 3;
    *nearest = (struct nearest){.typed = typed, .most = longest ? longest : 1};
}

void nearest_add(struct nearest *nearest, const char *word)
{
    unsigned d = word_distance(nearest->typed, word);
    if (d > nearest->most || (nearest->n == NEAREST && d >= nearest->distances[NEAREST - 1])) return;
    size_t at = nearest->n < NEAREST ? nearest->n++ : NEAREST - 1;
    for (; at > 0 && nearest->distances[at - 1] > d; at--) {
        nearest->distances[at] = nearest->distances[at - 1];
        nearest->words[at] = nearest->words[at - 1];
    }
    nearest->distances[at] = d;
    nearest->words[at] = word;
}

const char *nearest_text(const struct nearest *nearest, const char *before, const char *prefix,
                         char text[200])
{
    size_t used = 0;
    *text = '\0';
    for (size_t i = 0; i < nearest->n && used < 200; i++) {
        if (nearest->distances[i] > nearest->distances[0] + 1) break;
        int n = snprintf(text + used, 200 - used, "%s%s%s", i ? " or " : before, prefix, nearest->words[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    return text;
}
