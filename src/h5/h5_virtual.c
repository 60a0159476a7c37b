/* Datasets that join those of other files. */
#include "base/fail.h"
#include "h5/h5_private.h"

static bool map_sources(hid_t list, hid_t all, const char *path, const struct eg_h5_shape *shape,
                        const struct eg_h5_source *sources, size_t n)
{
    hsize_t start[EG_H5_MAX_RANK] = {0}, block[EG_H5_MAX_RANK];
    for (size_t i = 0; i < shape->rank; i++) block[i] = shape->dims[i];
    bool mapped = true;
    for (size_t i = 0; mapped && i < n; i++) {
        if (!sources[i].rows) continue;
        block[0] = sources[i].rows;
        hid_t source = H5Screate_simple((int)shape->rank, block, NULL);
        mapped = source >= 0 && H5Sselect_hyperslab(all, H5S_SELECT_SET, start, NULL, block, NULL) >= 0 &&
                 H5Pset_virtual(list, all, sources[i].name, path, source) >= 0;
        if (source >= 0) H5Sclose(source);
        start[0] += block[0];
    }
    return mapped;
}

enum eg_status eg__h5_virtual_create(struct eg_h5 *h5, const char *path, const struct eg_h5_shape *shape,
                                     const struct eg_h5_source *sources, size_t n_sources,
                                     struct eg_error *err)
{
    const float no_number = __builtin_nanf("");
    const int no_label = -1;
    hsize_t dims[EG_H5_MAX_RANK];
    for (size_t i = 0; i < shape->rank; i++) dims[i] = shape->dims[i];
    enum eg_status status = EG_OK;
    eg__h5_enter();
    hid_t type = eg__h5_make_type(shape), space = H5Screate_simple((int)shape->rank, dims, NULL);
    hid_t list = H5Pcreate(H5P_DATASET_CREATE), set = -1;
    bool made = type >= 0 && space >= 0 && list >= 0 && H5Pset_obj_track_times(list, false) >= 0;
    if (made && (shape->kind == EG_H5_F32 || shape->kind == EG_H5_F16))
        made = H5Pset_fill_value(list, H5T_NATIVE_FLOAT, &no_number) >= 0;
    if (made && shape->kind == EG_H5_I32) made = H5Pset_fill_value(list, H5T_NATIVE_INT, &no_label) >= 0;
    made = made && map_sources(list, space, path, shape, sources, n_sources) && H5Sselect_all(space) >= 0;
    if (made) set = H5Dcreate2(h5->file, path, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    if (set < 0) status = eg__h5_fail(err, EG_E_IO, h5, "cannot make '%s' in '%s'", path, h5->path);
    if (!status) status = eg__h5_sound(h5, err);
    if (set >= 0) H5Dclose(set);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    if (list >= 0) H5Pclose(list);
    eg__h5_leave();
    return status;
}
