/* page_files.h: serve/page/ and the report's modules (under report/), as the program carries them. */
#ifndef ENGRAFT_PAGE_FILES_H
#define ENGRAFT_PAGE_FILES_H

#include "serve/http.h"

struct page_file {
    const char *name; /* "main.js", "report/dom.js" */
    const unsigned char *bytes, *end;
};
extern const struct page_file page_files[]; /* in a generated file; ended by NULL */

/* A route's handler: "/" is index.html. */
void get_page_file(void *state, const struct request *request, struct reply *reply);

#endif
