/* service.c: POST /v1/predict and what tells of the models. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "serve/page_files.h"
#include "serve/service_private.h"

enum { BODY_BYTES = 64 << 20, MOST_TOP = 100000 };

/* ---- what is asked for ------------------------------------------------------------------------------ */

static bool find_model(const struct service *s, const struct request *request, size_t *model)
{
    const char *name = request_query(request, "model");
    *model = 0;
    if (!name) return true;
    for (size_t i = 0; i < s->options.n_nets; i++)
        if (!strcmp(s->models[i].name, name)) {
            *model = i;
            return true;
        }
    return false;
}

static bool find_top(const struct request *request, size_t *top)
{
    const char *text = request_query(request, "top");
    char *end;
    *top = 1;
    if (!text) return true;
    unsigned long n = strtoul(text, &end, 10);
    *top = (size_t)n;
    return *text >= '0' && *text <= '9' && !*end && n >= 1 && n <= MOST_TOP;
}

static bool add_photo(struct ask *ask, const char *path, const void *bytes, size_t n)
{
    if (ask->n == ask->room) {
        size_t room = 2 * ask->room + 1;
        struct job *more = realloc(ask->jobs, room * sizeof *more);
        if (!more) return false;
        ask->jobs = more;
        ask->room = room;
    }
    char *copy = strdup(path);
    if (copy) ask->jobs[ask->n++] = (struct job){.ask = ask, .path = copy, .bytes = bytes, .n_bytes = n};
    return copy != NULL;
}

struct taken {
    struct ask *ask;
    size_t most;
    const char *wrong; /* a reason; NULL: none */
    char field[100];
};

static bool take_part(void *user, const struct part *part)
{
    struct taken *t = user;
    if (!part->filename && (!part->name || strcmp(part->name, "photo") != 0)) {
        t->wrong = "field";
        snprintf(t->field, sizeof t->field, "%s", part->name ? part->name : "");
    } else if (t->ask->n == t->most) {
        t->wrong = "many";
    } else if (!add_photo(t->ask, part->filename && *part->filename ? part->filename : "photo", part->bytes,
                          part->n_bytes)) {
        t->wrong = "memory";
    }
    return !t->wrong;
}

/* The photos of a form; false: the reply says why not. */
static bool take_form(const struct service *s, const struct request *request, const char *type,
                      struct ask *ask)
{
    struct taken t = {.ask = ask, .most = s->options.most_waiting};
    char why[200];
    int status = multipart_read(type, request->body, request->body_bytes, take_part, &t, why);
    if (status)
        reply_error(ask->reply, status, "form", "%s", why);
    else if (t.wrong && *t.wrong == 'f')
        reply_error(ask->reply, 400, "field", "the field '%s' is no file (photos are fields 'photo')",
                    t.field);
    else if (t.wrong && *t.wrong == 'm' && t.wrong[1] == 'a')
        reply_error(ask->reply, 413, "too_many", "more than %zu photos in one request", t.most);
    else if (t.wrong)
        reply_error(ask->reply, 507, "no_memory", "there is no memory for so many photos");
    else if (!ask->n)
        reply_error(ask->reply, 400, "no_photo", "there is no photo in the form (fields 'photo')");
    else
        return true;
    return false;
}

static bool take_photos(const struct service *s, const struct request *request, struct ask *ask)
{
    const char *type = request_header(request, "Content-Type"), *path = request_query(request, "path");
    if (!find_model(s, request, &ask->model))
        reply_error(ask->reply, 404, "no_such_model",
                    "there is no model of that name (GET /v1/models has them)");
    else if (!find_top(request, &ask->top))
        reply_error(ask->reply, 400, "top", "top is not 1 to %d", MOST_TOP);
    else if (!request->body_bytes)
        reply_error(ask->reply, 400, "no_photo", "there is no photo in the body");
    else if (type && !strncasecmp(type, "multipart/", 10))
        return take_form(s, request, type, ask);
    else if (!add_photo(ask, path ? path : "photo", request->body, request->body_bytes))
        reply_error(ask->reply, 507, "no_memory", "there is no memory for the request");
    else
        return true;
    return false;
}

static void post_predict(void *state, const struct request *request, struct reply *reply)
{
    struct service *s = state;
    struct ask *ask = calloc(1, sizeof *ask);
    if (!ask) {
        reply_error(reply, 507, "no_memory", "there is no memory for the request");
        return;
    }
    ask->reply = reply;
    ask->since = serve_seconds();
    if (!take_photos(s, request, ask)) {
        free_ask(ask);
        return;
    }
    ask->left = ask->n;
    for (size_t i = 0; i < ask->n; i++) ask->jobs[i].ask = ask;
    reply_later(reply);
    if (queue_ask(s, ask)) return;
    free_ask(ask);
    reply_error(reply, 429, "busy", "too many photos are waiting");
    reply_done(reply);
}

/* ---- what tells of it --------------------------------------------------------------------------------- */

static json_t *utf8(const char *text)
{
    json_t *json = text ? json_string(text) : NULL;
    return json ? json : json_null();
}

static json_t *model_json(const struct model *model)
{
    json_t *classes = json_array(), *recipe = NULL;
    const struct eg_recipe *known = eg_net_recipe(model->net);
    char *text = known ? eg_recipe_json(known) : NULL;
    for (size_t i = 0; i < eg_net_class_count(model->net); i++)
        json_array_append_new(classes, utf8(eg_net_class_name(model->net, i)));
    recipe = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    return json_pack("{s:o,s:o,s:b,s:o,s:o}", "name", utf8(model->name), "network",
                     utf8(eg_net_name(model->net)), "trained", eg_net_is_trained(model->net), "classes",
                     classes, "recipe", recipe ? recipe : json_null());
}

static void get_models(void *state, const struct request *request, struct reply *reply)
{
    (void)request;
    const struct service *s = state;
    json_t *list = json_array();
    for (size_t i = 0; i < s->options.n_nets; i++) json_array_append_new(list, model_json(&s->models[i]));
    reply_json(reply, 200, json_pack("{s:o}", "models", list));
}

static void get_health(void *state, const struct request *request, struct reply *reply)
{
    (void)state;
    (void)request;
    static const char text[] = "ok\n";
    reply_static(reply, "text/plain", text, sizeof text - 1, NULL);
}

const struct route service_routes[] = {
    {"POST", "/v1/predict", post_predict, BODY_BYTES, ROUTE_QUICK}, {"GET", "/v1/models", get_models, 0, 0},
    {"GET", "/healthz", get_health, 0, ROUTE_QUICK | ROUTE_OPEN},   {"GET", "/metrics", get_metrics, 0, 0},
    {"GET", "/openapi.json", get_page_file, 0, ROUTE_QUICK},
};
const size_t n_service_routes = sizeof service_routes / sizeof *service_routes;

/* ---- begin and end ----------------------------------------------------------------------------------------
 */

static enum eg_status make_predictors(struct worker *w, struct eg_error *err)
{
    const struct service_options *o = &w->service->options;
    struct eg_predictor_options how = {EG_SIZED(eg_predictor_options), .threads = 1, .batch = o->batch,
                                       .probabilities = true};
    size_t most = 0;
    for (size_t i = 0; i < o->n_nets; i++) {
        enum eg_status status = eg_predictor_create(o->nets[i], &how, &w->predictors[i], err);
        if (status) return status;
        if (eg_net_class_count(o->nets[i]) > most) most = eg_net_class_count(o->nets[i]);
    }
    w->top = calloc(most + 1, sizeof *w->top);
    return w->top ? EG_OK : serve_fail(err, EG_E_MEMORY, "out of memory");
}

static enum eg_status start_worker(struct service *s, struct worker *w, struct eg_error *err)
{
    w->service = s;
    w->predictors = calloc(s->options.n_nets, sizeof *w->predictors);
    w->photos = calloc(s->options.batch, sizeof *w->photos);
    w->answers = calloc(s->options.batch, sizeof *w->answers);
    w->jobs = calloc(s->options.batch, sizeof *w->jobs);
    if (!w->predictors || !w->photos || !w->answers || !w->jobs)
        return serve_fail(err, EG_E_MEMORY, "out of memory");
    enum eg_status status = make_predictors(w, err);
    if (status) return status;
    w->runs = !pthread_create(&w->thread, NULL, work_on_batches, w);
    return w->runs ? EG_OK : serve_fail(err, EG_E_SYSTEM, "cannot start a thread");
}

enum eg_status service_open(const struct service_options *options, struct service **made,
                            struct eg_error *err)
{
    struct service *s = calloc(1, sizeof *s);
    if (!s) return serve_fail(err, EG_E_MEMORY, "out of memory");
    s->options = *options;
    s->last = &s->first;
    if (!s->options.most_waiting) s->options.most_waiting = 512;
    if (!s->options.most_pixels) s->options.most_pixels = 64000000;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, NULL);
    s->models = calloc(options->n_nets, sizeof *s->models);
    s->workers = calloc(options->threads, sizeof *s->workers);
    enum eg_status status = s->models && s->workers ? EG_OK : serve_fail(err, EG_E_MEMORY, "out of memory");
    for (size_t i = 0; !status && i < options->n_nets; i++)
        s->models[i] = (struct model){.net = options->nets[i], .name = options->names[i]};
    for (unsigned i = 0; !status && i < options->threads; i++) status = start_worker(s, &s->workers[i], err);
    if (status)
        service_close(s);
    else
        *made = s;
    return status;
}

static void end_worker(struct worker *w, size_t n_models)
{
    if (w->runs) pthread_join(w->thread, NULL);
    for (size_t i = 0; w->predictors && i < n_models; i++) eg_predictor_free(w->predictors[i]);
    free(w->predictors);
    free(w->photos);
    free(w->answers);
    free(w->jobs);
    free(w->top);
}

void service_close(struct service *s)
{
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; s->workers && i < s->options.threads; i++)
        end_worker(&s->workers[i], s->options.n_nets);
    free(s->workers);
    free(s->models);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->work);
    free(s);
}
