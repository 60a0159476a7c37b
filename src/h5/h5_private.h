/* h5_private.h: what the files of this room share. */
#ifndef EG_H5_H5_PRIVATE_H
#define EG_H5_H5_PRIVATE_H

#define H5_USE_110_API /* HDF5 1.12 and later give other functions the names used here */
#include <hdf5.h>

#include "h5/h5.h"

struct eg_h5 {
    hid_t file;
    struct driver_file *driver;
    char *path, *real, *journal; /* as given; links resolved; real with ".journal" */
    int lock;                    /* a descriptor of its own, which holds the locks */
    int journal_fd;
    int replaced; /* the same on the file that a new one will replace */
    char *part;   /* the name until it is published; NULL: published */
    bool write;
    uint64_t bytes;
    int cause; /* errno of the first write that failed; libhdf5 is not told */
};

struct eg_h5_set {
    struct eg_h5 *h5;
    hid_t set;
    char *path;
    struct eg_h5_shape shape;
    size_t row_length;
};

/* Around every use of libhdf5: one thread at a time, its own printing of errors off. */
void eg__h5_enter(void);
void eg__h5_leave(void);

/* After anything that writes: EG_OK, or what went wrong in the driver. Inside. */
enum eg_status eg__h5_sound(struct eg_h5 *h5, struct eg_error *err);

/* Inside: err gets the words, then the cause: the operating system's if our driver met one
 * in this file, else libhdf5's innermost. */
__attribute__((format(printf, 4, 5))) enum eg_status eg__h5_fail(struct eg_error *err, enum eg_status status,
                                                                 struct eg_h5 *h5, const char *format, ...);

/* Refuses what points outside the file, and collects the names of the files that virtual
 * datasets take their rows from (sources NULL: refuses those as well). Inside. */
struct eg_h5_sources {
    char **names;
    size_t n, capacity, first_set, next;
};
enum eg_status eg__h5_check(hid_t file, const char *path, struct eg_h5_sources *sources,
                            struct eg_error *err);
void eg__h5_sources_release(struct eg_h5_sources *sources);

/* A file as it lies in memory: EG_E_FORMAT where it is damaged in a way that libhdf5 would not
 * survive. What is not known here passes. */
enum eg_status eg__h5_look_over(const void *image, size_t size, const char *path, struct eg_error *err);
bool eg__h5_message_fits(unsigned type, const uint8_t *data, size_t size);

char **eg__h5_pack_texts(char *const *texts, size_t n); /* copies in one block, NULL as ""; NULL: no memory */

hid_t eg__h5_access_list(void); /* with our driver */
hid_t eg__h5_text_type(size_t bytes);
hid_t eg__h5_make_type(const struct eg_h5_shape *shape);

/* ---- driver -------------------------------------------------------------------------- */

struct staged_page {
    uint64_t page;
    uint8_t *bytes;
};

struct driver_file {
    H5FD_t public; /* must come first */
    haddr_t eoa, eof;
    int fd;     /* -1: for now closed, to be opened again */
    char *name; /* of a file to read */
    struct driver_file *next;
    uint64_t device, inode;
    int cause;   /* errno of the last failure */
    int *report; /* where a writer wants to know of it */
    bool staging, dead;
    uint64_t base;             /* when staging: bytes below this change only in a commit */
    struct staged_page *pages; /* open addressing, by page number */
    size_t n_pages, capacity;
};

enum { STAGE_PAGE = 4096 };

hid_t eg__h5_driver(void);
/* errno of a file that libhdf5 tried to open since; 0: none. It gives fill values in its place. */
void eg__h5_driver_forget_failure(void);
int eg__h5_driver_open_failure(void);
enum eg_status eg__h5_journal_recover(const char *path, const char *journal, struct eg_error *err);
enum eg_status eg__sync_folder(const char *path, struct eg_error *err); /* that path is in */
enum eg_status eg__h5_journal_commit(struct eg_h5 *h5, struct eg_error *err);
void eg__h5_journal_end(struct eg_h5 *h5);
void eg__h5_driver_clear_pages(struct driver_file *file);
bool eg__full_read(int fd, void *bytes, size_t n, uint64_t offset); /* past the end: zeros */
bool eg__full_write(int fd, const void *bytes, size_t n, uint64_t offset);

#endif
