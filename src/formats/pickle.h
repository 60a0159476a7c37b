/* pickle.h: Python's pickle, read as data. The machine can build numbers, strings, tuples,
 * lists, dictionaries, storages and tensors. Nothing is ever called: an object of any other class is
 * opaque, and all that is known of it are the attributes and items that the pickle gives it. */
#ifndef EG_FORMATS_PICKLE_H
#define EG_FORMATS_PICKLE_H

#include "graph/graph.h"

enum eg_pickle_kind {
    EG_PICKLE_NONE,
    EG_PICKLE_BOOL,
    EG_PICKLE_INT,
    EG_PICKLE_FLOAT,
    EG_PICKLE_STRING,
    EG_PICKLE_TUPLE,
    EG_PICKLE_LIST,
    EG_PICKLE_DICT,
    EG_PICKLE_GLOBAL,
    EG_PICKLE_STORAGE,
    EG_PICKLE_TENSOR,
    EG_PICKLE_OPAQUE,
};

struct eg_pickle_value {
    enum eg_pickle_kind kind;
    uint32_t count, capacity; /* bytes of a string; items of a tuple, a list; 2 x pairs of the others */
    union {
        int64_t integer; /* bool, int; which constructor (-1: none of ours); which storage or tensor */
        double real;
        const char *chars; /* in the pickle, not terminated */
        uint32_t *items;   /* indexes of values; a dictionary: key, value, key, value, ...; an opaque
                              object: the same, of its attributes and of its items */
    } as;
};

/* A run of numbers kept outside the pickle under a key; a view is a part of one. */
struct eg_pickle_storage {
    const char *key;
    uint32_t key_length;
    enum eg_dtype dtype;
    size_t element_bytes;
    uint64_t count;                   /* elements under the key */
    uint64_t view_offset, view_count; /* elements of it that tensors may use */
    const uint8_t *data;              /* of the key's first element; set by the caller */
};

struct eg_pickle_tensor {
    uint32_t storage;
    uint64_t offset; /* elements */
    uint8_t rank;
    uint64_t size[EG_RANK_MAX], stride[EG_RANK_MAX];
};

struct eg_pickle {
    struct eg_pickle_value *values; /* values[result] is the object */
    struct eg_pickle_storage *storages;
    struct eg_pickle_tensor *tensors;
    uint32_t result;
    size_t n_values, n_storages, n_tensors;
    size_t length; /* bytes of the pickle, STOP included */
    size_t values_capacity, storages_capacity, tensors_capacity;
};

/* Run the pickle at bytes. The result points into bytes. */
EG_MUST_CHECK enum eg_status eg__pickle_read(const uint8_t *bytes, size_t size, struct eg_pickle *pickle,
                                             struct eg_error *err);
void eg__pickle_release(struct eg_pickle *pickle);

/* The value under a string key; NULL: none. */
const struct eg_pickle_value *eg__pickle_get(const struct eg_pickle *pickle,
                                             const struct eg_pickle_value *dict, const char *key);

#endif
