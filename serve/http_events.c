/* http_events.c: what is told to all windows, over the connections that they hold open (server-sent events).
 *
 * A window's connection is suspended while there is nothing to tell. One that is gone is noticed when
 * something is written to it: the heartbeat sees to that. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "serve/http_server.h"

enum {
    WINDOW_BYTES = 1 << 20, /* of events that a window has not read */
    HEARTBEAT_SECONDS = 15,
};

struct window { /* one EventSource */
    struct http *http;
    struct MHD_Connection *connection;
    char *text;
    size_t n, room;
    bool suspended, ended;
    struct window *next;
};

static ssize_t read_events(void *user, uint64_t position, char *to, size_t room)
{
    (void)position;
    struct window *window = user;
    ssize_t n = 0;
    pthread_mutex_lock(&window->http->lock);
    if (window->n) {
        size_t take = window->n < room ? window->n : room;
        memcpy(to, window->text, take);
        memmove(window->text, window->text + take, window->n -= take);
        n = (ssize_t)take;
    } else if (window->ended) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        MHD_suspend_connection(window->connection);
        window->suspended = true;
    }
    pthread_mutex_unlock(&window->http->lock);
    return n;
}

static void free_window(void *user)
{
    struct window *window = user;
    struct http *http = window->http;
    pthread_mutex_lock(&http->lock);
    for (struct window **at = &http->windows; *at; at = &(*at)->next)
        if (*at == window) {
            *at = window->next;
            break;
        }
    pthread_mutex_unlock(&http->lock);
    free(window->text);
    free(window);
}

/* Under the lock. */
static void tell_window(struct window *window, const char *text, size_t n)
{
    if (n && window->n + n > WINDOW_BYTES) {
        window->ended = true;
    } else if (n) {
        if (window->n + n > window->room) {
            size_t room = 2 * (window->n + n);
            char *more = realloc(window->text, room);
            if (!more) return;
            window->text = more;
            window->room = room;
        }
        memcpy(window->text + window->n, text, n);
        window->n += n;
    }
    if (window->suspended) MHD_resume_connection(window->connection);
    window->suspended = false;
}

static void tell_windows(struct http *http, const char *text)
{
    pthread_mutex_lock(&http->lock);
    for (struct window *window = http->windows; window; window = window->next)
        tell_window(window, text, strlen(text));
    pthread_mutex_unlock(&http->lock);
}

void events_send(struct http *http, const char *event, const char *json)
{
    char *text = NULL;
    if (asprintf(&text, "event: %s\ndata: %s\n\n", event, json) < 0) return;
    tell_windows(http, text);
    free(text);
}

struct MHD_Response *events_open(struct incoming *in)
{
    struct http *http = in->http;
    struct window *window = calloc(1, sizeof *window);
    if (!window) return NULL;
    *window = (struct window){.http = http, .connection = in->connection};
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, read_events, window, free_window);
    if (!response) {
        free(window);
        return NULL;
    }
    static const char first[] = "retry: 1000\n\n";
    pthread_mutex_lock(&http->lock);
    tell_window(window, first, sizeof first - 1);
    window->ended = http->stopping;
    window->next = http->windows;
    http->windows = window;
    pthread_mutex_unlock(&http->lock);
    return response;
}

void *events_tick(void *user)
{
    struct http *http = user;
    pthread_mutex_lock(&http->lock);
    while (!http->stopping) {
        struct timespec at;
        clock_gettime(CLOCK_REALTIME, &at);
        at.tv_sec += HEARTBEAT_SECONDS;
        if (pthread_cond_timedwait(&http->change, &http->lock, &at) != ETIMEDOUT) continue;
        for (struct window *window = http->windows; window; window = window->next)
            tell_window(window, ":\n\n", 3);
    }
    pthread_mutex_unlock(&http->lock);
    return NULL;
}

void events_end(struct http *http)
{
    for (struct window *window = http->windows; window; window = window->next) {
        window->ended = true;
        tell_window(window, "", 0);
    }
}
