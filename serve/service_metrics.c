/* service_metrics.c: the service's counts, as Prometheus reads them (text format 0.0.4). */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve/service_private.h"

static void head(FILE *to, const char *name, const char *type, const char *help)
{
    fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_requests(FILE *to, const struct http_counts *c)
{
    head(to, "engraft_requests_total", "counter",
         "Requests that were answered, by the hundreds of their status.");
    for (int i = 1; i < 6; i++)
        fprintf(to, "engraft_requests_total{status=\"%dxx\"} %llu\n", i, c->errors[i]);
    head(to, "engraft_errors_total", "counter", "Requests that were answered by an error.");
    fprintf(to, "engraft_errors_total %llu\n", c->errors[4] + c->errors[5]);
    head(to, "engraft_request_seconds", "histogram", "From a request's last byte to its reply.");
    for (size_t i = 0; i < 11; i++)
        fprintf(to, "engraft_request_seconds_bucket{le=\"%g\"} %llu\n", http_buckets[i], c->buckets[i]);
    fprintf(to, "engraft_request_seconds_bucket{le=\"+Inf\"} %llu\n", c->buckets[11]);
    fprintf(to, "engraft_request_seconds_sum %.6f\nengraft_request_seconds_count %llu\n", c->seconds,
            c->buckets[11]);
    head(to, "engraft_open_requests", "gauge", "Requests that have begun and are not answered.");
    fprintf(to, "engraft_open_requests %zu\n", c->connections);
}

/* A label's value: \ " and ends of lines escaped. */
static void print_name(FILE *to, const char *name)
{
    for (; *name; name++) {
        if (*name == '\\' || *name == '"') fputc('\\', to);
        if (*name == '\n')
            fputs("\\n", to);
        else
            fputc(*name, to);
    }
}

enum { OF_PHOTOS, OF_UNREADABLE, OF_BATCHES, OF_SECONDS };

/* Under the lock. */
static void print_of_models(FILE *to, const struct service *s, int what, const char *name, const char *help)
{
    head(to, name, "counter", help);
    for (size_t i = 0; i < s->options.n_nets; i++) {
        const struct model *m = &s->models[i];
        fprintf(to, "%s{model=\"", name);
        print_name(to, m->name);
        if (what == OF_SECONDS)
            fprintf(to, "\"} %.6f\n", m->seconds);
        else
            fprintf(to, "\"} %llu\n",
                    what == OF_PHOTOS       ? m->photos
                    : what == OF_UNREADABLE ? m->unreadable
                                            : m->batches);
    }
}

static void print_photos(FILE *to, struct service *s)
{
    pthread_mutex_lock(&s->lock);
    print_of_models(to, s, OF_PHOTOS, "engraft_photos_total", "Photos that were answered.");
    print_of_models(to, s, OF_UNREADABLE, "engraft_unreadable_photos_total",
                    "Photos that could not be read.");
    print_of_models(to, s, OF_BATCHES, "engraft_batches_total", "Batches that photos were computed in.");
    print_of_models(to, s, OF_SECONDS, "engraft_compute_seconds_total",
                    "Seconds of computing, of all threads.");
    head(to, "engraft_queue_photos", "gauge", "Photos that wait.");
    fprintf(to, "engraft_queue_photos %zu\n", s->n_waiting);
    head(to, "engraft_refused_total", "counter", "Requests refused with 429: too many photos waited.");
    fprintf(to, "engraft_refused_total %llu\n", s->refused);
    head(to, "engraft_late_total", "counter", "Requests answered with 503: their photos waited too long.");
    fprintf(to, "engraft_late_total %llu\n", s->late);
    pthread_mutex_unlock(&s->lock);
}

static void print_memory(FILE *to)
{
    unsigned long long pages = 0;
    FILE *from = fopen("/proc/self/statm", "r");
    if (from && fscanf(from, "%*u %llu", &pages) == 1) {
        head(to, "process_resident_memory_bytes", "gauge", "Resident memory.");
        fprintf(to, "process_resident_memory_bytes %llu\n",
                pages * (unsigned long long)sysconf(_SC_PAGESIZE));
    }
    if (from) fclose(from);
}

void get_metrics(void *state, const struct request *request, struct reply *reply)
{
    struct service *s = state;
    struct http_counts counts = http_counts(request_http(request));
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    if (to) {
        print_requests(to, &counts);
        print_photos(to, s);
        print_memory(to);
    }
    if (!to || fclose(to)) {
        free(text);
        reply_error(reply, 507, "no_memory", "there is no memory for the answer");
        return;
    }
    reply_bytes(reply, 200, "text/plain; version=0.0.4; charset=utf-8", text, size);
}
