/* joint.h: the features of a photo side by side: of one cut, of several, or of several networks' files
 * whose rows are found by the photos' contents. */
#ifndef EG_FLOW_JOINT_H
#define EG_FLOW_JOINT_H

#include "features/store.h"
#include "graph/graph.h"

struct eg_part {
    struct eg_store *store; /* borrowed */
    size_t cut, length;
    const size_t
        *rows; /* [rows of the first part's store] the same photo's row here; NULL: the same number */
};
struct eg_joint {
    struct eg_part *parts;
    size_t n, length; /* length: of all */
};

/* One more cut; `rows` NULL or borrowed. */
EG_MUST_CHECK enum eg_status eg__joint_add(struct eg_joint *joint, struct eg_store *store, size_t cut,
                                           const size_t *rows, struct eg_error *err);
void eg__joint_release(struct eg_joint *joint);

/* Rows, numbered as the first part's store has them, as [n][length]. EG_E_NUMERIC names one that is not
 * finite. */
EG_MUST_CHECK enum eg_status eg__joint_gather(const struct eg_joint *joint, const size_t *rows, size_t n,
                                              float *out, struct eg_error *err);

#endif
