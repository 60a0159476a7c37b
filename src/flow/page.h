/* page.h: the report of a command as a page, as its files share it.
 *
 * page.c         the order of things; sources, pictures, how it was made
 * page_heat.c    what spoke for the answers to a few of them
 * page_photos.c  which photos are in it, where they stand, their small pictures */
#ifndef EG_FLOW_PAGE_H
#define EG_FLOW_PAGE_H

#include "flow/audit.h"
#include "report/page_write.h"

struct page_photo {
    const char *path;
    int32_t label;                /* of page->classes; -1: none */
    size_t row, labelled, judged; /* of the audit's rows, its labelled ones, of the evaluation; SIZE_MAX */
    float place[2];
    double weight;                   /* how much there is to say of it */
    struct eg_jpeg thumb, own_thumb; /* shown: borrowed, or the own one */
    int thumb_number;
    size_t number; /* in the page; SIZE_MAX: it is left out */
    json_t *map;   /* what spoke for class map_of: rows of whole numbers up to 99; NULL: none */
    int32_t map_of;
};

struct page {
    const struct eg_page_options *options;
    struct eg_audit audit;
    bool audited;
    struct eg_evaluate_report *made;            /* by us */
    const struct eg_evaluate_report *evaluated; /* NULL: none */
    const char **classes;
    size_t n_classes;
    int32_t *class_of; /* [evaluated classes] of `classes` */
    struct page_photo *photos;
    size_t n_photos, n_shown, n_thumbs, n_omitted_thumbs;
    struct eg_text thumbs; /* JSON */
};

/* photos, weights, places on the map. */
EG_MUST_CHECK enum eg_status eg__page_photos(struct page *page, struct eg_error *err);
/* As the page's JSON; NULL: no memory. Before the thumbs. */
json_t *eg__page_photos_json(struct page *page);
/* Small pictures in no more than `room` bytes of text: those of most weight large, then others small. */
EG_MUST_CHECK enum eg_status eg__page_thumbs(struct page *page, size_t room, struct eg_error *err);
/* Maps of the worst errors and the least sure; none where the model has none to give. */
EG_MUST_CHECK enum eg_status eg__page_heat(struct page *page, struct eg_error *err);
/* Adds to a photo's JSON its map, and which part of the photo the network saw, once its picture is there. */
void eg__page_heat_json(const struct page *page, const struct page_photo *photo, json_t *one);
void eg__page_photos_release(struct page *page);

#endif
