/* moves_plan.c: who goes where, and under what name where the wanted one is taken. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/moves_private.h"

enum { MOST_TRIES = 100000 };

enum eg_status eg__moves_init(struct eg_moves *plan, const char *root, struct eg_error *err)
{
    struct eg_moves made = {.root = strdup(root ? root : "")};
    if (!made.root) return eg__fail_memory(err, "a plan of moves");
    size_t n = strlen(made.root);
    while (n > 1 && made.root[n - 1] == '/') made.root[--n] = '\0';
    *plan = made;
    return EG_OK;
}

void eg__moves_release(struct eg_moves *plan)
{
    for (size_t i = 0; i < plan->n; i++) {
        free(plan->moves[i].from);
        free(plan->moves[i].to);
    }
    for (size_t i = 0; i < plan->n_folders; i++) free(plan->folders[i]);
    free(plan->moves);
    free(plan->folders);
    free(plan->taken);
    free(plan->root);
    *plan = (struct eg_moves){0};
}

char *eg__moves_full(const char *root, const char *path)
{
    char *full;
    if (!*root) return strdup(path);
    return asprintf(&full, "%s/%s", root, path) < 0 ? NULL : full;
}

/* ---- names that earlier moves have taken ------------------------------------------------------ */

static size_t slot_of(const struct eg_moves *plan, const char *to)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (const char *c = to; *c; c++) hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    size_t at = (size_t)(hash ^ hash >> 32) & (plan->n_taken - 1);
    while (plan->taken[at] && strcmp(plan->moves[plan->taken[at] - 1].to, to))
        at = (at + 1) & (plan->n_taken - 1);
    return at;
}

static enum eg_status note_taken(struct eg_moves *plan, struct eg_error *err)
{
    if (plan->n * 2 > plan->n_taken) {
        size_t n = plan->n_taken ? plan->n_taken * 2 : 64, *table = eg__zalloc(n, sizeof *table);
        if (!table) return eg__fail_memory(err, "a plan of moves");
        free(plan->taken);
        plan->taken = table;
        plan->n_taken = n;
        for (size_t i = 0; i + 1 < plan->n; i++) plan->taken[slot_of(plan, plan->moves[i].to)] = i + 1;
    }
    plan->taken[slot_of(plan, plan->moves[plan->n - 1].to)] = plan->n;
    return EG_OK;
}

/* ---- entries ------------------------------------------------------------------------------------ */

enum eg_status eg__moves_push(struct eg_moves *plan, const struct eg_move *move, const char *from,
                              const char *to, struct eg_error *err)
{
    if (!eg__grow(&plan->moves, &plan->capacity, plan->n + 1, sizeof *plan->moves))
        return eg__fail_memory(err, "a plan of moves");
    struct eg_move *made = &plan->moves[plan->n];
    *made = *move;
    made->from = strdup(from);
    made->to = strdup(to);
    plan->n++;
    if (!made->from || !made->to) return eg__fail_memory(err, "a plan of moves");
    return note_taken(plan, err);
}

enum eg_status eg__moves_add_folder(struct eg_moves *plan, const char *path, struct eg_error *err)
{
    if (!eg__grow(&plan->folders, &plan->folders_capacity, plan->n_folders + 1, sizeof *plan->folders) ||
        !(plan->folders[plan->n_folders] = strdup(path)))
        return eg__fail_memory(err, "a plan of moves");
    plan->n_folders++;
    return EG_OK;
}

/* The folders of `to` that are not there, parents first. */
static enum eg_status note_folders(struct eg_moves *plan, const char *to, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    char *part = strdup(to);
    if (!part) return eg__fail_memory(err, "a plan of moves");
    for (char *slash = strchr(part + 1, '/'); slash && !status; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool known = false;
        for (size_t i = plan->n_folders; i-- && !known;) known = !strcmp(plan->folders[i], part);
        char *full = known ? NULL : eg__moves_full(plan->root, part);
        struct stat info;
        if (!known && !full)
            status = eg__fail_memory(err, "a plan of moves");
        else if (!known && lstat(full, &info))
            status = eg__moves_add_folder(plan, part, err);
        free(full);
        *slash = '/';
    }
    free(part);
    return status;
}

/* The path below root, or as given where there is none. */
static const char *below_root(const struct eg_moves *plan, const char *path)
{
    size_t n = strlen(plan->root);
    if (!n) return path;
    if (strncmp(path, plan->root, n) || (path[n] != '/' && plan->root[n - 1] != '/')) return NULL;
    path += n;
    while (*path == '/') path++;
    return eg__moves_is_below(path) ? path : NULL;
}

static bool is_taken(const struct eg_moves *plan, const char *to)
{
    if (plan->n_taken && plan->taken[slot_of(plan, to)]) return true;
    char *full = eg__moves_full(plan->root, to);
    struct stat info;
    bool there = !full || !lstat(full, &info) || errno == ENAMETOOLONG;
    free(full);
    return there;
}

/* `to`, or with a number before its suffix; NULL: no memory, or nothing is free. */
static char *free_name(const struct eg_moves *plan, const char *to)
{
    if (!is_taken(plan, to)) return strdup(to);
    const char *last = eg__path_last(to), *dot = strrchr(last, '.');
    if (!dot || dot == last) dot = to + strlen(to);
    size_t stem = (size_t)(dot - last), most = NAME_MAX - strlen(dot) - sizeof "-100000";
    if (strlen(dot) + sizeof "-100000" < NAME_MAX && stem > most)
        stem = most; /* a name may be only so long */
    for (int i = 2; i < MOST_TRIES; i++) {
        char *name;
        if (asprintf(&name, "%.*s%.*s-%d%s", (int)(last - to), to, (int)stem, last, i, dot) < 0) return NULL;
        if (!is_taken(plan, name)) return name;
        free(name);
    }
    return NULL;
}

static enum eg_status add(struct eg_moves *plan, enum eg_move_kind kind, const char *from, const char *to,
                          bool onto, struct eg_error *err)
{
    const char *from_below = below_root(plan, from), *to_below = below_root(plan, to);
    if (!from_below || !to_below)
        return eg__fail(err, EG_E_ARGUMENT, "'%s' is not below '%s'", from_below ? to : from, plan->root);
    if (!*plan->root && (*from != '/' || *to != '/'))
        return eg__fail(err, EG_E_ARGUMENT, "'%s' does not begin with /", *from != '/' ? from : to);
    struct stat info;
    if (lstat(from, &info) || S_ISDIR(info.st_mode))
        return eg__fail(err, EG_E_NOT_FOUND, "'%s' is not there to be moved", from);
    struct eg_move move = {.kind = kind,
                           .inode = (uint64_t)info.st_ino,
                           .bytes = (uint64_t)info.st_size,
                           .mtime_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec};
    char *name = onto ? strdup(to_below) : free_name(plan, to_below);
    if (!name) return eg__fail(err, EG_E_SYSTEM, "there is no free name for '%s'", to);
    enum eg_status status = note_folders(plan, name, err);
    if (!status) status = eg__moves_push(plan, &move, from_below, name, err);
    free(name);
    return status;
}

enum eg_status eg__moves_add(struct eg_moves *plan, enum eg_move_kind kind, const char *from, const char *to,
                             struct eg_error *err)
{
    return add(plan, kind, from, to, false, err);
}

enum eg_status eg__moves_add_onto(struct eg_moves *plan, const char *from, const char *to,
                                  struct eg_error *err)
{
    return add(plan, EG_MOVE_FILE, from, to, true, err);
}
