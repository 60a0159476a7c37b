/* moves_journal.c: a plan as text and back.
 *
 *   engraft moves 1
 *   folder TAB PATH                              made on the way
 *   move|link TAB INODE TAB BYTES TAB MTIME_NS TAB FROM TAB TO
 *
 * In paths bytes below 0x20, 0x7f and '%' are written %NN; one record a line, the last line too ends. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/moves_private.h"

static const char header[] = "engraft moves 1\n";
static const char *const kinds[] = {"move", "link"};
enum { FIELDS = 6 };

static void append_path(struct eg_text *text, const char *path)
{
    for (; *path; path++) {
        unsigned char c = (unsigned char)*path;
        if (c < 0x20 || c == 0x7f || c == '%')
            eg__text_append(text, "%%%02x", c);
        else
            eg__text_append_bytes(text, path, 1);
    }
}

void eg__moves_write(const struct eg_moves *plan, struct eg_text *text)
{
    eg__text_append(text, "%s", header);
    for (size_t i = 0; i < plan->n_folders; i++) {
        eg__text_append(text, "folder\t");
        append_path(text, plan->folders[i]);
        eg__text_append(text, "\n");
    }
    for (size_t i = 0; i < plan->n; i++) {
        const struct eg_move *m = &plan->moves[i];
        eg__text_append(text, "%s\t%llu\t%llu\t%lld\t", kinds[m->kind], (unsigned long long)m->inode,
                        (unsigned long long)m->bytes, (long long)m->mtime_ns);
        append_path(text, m->from);
        eg__text_append(text, "\t");
        append_path(text, m->to);
        eg__text_append(text, "\n");
    }
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; false: no escape that we write. */
static bool unescape(char *path)
{
    char *out = path;
    for (; *path; path++) {
        if (*path != '%') {
            *out++ = *path;
            continue;
        }
        int high = hex_digit(path[1]), low = high < 0 ? -1 : hex_digit(path[2]);
        if (low < 0 || !(high | low)) return false;
        *out++ = (char)(high << 4 | low);
        path += 2;
    }
    *out = '\0';
    return true;
}

bool eg__moves_is_below(const char *path)
{
    if (!*path || *path == '/') return false;
    for (const char *part = path; part; part = strchr(part, '/')) {
        if (*part == '/') part++;
        size_t n = strcspn(part, "/");
        if (!n || (n == 1 && *part == '.') || (n == 2 && !strncmp(part, "..", 2))) return false;
    }
    return true;
}

static bool parse_number(const char *text, unsigned long long *value)
{
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && !errno;
}

static bool take_path(const struct eg_moves *plan, char *path)
{
    return unescape(path) && (*plan->root ? eg__moves_is_below(path) : *path == '/');
}

/* One line without its end, cut up in place. */
static enum eg_status take_line(struct eg_moves *plan, char *line, size_t number, struct eg_error *err)
{
    char *field[FIELDS + 1] = {line};
    size_t n = 1;
    for (char *tab = line; n <= FIELDS && (tab = strchr(tab, '\t')); n++) {
        *tab++ = '\0';
        field[n] = tab;
    }
    if (n == 2 && !strcmp(field[0], "folder") && take_path(plan, field[1]))
        return eg__moves_add_folder(plan, field[1], err);
    unsigned long long inode, bytes, mtime;
    bool negative = n == FIELDS && *field[3] == '-';
    int kind = !strcmp(field[0], kinds[1]);
    if (n != FIELDS || strcmp(field[0], kinds[kind]) || !parse_number(field[1], &inode) ||
        !parse_number(field[2], &bytes) || !parse_number(field[3] + negative, &mtime) || mtime > INT64_MAX ||
        !take_path(plan, field[4]) || !take_path(plan, field[5]))
        return eg__fail(err, EG_E_FORMAT, "line %zu of the journal is not one that was written there",
                        number);
    struct eg_move move = {.kind = (enum eg_move_kind)kind,
                           .inode = inode,
                           .bytes = bytes,
                           .mtime_ns = negative ? -(int64_t)mtime : (int64_t)mtime};
    return eg__moves_push(plan, &move, field[4], field[5], err);
}

enum eg_status eg__moves_parse(const char *text, size_t n_bytes, const char *root, struct eg_moves *plan,
                               struct eg_error *err)
{
    size_t n_header = strlen(header);
    if (n_bytes < n_header || memcmp(text, header, n_header))
        return eg__fail(err, EG_E_FORMAT, "it is no journal of moves that this version reads");
    if (text[n_bytes - 1] != '\n' || memchr(text, 0, n_bytes))
        return eg__fail(err, EG_E_FORMAT, "the journal is cut off or damaged");
    struct eg_moves made;
    enum eg_status status = eg__moves_init(&made, root, err);
    if (status) return status;
    char *copy = strndup(text + n_header, n_bytes - n_header);
    if (!copy) status = eg__fail_memory(err, "a journal");
    size_t number = 2;
    for (char *line = copy, *end; !status && line && *line; line = end + 1, number++) {
        end = strchr(line, '\n');
        *end = '\0';
        status = take_line(&made, line, number, err);
    }
    free(copy);
    if (status)
        eg__moves_release(&made);
    else
        *plan = made;
    return status;
}

/* ---- journals of a folder ------------------------------------------------------------------------ */

char *eg__moves_journal(const char *folder, const char *name, unsigned long number)
{
    char *path;
    return asprintf(&path, "%s/.engraft/%s-%lu.moves", folder, name, number) < 0 ? NULL : path;
}

unsigned long eg__moves_last(const char *folder, const char *name)
{
    unsigned long last = 0, number;
    char *path;
    if (asprintf(&path, "%s/.engraft", folder) < 0) return 0;
    DIR *dir = opendir(path);
    free(path);
    const size_t n = strlen(name);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (!strncmp(entry->d_name, name, n) && sscanf(entry->d_name + n, "-%lu.moves", &number) == 1 &&
            number > last)
            last = number;
    if (dir) closedir(dir);
    return last;
}
