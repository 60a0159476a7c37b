/* engraft.h: the public interface of libengraft.
 *
 * A function, type or constant that is not in this file is not public.
 *
 * Data flows one way:  image -> network, cut -> features (HDF5) -> model -> metrics
 *
 * Conventions that hold for every function below, and so are not repeated:
 *   errors     Functions that can fail return enum eg_status and take a last
 *              parameter `struct eg_error *err`, which may be NULL. It is
 *              written only on failure. Out-parameters are written only on
 *              success.
 *   ownership  Arguments are borrowed for the call. X_create/open/load/fit
 *              pair with X_free or X_close; X_free(NULL) does nothing.
 *              A returned const pointer lives as long as its object.
 *   options    Zero means "default" for every member; NULL means all zero.
 *   layout     Dense float arrays are row-major; images are N,H,W,C.
 *   threads    Distinct objects may be used from distinct threads. An eg_net
 *              and an eg_model are immutable once made and may be shared.
 */
#ifndef ENGRAFT_H
#define ENGRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef EG_API
#define EG_API __attribute__((visibility("default")))
#endif
#define EG_MUST_CHECK __attribute__((warn_unused_result))

/* ---- status ------------------------------------------------------------ */

#define EG_STATUS_MAP(XX)                                                      \
    XX(OK, 0, "no error")                                                      \
    XX(E_ARGUMENT, 1, "an argument is outside its documented range")           \
    XX(E_MEMORY, 2, "out of memory")                                           \
    XX(E_IO, 3, "a file could not be read or written")                         \
    XX(E_FORMAT, 4, "a file is not what it claims to be")                      \
    XX(E_UNSUPPORTED, 5, "well formed, but uses something not implemented")    \
    XX(E_SHAPE, 6, "tensor shapes do not fit together")                        \
    XX(E_NOT_FOUND, 7, "no layer, class or dataset of that name")              \
    XX(E_NUMERIC, 8, "a computation produced NaN or infinity")                 \
    XX(E_CANCELLED, 9, "the progress callback asked to stop")                  \
    XX(E_SYSTEM, 10, "an operating-system or MPI call failed")                 \
    XX(E_EXISTS, 11, "the output exists and may not be overwritten")

enum eg_status {
#define XX(name, code, text) EG_##name = code,
    EG_STATUS_MAP(XX)
#undef XX
};

struct eg_error {
    enum eg_status status;
    char message[1000]; /* lower case, no full stop: "cannot open 'a.jpg': ..." */
};

EG_API const char *eg_version(void);                    /* "0.1.0" */
EG_API const char *eg_status_text(enum eg_status status);

/* ---- shared handles ------------------------------------------------------ */

typedef struct eg_pool eg_pool; /* worker threads */

/* Called between steps of long work, always from the calling thread.
 * Return false to stop: the caller then gets EG_E_CANCELLED. */
typedef bool eg_progress_fn(void *user, size_t done, size_t total);

/* n_threads   0 = the CPUs this process may use */
EG_API EG_MUST_CHECK enum eg_status
eg_pool_create(unsigned n_threads, eg_pool **pool, struct eg_error *err);
EG_API unsigned eg_pool_threads(const eg_pool *pool);
EG_API void eg_pool_free(eg_pool *pool);

/* ---- image --------------------------------------------------------------- */

struct eg_image {
    uint8_t *rgb;         /* [height][width][3], owned */
    size_t height, width; /* pixels */
};

enum eg_resize { EG_RESIZE_SHORT, EG_RESIZE_SQUASH, EG_RESIZE_NONE };
enum eg_filter { EG_FILTER_BILINEAR, EG_FILTER_BICUBIC };

/* The recipe: how a photo becomes a network's input. It travels with the
 * network and into every feature file and trained model. The value of a sample
 * is (x * scale - mean[c]) / std[c], x in 0..255, c in the order of `channels`. */
struct eg_recipe {
    enum eg_resize resize;
    size_t size;          /* short side after resizing (EG_RESIZE_SHORT), pixels */
    size_t crop[2];       /* height, width of the network's input, pixels */
    enum eg_filter filter;
    bool antialias;
    bool bgr;             /* channel order B,G,R instead of R,G,B */
    double scale;
    double mean[3], std[3];
    bool exif;            /* apply the EXIF orientation */
    bool fast_decode;     /* scaled JPEG decoding allowed */
};

#ifdef __cplusplus
}
#endif
#endif
