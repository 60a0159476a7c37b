#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/limits.h"
#include "base/mem.h"

/* Workers wait for the next run by spinning a little (layers follow each other within
 * microseconds), then on a condition variable. */
enum { SPINS = 4000 };

struct eg_pool {
    unsigned n_threads;
    pthread_t *workers; /* n_threads - 1 */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    atomic_uint round; /* grows by one for each run */
    /* A worker that comes late to a round does not hold it up: it may join only while the round is open,
     * and the caller, having closed it, waits for those inside alone. Both orders are sequential: a worker
     * enters and then looks at open, the caller closes and then looks at inside. */
    atomic_bool open;
    atomic_uint inside;
    atomic_bool stop;
    atomic_size_t next;
    size_t n_tasks;
    eg_task_fn *task;
    void *context;
    atomic_uintptr_t owner; /* the thread that it works for (thread_mark); 0: none */
};

/* Its address tells threads apart. */
static _Thread_local char thread_mark;

struct worker_start {
    struct eg_pool *pool;
    unsigned thread;
};

static inline void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void take_tasks(struct eg_pool *pool, unsigned thread)
{
    for (;;) {
        size_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (task >= pool->n_tasks) return;
        pool->task(pool->context, task, thread);
    }
}

static void *worker(void *argument)
{
    struct worker_start start = *(struct worker_start *)argument;
    free(argument);
    struct eg_pool *pool = start.pool;
    unsigned seen = 0;
    for (;;) {
        unsigned spins = 0;
        while (atomic_load_explicit(&pool->round, memory_order_acquire) == seen && spins < SPINS) {
            pause_cpu();
            spins++;
        }
        if (atomic_load_explicit(&pool->round, memory_order_acquire) == seen) {
            pthread_mutex_lock(&pool->mutex);
            while (atomic_load(&pool->round) == seen) pthread_cond_wait(&pool->wake, &pool->mutex);
            pthread_mutex_unlock(&pool->mutex);
        }
        seen = atomic_load(&pool->round);
        if (atomic_load(&pool->stop)) return NULL;
        atomic_fetch_add(&pool->inside, 1);
        if (atomic_load(&pool->open)) take_tasks(pool, start.thread);
        atomic_fetch_sub_explicit(&pool->inside, 1, memory_order_release);
    }
}

static void begin_round(struct eg_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add_explicit(&pool->round, 1, memory_order_release);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

enum eg_status eg_pool_create(unsigned n_threads, eg_pool **out, struct eg_error *err)
{
    if (n_threads > 1024)
        return eg__fail(err, EG_E_ARGUMENT, "%u threads asked for, the most is 1024", n_threads);
    struct eg_pool *pool = eg__zalloc(1, sizeof *pool);
    if (!pool) return eg__fail_memory(err, "the thread pool");
    pool->n_threads = 1;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    if (!n_threads) n_threads = eg__usable_cpus();
    pool->workers = eg__zalloc(n_threads, sizeof *pool->workers);
    if (!pool->workers) {
        eg_pool_free(pool);
        return eg__fail_memory(err, "the thread pool");
    }
    while (pool->n_threads < n_threads) {
        struct worker_start *start = malloc(sizeof *start);
        int failed = !start;
        if (start) {
            *start = (struct worker_start){pool, pool->n_threads};
            failed = pthread_create(&pool->workers[pool->n_threads - 1], NULL, worker, start);
        }
        if (failed) {
            free(start);
            unsigned made = pool->n_threads;
            eg_pool_free(pool);
            return eg__fail(err, EG_E_SYSTEM, "cannot start thread %u of %u (ask for fewer)", made + 1,
                            n_threads);
        }
        pool->n_threads++;
    }
    *out = pool;
    return EG_OK;
}

unsigned eg_pool_threads(const eg_pool *pool) { return pool ? pool->n_threads : 1; }

void eg_pool_free(eg_pool *pool)
{
    if (!pool) return;
    atomic_store(&pool->stop, true);
    begin_round(pool);
    for (unsigned i = 0; i + 1 < pool->n_threads; i++) pthread_join(pool->workers[i], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->workers);
    free(pool);
}

/* Is the pool this thread's now? *claimed: it was nobody's. */
static bool take_pool(eg_pool *pool, bool *claimed)
{
    uintptr_t me = (uintptr_t)&thread_mark, owner = 0;
    *claimed = atomic_compare_exchange_strong(&pool->owner, &owner, me);
    return *claimed || owner == me;
}

enum eg_status eg__pool_claim(eg_pool *pool, bool *claimed, struct eg_error *err)
{
    *claimed = false;
    if (!pool || take_pool(pool, claimed)) return EG_OK;
    return eg__fail(err, EG_E_ARGUMENT,
                    "the pool is at work for another thread (give each thread a pool of its own)");
}

void eg__pool_release(eg_pool *pool, bool claimed)
{
    if (claimed) atomic_store(&pool->owner, 0);
}

void eg__pool_run(eg_pool *pool, size_t n_tasks, eg_task_fn *task, void *context)
{
    (void)!eg__pool_run_while(pool, n_tasks, task, context, NULL, NULL);
}

/* The caller's share. To stop, the tasks left over are taken all at once. */
static bool take_while(struct eg_pool *pool, bool (*go_on)(void *user), void *user)
{
    for (;;) {
        size_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (task >= pool->n_tasks) return true;
        pool->task(pool->context, task, 0);
        if (!go_on || go_on(user)) continue;
        atomic_store(&pool->next, pool->n_tasks);
        return false;
    }
}

bool eg__pool_run_while(eg_pool *pool, size_t n_tasks, eg_task_fn *task, void *context,
                        bool (*go_on)(void *user), void *user)
{
    bool claimed = false;
    if (!pool || pool->n_threads == 1 || n_tasks <= 1 || !take_pool(pool, &claimed)) {
        for (size_t i = 0; i < n_tasks; i++) {
            task(context, i, 0);
            if (go_on && !go_on(user)) return false;
        }
        return true;
    }
    pool->n_tasks = n_tasks;
    pool->task = task;
    pool->context = context;
    atomic_store(&pool->next, 0);
    atomic_store(&pool->open, true);
    begin_round(pool);
    bool whole = take_while(pool, go_on, user);
    atomic_store(&pool->open, false);
    for (unsigned spins = 0; atomic_load(&pool->inside); spins++) {
        if (spins < SPINS)
            pause_cpu();
        else
            sched_yield();
    }
    eg__pool_release(pool, claimed);
    return whole;
}
