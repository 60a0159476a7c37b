/* project_api.c: a project over HTTP. Lists of paths come and go as JSON; photos come as their bytes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve/http_private.h"
#include "serve/page_files.h"
#include "serve/project_private.h"

enum { MOST_LISTED = 1000, SMALL_BODY = 1 << 20, LARGE_BODY = 1 << 30, FRAME_BODY = 16 << 20 };

static void fail_reply(struct reply *reply, enum eg_status status, const struct eg_error *err)
{
    int code = status == EG_E_NOT_FOUND  ? 404
               : status == EG_E_EXISTS   ? 409
               : status == EG_E_ARGUMENT ? 400
                                         : 500;
    reply_error(reply, code, "failed", "%s", err->message);
}

static json_t *body_json(const struct request *request, struct reply *reply)
{
    json_t *body = request->body ? json_loadb(request->body, request->body_bytes, 0, NULL) : NULL;
    if (json_is_object(body)) return body;
    json_decref(body);
    reply_error(reply, 400, "no_json", "the body is no JSON object");
    return NULL;
}

static const char *text_in(const json_t *body, const char *key)
{
    const char *text = json_string_value(json_object_get(body, key));
    return text ? text : "";
}

/* The texts of body.paths; free() the array, they are the body's. */
static const char **paths_in(const json_t *body, size_t *n)
{
    const json_t *list = json_object_get(body, "paths");
    const char **paths = calloc(json_array_size(list) + 1, sizeof *paths);
    *n = 0;
    for (size_t i = 0; paths && i < json_array_size(list); i++)
        if (json_is_string(json_array_get(list, i)))
            paths[(*n)++] = json_string_value(json_array_get(list, i));
    return paths;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static void get_state(void *state, const struct request *request, struct reply *reply)
{
    (void)request;
    struct project *p = state;
    pthread_rwlock_rdlock(&p->lock);
    json_t *made = project_state_json(p);
    pthread_rwlock_unlock(&p->lock);
    reply_json(reply, 200, made);
}

static void get_events(void *state, const struct request *request, struct reply *reply)
{
    (void)state;
    (void)request;
    reply_events(reply);
}

static size_t number_of(const struct request *request, const char *name, size_t usual, size_t most)
{
    const char *text = request_query(request, name);
    char *end;
    unsigned long long value = text ? strtoull(text, &end, 10) : usual;
    if (text && (end == text || *end)) value = usual;
    return value < most ? (size_t)value : most;
}

static json_t *photo_json(const struct project *p, const struct photo *photo)
{
    (void)p;
    return json_pack("{s:o,s:I}", "path", text_json(photo->path), "version",
                     (json_int_t)(photo->mtime_ns / 1000000));
}

/* Of a class, the newest first. What a classifier that has not seen it says of a photo goes with it. */
static const struct judged *judged_at(const struct judged *judged, const char *path, size_t *at)
{
    size_t low = 0, high = judged ? judged->report->metrics.n : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(judged->paths[judged->by_path[middle]], path);
        if (!order) {
            *at = judged->by_path[middle];
            return judged;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static json_t *judged_photo(const struct project *p, const struct photo *photo)
{
    json_t *made = photo_json(p, photo);
    size_t at;
    if (!judged_at(p->judged, photo->path, &at)) return made;
    const struct eg_held_out_report *r = p->judged->report;
    int32_t answer = r->answers[at];
    const char *own = listing_class(p->listing, photo), *said = r->classes[answer];
    json_object_set_new(made, "answer", text_json(said));
    json_object_set_new(made, "probability",
                        number_json((double)r->probabilities[at * r->metrics.n_classes + (size_t)answer]));
    json_object_set_new(made, "right", json_boolean(own && !strcmp(own, said)));
    return made;
}

static void get_photos(void *state, const struct request *request, struct reply *reply)
{
    struct project *p = state;
    const char *name = request_query(request, "class");
    size_t offset = number_of(request, "offset", 0, SIZE_MAX),
           limit = number_of(request, "limit", 100, MOST_LISTED);
    pthread_rwlock_rdlock(&p->lock);
    const struct listing *l = p->listing;
    int label = listing_label(l, name ? name : "");
    json_t *list = json_array();
    size_t total = 0;
    if (l && label >= -1) {
        const size_t first = l->first[label + 1];
        total = l->first[label + 2 > (int)l->n_classes + 1 ? (int)l->n_classes + 1 : label + 2] - first;
        for (size_t i = offset; i < total && i - offset < limit; i++)
            json_array_append_new(list, judged_photo(p, &l->photos[l->order[first + i]]));
    }
    json_t *made = json_pack("{s:o,s:I,s:I,s:I}", "photos", list, "total", (json_int_t)total, "offset",
                             (json_int_t)offset, "revision", (json_int_t)(l ? l->revision : 0));
    pthread_rwlock_unlock(&p->lock);
    if (label < -1) {
        json_decref(made);
        reply_error(reply, 404, "no_such_class", "there is no class '%s'", name);
    } else {
        reply_json(reply, 200, made);
    }
}

/* In the order in which they would teach most; those that are not looked at yet come last. */
static void get_inbox(void *state, const struct request *request, struct reply *reply)
{
    struct project *p = state;
    size_t offset = number_of(request, "offset", 0, SIZE_MAX),
           limit = number_of(request, "limit", 50, MOST_LISTED);
    pthread_rwlock_rdlock(&p->lock);
    const struct listing *l = p->listing;
    const struct waiting *w = p->waiting;
    json_t *list = json_array();
    size_t seen = 0;
    for (size_t i = 0; w && i < w->n && json_array_size(list) < limit; i++) {
        const struct photo *photo = listing_find(l, w->paths[i]);
        if (!photo || photo->label >= 0 || seen++ < offset) continue;
        json_t *one = photo_json(p, photo);
        if (w->guesses) {
            json_object_set_new(one, "guess", text_json(w->guesses[i]));
            json_object_set_new(one, "probability", number_json((double)w->probabilities[i]));
        }
        json_array_append_new(list, one);
    }
    for (size_t i = 0; l && !w && i < l->first[1] && json_array_size(list) < limit; i++)
        if (seen++ >= offset) json_array_append_new(list, photo_json(p, &l->photos[l->order[i]]));
    json_t *made = json_pack("{s:o,s:I}", "photos", list, "total", (json_int_t)(l ? l->first[1] : 0));
    pthread_rwlock_unlock(&p->lock);
    reply_json(reply, 200, made);
}

static void get_report(void *state, const struct request *request, struct reply *reply)
{
    (void)request;
    struct project *p = state;
    pthread_rwlock_rdlock(&p->lock);
    json_t *made = project_report_json(p);
    pthread_rwlock_unlock(&p->lock);
    reply_json(reply, 200, made);
}

static void get_suspects(void *state, const struct request *request, struct reply *reply)
{
    (void)request;
    struct project *p = state;
    pthread_rwlock_rdlock(&p->lock);
    json_t *report = project_report_json(p);
    pthread_rwlock_unlock(&p->lock);
    reply_json(reply, 200, json_incref(json_object_get(report, "audit")));
    json_decref(report);
}

static void get_thumb(void *state, const struct request *request, struct reply *reply)
{
    const char *path = request_query(request, "path");
    project_thumb(state, path ? path : "", reply);
}

/* A whole photo, for the large view. */
static void get_photo(void *state, const struct request *request, struct reply *reply)
{
    struct project *p = state;
    const char *path = request_query(request, "path"), *dot = path ? strrchr(path, '.') : NULL;
    pthread_rwlock_rdlock(&p->lock);
    bool known = path && listing_find(p->listing, path);
    pthread_rwlock_unlock(&p->lock);
    int fd = known ? project_open_photo(p, path) : -1;
    if (fd < 0) {
        reply_error(reply, 404, "no_such_photo", "there is no such photo");
        return;
    }
    static const char *const types[][2] = {{".png", "image/png"},  {".webp", "image/webp"},
                                           {".gif", "image/gif"},  {".bmp", "image/bmp"},
                                           {".jpg", "image/jpeg"}, {".jpeg", "image/jpeg"}};
    const char *type = "application/octet-stream"; /* what browsers do not show is not shown */
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (!strcasecmp(dot, types[i][0])) type = types[i][1];
    reply_fd(reply, fd, type);
    reply_header(reply, "Cache-Control", "private, no-cache");
}

/* ---- photos come ------------------------------------------------------------------------------------------
 */

struct upload {
    struct project *p;
    const char *class_name, *group; /* class_name NULL: told by each path's folder */
    json_t *added, *refused;
};

static void refuse(struct upload *up, const char *name, const char *why)
{
    json_array_append_new(up->refused,
                          json_pack("{s:o,s:o}", "path", text_json(name), "reason", text_json(why)));
}

/* "a/b/c.jpg" is of class "b". */
static bool class_of_path(const char *path, char room[256])
{
    const char *last = strrchr(path, '/'), *begin = last;
    if (!last) {
        room[0] = '\0';
        return true;
    }
    while (begin > path && begin[-1] != '/') begin--;
    size_t n = (size_t)(last - begin);
    if (n >= 256) return false;
    memcpy(room, begin, n);
    room[n] = '\0';
    return safe_name(room);
}

static bool take_photo(void *user, const char *path, const void *bytes, size_t n)
{
    struct upload *up = user;
    char own[256];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *class_name = up->class_name;
    struct eg_image image;
    struct eg_error err;
    if (*name == '.' || !*name || strstr(path, "__MACOSX/")) return true; /* rubbish of file managers */
    if (!class_name && !class_of_path(path, own)) {
        refuse(up, path, "its folder cannot be the name of a class");
        return true;
    }
    if (!class_name) class_name = own;
    enum eg_status status = project_bounded(bytes, n, &err);
    if (!status) status = eg_image_decode(bytes, n, &image, &err);
    if (!status) {
        char *made = NULL;
        eg_image_release(&image);
        status = project_add(up->p, class_name, safe_name(name) ? name : "photo.jpg", bytes, n, up->group,
                             &made, &err);
        if (!status) json_array_append_new(up->added, text_json(made));
        free(made);
    }
    if (status) refuse(up, path, err.message);
    return true;
}

static bool is_zip(const void *bytes, size_t n) { return n > 4 && !memcmp(bytes, "PK\3\4", 4); }

static int take_file(struct upload *up, const char *path, const void *bytes, size_t n, char why[200])
{
    if (is_zip(bytes, n)) return unzip_read(bytes, n, NULL, take_photo, up, why);
    take_photo(up, path, bytes, n);
    return 0;
}

struct parts {
    struct upload *up;
    int failed;
    char *why;
};

static bool take_part(void *user, const struct part *part)
{
    struct parts *parts = user;
    if (!part->filename) return true;
    parts->failed = take_file(parts->up, part->filename, part->bytes, part->n_bytes, parts->why);
    return !parts->failed;
}

static void post_photos(void *state, const struct request *request, struct reply *reply)
{
    struct upload up = {
        .p = state, .class_name = request_query(request, "class"), .group = request_query(request, "group")};
    const char *type = request_header(request, "Content-Type"), *name = request_query(request, "name");
    char why[200] = "";
    int failed = 0;
    if (up.class_name && *up.class_name && !safe_name(up.class_name)) {
        reply_error(reply, 400, "no_class_name", "'%s' cannot be the name of a class", up.class_name);
        return;
    }
    if (!request->body) {
        reply_error(reply, 400, "no_photo", "there is no photo in the request");
        return;
    }
    up.added = json_array();
    up.refused = json_array();
    if (type && !strncmp(type, "multipart/form-data", 19)) {
        struct parts parts = {&up, 0, why};
        failed = multipart_read(type, request->body, request->body_bytes, take_part, &parts, why);
        if (!failed) failed = parts.failed;
    } else {
        failed = take_file(&up, name && *name ? name : "photo.jpg", request->body, request->body_bytes, why);
    }
    if (failed && !json_array_size(up.added)) {
        json_decref(up.added);
        json_decref(up.refused);
        reply_error(reply, failed, "not_taken", "%s", why);
        return;
    }
    if (failed) refuse(&up, name ? name : "", why);
    bool none = !json_array_size(up.added) && json_array_size(up.refused);
    reply_json(reply, none ? 422 : 200, json_pack("{s:o,s:o}", "added", up.added, "refused", up.refused));
}

/* ---- changing
 * -------------------------------------------------------------------------------------------------- */

static void reply_change(struct reply *reply, enum eg_status status, struct change *change,
                         const struct eg_error *err)
{
    if (status) {
        fail_reply(reply, status, err);
        return;
    }
    json_t *skipped = json_array();
    for (size_t i = 0; i < change->n_skipped; i++)
        json_array_append_new(skipped, json_pack("{s:o,s:o}", "path", text_json(change->skipped[i].path),
                                                 "reason", text_json(change->skipped[i].reason)));
    reply_json(reply, 200, json_pack("{s:I,s:o}", "done", (json_int_t)change->done, "skipped", skipped));
    change_release(change);
}

static bool class_name_good(const char *name, struct reply *reply)
{
    if (safe_name(name)) return true;
    reply_error(reply, 400, "no_class_name", "'%s' cannot be the name of a class", name);
    return false;
}

static void move_or_delete(void *state, const struct request *request, struct reply *reply, bool move)
{
    struct change change = {0};
    struct eg_error err;
    size_t n;
    json_t *body = body_json(request, reply);
    if (!body) return;
    const char *to = text_in(body, "to"), **paths = paths_in(body, &n);
    if (!move || !*to || class_name_good(to, reply)) {
        enum eg_status status = project_move(state, paths, n, move ? to : NULL, &change, &err);
        reply_change(reply, status, &change, &err);
    }
    free(paths);
    json_decref(body);
}

static void post_move(void *state, const struct request *request, struct reply *reply)
{
    move_or_delete(state, request, reply, true);
}

static void post_delete(void *state, const struct request *request, struct reply *reply)
{
    move_or_delete(state, request, reply, false);
}

static void post_confirm(void *state, const struct request *request, struct reply *reply)
{
    struct eg_error err;
    size_t n;
    json_t *body = body_json(request, reply);
    if (!body) return;
    const char **paths = paths_in(body, &n);
    enum eg_status status = project_confirm(state, paths, n, &err);
    if (status)
        fail_reply(reply, status, &err);
    else
        reply_json(reply, 200, json_pack("{s:I}", "done", (json_int_t)n));
    free(paths);
    json_decref(body);
}

/* {"name"}: a new class; {"name", "to"}: renamed, or put together with another; {"name", "remove": true} */
static void post_classes(void *state, const struct request *request, struct reply *reply)
{
    struct change change = {0};
    struct eg_error err;
    json_t *body = body_json(request, reply);
    if (!body) return;
    const char *name = text_in(body, "name"), *to = text_in(body, "to");
    if (class_name_good(name, reply) && (!*to || class_name_good(to, reply))) {
        enum eg_status status = json_is_true(json_object_get(body, "remove"))
                                    ? project_remove_class(state, name, &change, &err)
                                : *to ? project_rename_class(state, name, to, &change, &err)
                                      : project_add_class(state, name, &err);
        reply_change(reply, status, &change, &err);
    }
    json_decref(body);
}

static void post_undo(void *state, const struct request *request, struct reply *reply)
{
    (void)request;
    struct eg_error err;
    json_t *what = NULL;
    enum eg_status status = project_undo(state, &what, &err);
    if (status) {
        json_decref(what);
        fail_reply(reply, status, &err);
    } else {
        reply_json(reply, 200, what);
    }
}

/* Somebody looks at the page again: what was changed outside is looked for now, also within files. */
static void post_look(void *state, const struct request *request, struct reply *reply)
{
    (void)request;
    struct project *p = state;
    pthread_mutex_lock(&p->wake_lock);
    p->look = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->wake_lock);
    reply_json(reply, 200, json_object());
}

static void post_compare(void *state, const struct request *request, struct reply *reply)
{
    (void)request;
    struct project *p = state;
    pthread_mutex_lock(&p->wake_lock);
    p->compare = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->wake_lock);
    reply_json(reply, 202, json_object());
}

/* ---- another network
 * ------------------------------------------------------------------------------------------------ */

struct choice {
    const char *network, *cut;
};

static enum eg_status choose(struct project *p, void *data, struct eg_error *err)
{
    const struct choice *choice = data;
    eg_net *net = NULL, *cut_net = NULL;
    struct eg_net_options how = {EG_SIZED(eg_net_options), .folders = p->folders};
    enum eg_status status = eg_net_load(choice->network, &how, &net, err);
    if (!status && choice->cut) status = eg_net_cut(net, choice->cut, &cut_net, err);
    eg_net_free(cut_net);
    char *path = status ? NULL : project_file(p, "project.json"),
         *cut = choice->cut ? strdup(choice->cut) : NULL, *network = strdup(choice->network);
    json_t *made = json_pack("{s:s,s:o}", "network", choice->network, "cut", text_json(choice->cut));
    if (!status && (!path || !network || (choice->cut && !cut) || json_dump_file(made, path, 0)))
        status = serve_fail(err, EG_E_IO, "cannot write '%s'", path ? path : "project.json");
    json_decref(made);
    free(path);
    if (status) {
        eg_net_free(net);
        free(cut);
        free(network);
        return status;
    }
    pthread_rwlock_wrlock(&p->lock);
    char *old = p->network, *old_cut = p->cut;
    p->network = network;
    p->cut = cut;
    pthread_rwlock_unlock(&p->lock);
    free(old);
    free(old_cut);
    eg_net_free(p->net);
    p->net = net;
    return EG_OK;
}

static void post_network(void *state, const struct request *request, struct reply *reply)
{
    struct eg_error err;
    json_t *body = body_json(request, reply);
    if (!body) return;
    const char *cut = text_in(body, "cut");
    struct choice choice = {text_in(body, "network"), *cut ? cut : NULL};
    enum eg_status status = EG_E_ARGUMENT;
    bool known = false;
    for (size_t i = 0; i < eg_known_net_count(); i++)
        known |= !strcmp(eg_known_net_at(i).name, choice.network);
    if (known)
        status = project_run(state, choose, &choice, &err);
    else
        serve_fail(&err, EG_E_ARGUMENT, "there is no network '%s'", choice.network);
    if (status) {
        fail_reply(reply, status, &err);
    } else {
        project_changed(state);
        reply_json(reply, 200, json_object());
    }
    json_decref(body);
}

const struct route project_routes[] = {
    {"GET", "/api/state", get_state, 0, 0},
    {"GET", "/api/events", get_events, 0, ROUTE_QUICK},
    {"GET", "/api/photos", get_photos, 0, 0},
    {"GET", "/api/inbox", get_inbox, 0, 0},
    {"GET", "/api/report", get_report, 0, 0},
    {"GET", "/api/suspects", get_suspects, 0, 0},
    {"GET", "/api/thumb", get_thumb, 0, 0},
    {"GET", "/api/photo", get_photo, 0, 0},
    {"GET", "/api/export/", get_export, 0, 0},
    {"POST", "/api/photos", post_photos, LARGE_BODY, 0},
    {"POST", "/api/classes", post_classes, SMALL_BODY, 0},
    {"POST", "/api/move", post_move, LARGE_BODY / 64, 0},
    {"POST", "/api/delete", post_delete, LARGE_BODY / 64, 0},
    {"POST", "/api/confirm", post_confirm, SMALL_BODY, 0},
    {"POST", "/api/undo", post_undo, SMALL_BODY, 0},
    {"POST", "/api/look", post_look, SMALL_BODY, 0},
    {"POST", "/api/compare", post_compare, SMALL_BODY, 0},
    {"POST", "/api/network", post_network, SMALL_BODY, 0},
    {"POST", "/api/predict", post_predict, FRAME_BODY, 0},
    {"POST", "/api/explain", post_explain, 4 * FRAME_BODY, 0},
    {"GET", "/", get_page_file, 0, ROUTE_QUICK},
};
const size_t n_project_routes = sizeof project_routes / sizeof *project_routes;
