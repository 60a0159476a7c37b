/* project_try.c: frames and photos that the classifier is tried on. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve/http_private.h"
#include "serve/project_private.h"

enum { TOP = 5 };

static json_t *top_json(const eg_net *net, const float *probabilities, size_t k)
{
    json_t *list = json_array();
    bool *used = calloc(k + 1, sizeof *used);
    for (size_t t = 0; used && t < TOP && t < k; t++) {
        size_t best = k;
        for (size_t c = 0; c < k; c++)
            if (!used[c] && (best == k || probabilities[c] > probabilities[best])) best = c;
        used[best] = true;
        json_array_append_new(list, json_pack("{s:o,s:o}", "label", text_json(eg_net_class_name(net, best)),
                                              "probability", number_json((double)probabilities[best])));
    }
    free(used);
    return list;
}

static void no_model(struct reply *reply)
{
    reply_error(reply, 409, "no_model", "there is no classifier yet: it needs photos of two classes");
}

void post_predict(void *state, const struct request *request, struct reply *reply)
{
    struct project *p = state;
    struct eg_prediction answer;
    struct eg_error err;
    const struct eg_photo_bytes photo = {request->body, request->body_bytes};
    double began = serve_seconds();
    if (request->body && project_bounded(request->body, request->body_bytes, &err)) {
        reply_error(reply, 422, "unreadable", "%s", err.message);
        return;
    }
    pthread_mutex_lock(&p->predict_lock);
    if (!p->predictor) {
        pthread_mutex_unlock(&p->predict_lock);
        no_model(reply);
        return;
    }
    enum eg_status status = eg_predict_bytes(p->predictor, &photo, 1, &answer, &err);
    if (status)
        reply_error(reply, 500, "failed", "%s", err.message);
    else if (answer.error)
        reply_error(reply, 422, "unreadable", "%s", answer.error);
    else
        reply_json(reply, 200,
                   json_pack("{s:o,s:b,s:o,s:o}", "label", text_json(answer.label), "unknown",
                             answer.rejected, "top",
                             top_json(p->model, answer.probabilities, answer.n_probabilities), "ms",
                             number_json(1000 * (serve_seconds() - began))));
    pthread_mutex_unlock(&p->predict_lock);
}

/* ---- heat-maps ------------------------------------------------------------------------------------------
 */

struct explaining {
    void *jpeg;
    size_t n_jpeg;
    char error[1000];
};

static void take_explanation(void *user, const struct eg_explanation *e)
{
    struct explaining *to = user;
    struct eg_image picture;
    struct eg_error err = {.message = ""};
    if (e->error) {
        snprintf(to->error, sizeof to->error, "%s", e->error);
        return;
    }
    enum eg_status status = eg_explanation_picture(e, &picture, &err);
    if (!status) {
        status = eg_image_jpeg(&picture, 0, 85, &to->jpeg, &to->n_jpeg, &err);
        eg_image_release(&picture);
    }
    if (status) snprintf(to->error, sizeof to->error, "%s", err.message);
}

/* A photo in memory as the file that a data set wants. */
static bool spool(const struct request *request, char *path, size_t room)
{
    snprintf(path, room, "/tmp/engraft-XXXXXX");
    int fd = mkostemp(path, 0);
    if (fd < 0) return false;
    bool good = write(fd, request->body, request->body_bytes) == (ssize_t)request->body_bytes;
    return !close(fd) && good;
}

void post_explain(void *state, const struct request *request, struct reply *reply)
{
    struct project *p = state;
    struct explaining made = {.error = ""};
    struct eg_error err = {.message = ""};
    char path[64];
    const char *list = path, *label = request_query(request, "class");
    eg_dataset *photo = NULL;
    struct eg_explain_options how = {EG_SIZED(eg_explain_options), .label = label && *label ? label : NULL};
    path[0] = '\0';
    enum eg_status status = project_bounded(request->body, request->body_bytes, &err);
    if (!status && !spool(request, path, sizeof path))
        status = serve_fail(&err, EG_E_IO, "there is no room for the photo");
    if (!status) status = eg_dataset_list(&list, 1, &photo, &err);
    pthread_mutex_lock(&p->predict_lock); /* the model stays while it is asked */
    bool model = p->model;
    if (!status && model) status = eg_explain(p->model, photo, &how, take_explanation, &made, &err);
    pthread_mutex_unlock(&p->predict_lock);
    eg_dataset_free(photo);
    if (path[0]) unlink(path);
    if (!status && !model)
        no_model(reply);
    else if (status || made.error[0])
        reply_error(reply, 422, "unexplained", "%s", status ? err.message : made.error);
    else
        reply_bytes(reply, 200, "image/jpeg", made.jpeg, made.n_jpeg);
}
