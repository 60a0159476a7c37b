/* project_export.c: what a person takes away: model, features, report, photos, and how to do without the
 * page. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/http_private.h"
#include "serve/project_private.h"
#include "serve/zip_write.h"

/* A file without a name, in the project's own folder. */
static int nameless(const struct project *p)
{
    return openat(p->hidden_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

/* The name that browsers save it under: ASCII letters of the project's, and what it is. */
static void send(const struct project *p, struct reply *reply, int fd, const char *type, const char *ending)
{
    char name[64] = "", header[128];
    size_t n = 0;
    for (const char *c = p->name; *c && n < 40; c++)
        name[n++] =
            (*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') ? *c : '_';
    name[n] = '\0';
    snprintf(header, sizeof header, "attachment; filename=\"%s%s\"", name, ending);
    lseek(fd, 0, SEEK_SET);
    reply_fd(reply, fd, type);
    reply_header(reply, "Content-Disposition", header);
}

static bool copy_all(int from, int to)
{
    char block[1 << 16];
    ssize_t some;
    while ((some = read(from, block, sizeof block)) > 0)
        if (write(to, block, (size_t)some) != some) return false;
    return some == 0;
}

/* ---- jobs of the thread that owns the files
 * ------------------------------------------------------------------ */

static enum eg_status copy_features(struct project *p, void *data, struct eg_error *err)
{
    int *to = data, from = openat(p->hidden_fd, "features.h5", O_RDONLY | O_CLOEXEC);
    bool good = from >= 0 && copy_all(from, *to);
    if (from >= 0) close(from);
    return good ? EG_OK : serve_fail(err, EG_E_NOT_FOUND, "there are no features yet: add photos first");
}

static enum eg_status make_report(struct project *p, void *data, struct eg_error *err)
{
    const char *path = data;
    char *h5 = project_file(p, "features.h5"), command[1100];
    eg_features *features = NULL;
    snprintf(command, sizeof command, "engraft serve %s", p->name);
    enum eg_status status =
        h5 ? eg_features_open(h5, &features, err) : serve_fail(err, EG_E_MEMORY, "no memory");
    if (!status) {
        struct eg_page_options how = {EG_SIZED(eg_page_options),
                                      .kind = "train",
                                      .title = p->name,
                                      .features = features,
                                      .root = p->folder,
                                      .model = p->model,
                                      .command = command,
                                      .model_path = "model.onnx",
                                      .features_path = "features.h5",
                                      .test_fraction = -1,
                                      .overwrite = true,
                                      .pool = p->pool,
                                      .progress = project_step,
                                      .user = p};
        status = eg_report_page(&how, path, err);
        eg_features_close(features);
    }
    free(h5);
    return status;
}

/* ---- one by one
 * --------------------------------------------------------------------------------------------- */

static void send_model(struct project *p, struct reply *reply)
{
    pthread_mutex_lock(&p->predict_lock);
    bool there = p->model;
    int fd = there ? openat(p->hidden_fd, "model.onnx", O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    pthread_mutex_unlock(&p->predict_lock);
    if (fd < 0)
        reply_error(reply, 409, "no_model", "there is no classifier yet: it needs photos of two classes");
    else
        send(p, reply, fd, "application/octet-stream", ".onnx");
}

static void fail_reply(struct reply *reply, enum eg_status status, const struct eg_error *err)
{
    reply_error(reply, status == EG_E_NOT_FOUND ? 409 : 500, "failed", "%s", err->message);
}

static void send_features(struct project *p, struct reply *reply)
{
    struct eg_error err;
    int fd = nameless(p);
    enum eg_status status = fd < 0 ? serve_fail(&err, EG_E_IO, "cannot write: %s", strerror(errno))
                                   : project_run(p, copy_features, &fd, &err);
    if (!status) {
        send(p, reply, fd, "application/x-hdf5", ".h5");
        return;
    }
    if (fd >= 0) close(fd);
    fail_reply(reply, status, &err);
}

static void send_report(struct project *p, struct reply *reply)
{
    struct eg_error err;
    char *path = project_file(p, "report.html");
    enum eg_status status =
        path ? project_run(p, make_report, path, &err) : serve_fail(&err, EG_E_MEMORY, "no memory");
    int fd = status ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    if (status)
        fail_reply(reply, status, &err);
    else
        send(p, reply, fd, "text/html; charset=utf-8", "-report.html");
}

static bool zip_photos(struct project *p, struct zip *zip)
{
    pthread_rwlock_rdlock(&p->lock);
    const size_t n = p->listing ? p->listing->n : 0;
    char **paths = calloc(n + 1, sizeof *paths);
    for (size_t i = 0; paths && i < n; i++) paths[i] = strdup(p->listing->photos[i].path);
    pthread_rwlock_unlock(&p->lock);
    for (size_t i = 0; paths && i < n && !zip->failed; i++) {
        int from = paths[i] ? project_open_photo(p, paths[i]) : -1;
        if (from < 0) continue; /* gone meanwhile */
        zip_add(zip, paths[i], from);
        close(from);
    }
    for (size_t i = 0; paths && i < n; i++) free(paths[i]);
    free(paths);
    return paths && zip_end(zip);
}

static void send_zip(struct project *p, struct reply *reply)
{
    struct zip zip = {.fd = nameless(p)};
    bool good = zip.fd >= 0 && zip_photos(p, &zip);
    int fd = zip.fd;
    zip_release(&zip);
    if (good) {
        send(p, reply, fd, "application/zip", ".zip");
        return;
    }
    if (fd >= 0) close(fd);
    reply_error(reply, 500, "failed", "the photos cannot be put into a zip: is there room on the disk?");
}

/* ---- how to do it without the page
 * ------------------------------------------------------------------------------ */

/* For a shell: quoted where it must be. */
static char *quoted(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,";
    if (*text && strspn(text, plain) == strlen(text)) return strdup(text);
    char *made = malloc(4 * strlen(text) + 3), *to = made;
    if (!made) return NULL;
    *to++ = '\'';
    for (; *text; text++) {
        if (*text == '\'') {
            memcpy(to, "'\\''", 4);
            to += 4;
        } else {
            *to++ = *text;
        }
    }
    memcpy(to, "'", 2);
    return made;
}

static void send_commands(struct project *p, struct reply *reply)
{
    pthread_rwlock_rdlock(&p->lock);
    char *folder = quoted(p->folder), *network = quoted(p->network), *cut = p->cut ? quoted(p->cut) : NULL,
         *train = NULL;
    pthread_rwlock_unlock(&p->lock);
    json_t *commands = json_array();
    if (folder && network &&
        asprintf(&train, "engraft train %s --model %s%s%s -o model.onnx --test 0 --reject 0.02", folder,
                 network, cut ? " --cut " : "", cut ? cut : "") > 0)
        json_array_append_new(commands, text_json(train));
    json_array_append_new(commands, json_string("engraft audit model.h5"));
    json_array_append_new(commands, json_string("engraft predict model.onnx PHOTO.jpg"));
    json_array_append_new(commands, json_string("engraft serve model.onnx"));
    free(train);
    free(folder);
    free(network);
    free(cut);
    reply_json(reply, 200, json_pack("{s:o}", "commands", commands));
}

void get_export(void *state, const struct request *request, struct reply *reply)
{
    static const struct {
        const char *name;
        void (*send)(struct project *p, struct reply *reply);
    } rows[] = {{"onnx", send_model},
                {"h5", send_features},
                {"report", send_report},
                {"zip", send_zip},
                {"commands", send_commands}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(request->rest, rows[i].name)) {
            rows[i].send(state, reply);
            return;
        }
    reply_error(reply, 404, "no_such_export", "there is nothing called '%s' to take away", request->rest);
}
