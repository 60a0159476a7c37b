/* joint.c: rows of several cuts side by side. */
#include "flow/joint.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "flow/flow.h"

enum eg_status eg__joint_add(struct eg_joint *joint, struct eg_store *store, size_t cut, const size_t *rows,
                             struct eg_error *err)
{
    struct eg_part *more = realloc(joint->parts, (joint->n + 1) * sizeof *more);
    if (!more) return eg__fail_memory(err, "the cuts");
    joint->parts = more;
    const size_t length = eg__store_spec(store)->cuts[cut].length;
    joint->parts[joint->n++] = (struct eg_part){.store = store, .cut = cut, .length = length, .rows = rows};
    joint->length += length;
    return EG_OK;
}

void eg__joint_release(struct eg_joint *joint)
{
    free(joint->parts);
    *joint = (struct eg_joint){0};
}

static enum eg_status gather_part(const struct eg_part *part, const size_t *rows, size_t n, size_t *places,
                                  float *out, struct eg_error *err)
{
    for (size_t i = 0; i < n && part->rows; i++) places[i] = part->rows[rows[i]];
    return eg__rows_gather(part->store, part->cut, part->rows ? places : rows, n, out, err);
}

enum eg_status eg__joint_gather(const struct eg_joint *joint, const size_t *rows, size_t n, float *out,
                                struct eg_error *err)
{
    if (joint->n == 1 && !joint->parts[0].rows)
        return eg__rows_gather(joint->parts[0].store, joint->parts[0].cut, rows, n, out, err);
    size_t widest = 0, at = 0;
    for (size_t p = 0; p < joint->n; p++)
        if (joint->parts[p].length > widest) widest = joint->parts[p].length;
    size_t *places = eg__alloc(n, sizeof *places), room = eg__row_batch(widest);
    float *block = eg__alloc(room, widest * sizeof *block);
    enum eg_status status = places && block ? EG_OK : eg__fail_memory(err, "rows");
    for (size_t p = 0; p < joint->n && !status; p++) {
        const struct eg_part *part = &joint->parts[p];
        for (size_t first = 0, count; first < n && !status; first += count) {
            count = n - first < room ? n - first : room;
            status = gather_part(part, rows + first, count, places, block, err);
            for (size_t i = 0; i < count && !status; i++)
                memcpy(out + (first + i) * joint->length + at, block + i * part->length,
                       part->length * sizeof *out);
        }
        at += part->length;
    }
    free(places);
    free(block);
    return status;
}
