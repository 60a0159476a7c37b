#include "dist/dist.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"

#ifdef EG_MPI
#include <mpi.h>

enum { SUM_BLOCK = 1 << 20 }; /* floats at a time: counts are ints, memory is n_ranks of them */

static enum eg_status failed_call(struct eg_error *err, const char *call)
{
    return eg__fail(err, EG_E_SYSTEM, "MPI: %s failed (is every rank alive?)", call);
}

enum eg_status eg__dist_init(struct eg_dist *dist, struct eg_error *err)
{
    struct eg_dist made = {0, 1, false};
    int started, ended, rank, size;
    if (MPI_Initialized(&started)) return failed_call(err, "MPI_Initialized");
    if (MPI_Finalized(&ended)) return failed_call(err, "MPI_Finalized");
    if (ended)
        return eg__fail(err, EG_E_SYSTEM,
                        "MPI has ended in this process, and starts once only (call MPI_Init before and "
                        "MPI_Finalize after all work)");
    if (!started) {
        int given;
        if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given))
            return failed_call(err, "MPI_Init_thread");
        made.owner = true;
    }
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (MPI_Comm_rank(MPI_COMM_WORLD, &rank) || MPI_Comm_size(MPI_COMM_WORLD, &size))
        return failed_call(err, "MPI_Comm_rank");
    made.rank = (size_t)rank;
    made.n_ranks = (size_t)size;
    *dist = made;
    return EG_OK;
}

void eg__dist_release(struct eg_dist *dist)
{
    if (dist->owner) MPI_Finalize();
    *dist = (struct eg_dist){0};
}

enum eg_status eg__dist_agree(const struct eg_dist *dist, bool *failed, struct eg_error *err)
{
    (void)dist;
    int mine = *failed, any = 0;
    if (MPI_Allreduce(&mine, &any, 1, MPI_INT, MPI_LOR, MPI_COMM_WORLD))
        return failed_call(err, "MPI_Allreduce");
    *failed = any;
    return EG_OK;
}

enum eg_status eg__dist_total(const struct eg_dist *dist, uint64_t *value, struct eg_error *err)
{
    (void)dist;
    uint64_t mine = *value;
    if (MPI_Allreduce(&mine, value, 1, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD))
        return failed_call(err, "MPI_Allreduce");
    return EG_OK;
}

enum eg_status eg__dist_sum(const struct eg_dist *dist, float *values, size_t n, struct eg_error *err)
{
    if (dist->n_ranks == 1) return EG_OK;
    size_t block = n < SUM_BLOCK ? n : SUM_BLOCK;
    float *all = eg__alloc(block, dist->n_ranks * sizeof *all);
    if (!all) return eg__fail_memory(err, "sums over ranks");
    enum eg_status status = EG_OK;
    for (size_t first = 0; !status && first < n; first += block) {
        size_t count = n - first < block ? n - first : block;
        if (MPI_Allgather(values + first, (int)count, MPI_FLOAT, all, (int)count, MPI_FLOAT,
                          MPI_COMM_WORLD)) {
            status = failed_call(err, "MPI_Allgather");
            break;
        }
        memcpy(values + first, all, count * sizeof *all);
        for (size_t rank = 1; rank < dist->n_ranks; rank++)
            for (size_t i = 0; i < count; i++) values[first + i] += all[rank * count + i];
    }
    free(all);
    return status;
}

#else

enum eg_status eg__dist_init(struct eg_dist *dist, struct eg_error *err)
{
    (void)err;
    *dist = (struct eg_dist){0, 1, false};
    return EG_OK;
}

void eg__dist_release(struct eg_dist *dist) { *dist = (struct eg_dist){0}; }

enum eg_status eg__dist_agree(const struct eg_dist *dist, bool *failed, struct eg_error *err)
{
    (void)dist;
    (void)failed;
    (void)err;
    return EG_OK;
}

enum eg_status eg__dist_total(const struct eg_dist *dist, uint64_t *value, struct eg_error *err)
{
    (void)dist;
    (void)value;
    (void)err;
    return EG_OK;
}

enum eg_status eg__dist_sum(const struct eg_dist *dist, float *values, size_t n, struct eg_error *err)
{
    (void)dist;
    (void)values;
    (void)n;
    (void)err;
    return EG_OK;
}
#endif

bool eg_has_mpi(void)
{
#ifdef EG_MPI
    return true;
#else
    return false;
#endif
}
