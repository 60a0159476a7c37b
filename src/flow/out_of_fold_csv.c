/* out_of_fold_csv.c: what a classifier says of every row without having seen it, as a table. */
#include <stdio.h>
#include <stdlib.h>

#include "base/csv_rows.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/versioned.h"
#include "flow/flow.h"
#include "flow/out_of_fold.h"

/* path,label,fold, then a column of probabilities for each class. */
static void write_table(const struct eg_store_spec *spec, const struct eg_out_of_fold *found,
                        struct eg_text *text)
{
    const struct eg_sample *s = &found->sample;
    eg__text_append(text, "path,label,fold");
    for (size_t c = 0; c < s->n_classes; c++) {
        eg__text_append(text, ",");
        eg__csv_write(text, s->classes[c]);
    }
    eg__text_append(text, "\n");
    for (size_t i = 0; i < s->n; i++) {
        eg__csv_write(text, spec->paths[s->rows[i]]);
        eg__text_append(text, ",");
        eg__csv_write(text, s->classes[s->labels[i]]);
        eg__text_append(text, ",%u", (unsigned)found->fold[i]);
        for (size_t c = 0; c < s->n_classes; c++)
            eg__text_append(text, ",%.6g", (double)found->probabilities[i * s->n_classes + c]);
        eg__text_append(text, "\n");
    }
}

enum eg_status eg_out_of_fold_csv(eg_features *features, const struct eg_train_options *options,
                                  const char *path, struct eg_error *err)
{
    struct eg_train_options own;
    struct eg_out_of_fold found = {0};
    struct eg_outfile file;
    struct eg_text text = {0};
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (!status && (own.multi_label || own.target))
        return eg__fail(err, EG_E_UNSUPPORTED,
                        "a table of probabilities out of fold is for one class a photo");
    if (!status) status = eg__out_of_fold(features, &own, &found, err);
    if (status) return status;
    write_table(eg__store_spec(features), &found, &text);
    eg__out_of_fold_release(&found);
    status =
        text.failed ? eg__fail_memory(err, "a table") : eg__outfile_open(path, own.overwrite, &file, err);
    if (!status) {
        fwrite(text.chars, 1, text.length, file.stream); /* commit asks whether it was written */
        status = eg__outfile_commit(&file, err);
    }
    free(text.chars);
    return status;
}
