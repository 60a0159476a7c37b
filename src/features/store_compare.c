/* May a run go on with a file? Only when everything that shapes its rows is the same. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/unicode.h"
#include "features/store_private.h"

static enum eg_status differs(const struct eg_store *store, struct eg_error *err, const char *what,
                              const char *found, const char *wanted)
{
    return eg__fail_for(err, EG_E_EXISTS, EG_REASON_MADE_OTHERWISE,
                        "'%s' was made otherwise: its %s is '%s', this run's is '%s'", store->path, what,
                        found ? found : "", wanted ? wanted : "");
}

static enum eg_status compare_numbers(const struct eg_store *store, struct eg_error *err, const char *what,
                                      size_t found, size_t wanted)
{
    char a[32], b[32];
    if (found == wanted) return EG_OK;
    snprintf(a, sizeof a, "%zu", found);
    snprintf(b, sizeof b, "%zu", wanted);
    return differs(store, err, what, a, b);
}

/* Empty and missing are the same. */
static bool same(const char *a, const char *b) { return !strcmp(a ? a : "", b ? b : ""); }

static enum eg_status compare_members(const struct eg_store *store, const struct text_member *members,
                                      size_t n, const void *found, const void *wanted, const char *of,
                                      eg_same_recipe_fn *same_recipe, struct eg_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *a, *b;
        memcpy(&a, (const char *)found + members[i].offset, sizeof a);
        memcpy(&b, (const char *)wanted + members[i].offset, sizeof b);
        if (!members[i].must_equal || same(a, b)) continue;
        if (same_recipe && !strcmp(members[i].attribute, "recipe") && same_recipe(a ? a : "", b ? b : ""))
            continue;
        char what[300];
        const char *member = members[i].attribute;
        if (!strcmp(member, "name")) member = "network";
        snprintf(what, sizeof what, "%s%s%s", of ? of : "", of ? "'s " : "", member);
        return differs(store, err, what, a, b);
    }
    return EG_OK;
}

static enum eg_status compare_cut(const struct eg_store *store, size_t i, const struct eg_cut_info *wanted,
                                  struct eg_error *err)
{
    const struct eg_cut_info *found = &store->cuts[i];
    char what[300];
    snprintf(what, sizeof what, "cut %zu", i + 1);
    if (!same(found->name, wanted->name)) return differs(store, err, what, found->name, wanted->name);
    enum eg_status status =
        compare_members(store, eg__cut_texts, N_CUT_TEXTS, found, wanted, found->name, NULL, err);
    if (status) return status;
    snprintf(what, sizeof what, "%s's length", found->name);
    status = compare_numbers(store, err, what, found->length, wanted->length);
    for (int k = 0; !status && k < 3; k++) {
        snprintf(what, sizeof what, "%s's %s", found->name,
                 k == 0   ? "height"
                 : k == 1 ? "width"
                          : "channels");
        status = compare_numbers(store, err, what, found->shape[k], wanted->shape[k]);
    }
    if (!status && found->half != wanted->half) {
        snprintf(what, sizeof what, "%s's type", found->name);
        status = differs(store, err, what, found->half ? "f16" : "f32", wanted->half ? "f16" : "f32");
    }
    return status;
}

enum eg_status eg__store_compare_making(const struct eg_store *store, const struct eg_store_spec *wanted,
                                        struct eg_error *err)
{
    const struct eg_store_spec *found = &store->spec;
    enum eg_status status =
        compare_members(store, eg__spec_texts, N_SPEC_TEXTS, found, wanted, NULL, wanted->same_recipe, err);
    if (!status) status = compare_numbers(store, err, "number of cuts", found->n_cuts, wanted->n_cuts);
    for (size_t i = 0; !status && i < found->n_cuts; i++)
        status = compare_cut(store, i, &wanted->cuts[i], err);
    if (!status) status = compare_numbers(store, err, "deflate level", found->deflate, wanted->deflate);
    if (!status && wanted->thumbnails && !found->thumbnails)
        status = differs(store, err, "thumbnails", "none", "wanted");
    return status;
}

static enum eg_status compare_list(const struct eg_store *store, const struct eg_store_spec *wanted,
                                   struct eg_error *err)
{
    const struct eg_store_spec *found = &store->spec;
    char what[64];
    size_t n = found->n_rows < wanted->n_rows ? found->n_rows : wanted->n_rows;
    for (size_t i = 0; i < n; i++) {
        if (same(found->paths[i], wanted->paths[i])) continue;
        snprintf(what, sizeof what, "image %zu", i + 1);
        return differs(store, err, what, found->paths[i], wanted->paths[i]);
    }
    enum eg_status status = compare_numbers(store, err, "number of images", found->n_rows, wanted->n_rows);
    if (status) return status;
    n = found->n_classes < wanted->n_classes ? found->n_classes : wanted->n_classes;
    for (size_t i = 0; i < n; i++) {
        if (eg__same_name(found->classes[i], wanted->classes[i])) continue;
        snprintf(what, sizeof what, "class %zu", i + 1);
        return differs(store, err, what, found->classes[i], wanted->classes[i]);
    }
    status = compare_numbers(store, err, "number of classes", found->n_classes, wanted->n_classes);
    for (size_t i = 0; !status && i < found->n_rows; i++)
        if (found->labels[i] != wanted->labels[i]) {
            int32_t a = found->labels[i], b = wanted->labels[i];
            status = differs(store, err, "class of an image", a < 0 ? "none" : found->classes[a],
                             b < 0 ? "none" : wanted->classes[b]);
        }
    return status;
}

enum eg_status eg__store_compare(const struct eg_store *store, const struct eg_store_spec *wanted,
                                 struct eg_error *err)
{
    const struct eg_store_spec *found = &store->spec;
    enum eg_status status = eg__store_compare_making(store, wanted, err);
    if (!status) status = compare_numbers(store, err, "number of shards", found->n_shards, wanted->n_shards);
    if (!status) status = compare_numbers(store, err, "shard", found->shard, wanted->shard);
    if (status) return status;
    status = compare_list(store, wanted, err);
    if (status && err) err->reason = EG_REASON_PHOTOS_CHANGED;
    return status;
}
