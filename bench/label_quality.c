/* label_quality FILE.h5: how good the audit finds each label: row, quality, likeliest other class
 * (bench/wrong_labels.py). */
#include <stdio.h>

#include "flow/audit.h"

int main(int argc, char **argv)
{
    struct eg_error err = {.message = "label_quality FILE.h5"};
    const struct eg_audit_options how = {EG_SIZED(eg_audit_options)};
    eg_features *features = NULL;
    struct eg_audit audit;
    if (argc != 2 || eg_features_open(argv[1], &features, &err) ||
        eg__audit_run(features, &how, false, &audit, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    for (size_t i = 0; i < audit.n_labelled && audit.quality; i++)
        printf("%zu %.9g %d\n", audit.rows[audit.labelled[i]], (double)audit.quality[i], (int)audit.other[i]);
    eg__audit_release(&audit);
    eg_features_close(features);
    return 0;
}
