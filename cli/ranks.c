/* Is this process one of many that mpirun or srun has started? */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const char *first_of(const char *const *names, size_t n)
{
    const char *value = NULL;
    for (size_t i = 0; i < n && !value; i++) value = getenv(names[i]);
    return value;
}

static const char *rank_of_mpi(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"};
    return first_of(names, sizeof names / sizeof *names);
}

bool under_mpi(void) { return rank_of_mpi() != NULL; }

bool later_rank(void)
{
    const char *rank = rank_of_mpi();
    return rank && strcmp(rank, "0") != 0;
}

static long long count_of_ranks(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"};
    const char *text = first_of(names, sizeof names / sizeof *names);
    long long n = 1;
    return text && parse_integer(text, &n) ? n : 1;
}

/* Commands whose work is worth dividing; those marked know how. */
static const struct {
    const char *name;
    bool ranks;
} heavy[] = {{"extract", true},  {"tune", true},      {"train", false}, {"cuts", false}, {"evaluate", false},
             {"predict", false}, {"classify", false}, {"merge", false}, {"audit", false}};

int check_alone(const struct invocation *in)
{
    long long n = count_of_ranks();
    if (n < 2) return EXIT_DONE;
    for (size_t i = 0; i < sizeof heavy / sizeof *heavy; i++) {
        if (strcmp(in->command->name, heavy[i].name) != 0) continue;
        for (const struct option_row *row = in->command->options; row->kind; row++)
            if (!strcmp(row->name, "shard") && option_given(in, "shard")) return EXIT_DONE;
        if (heavy[i].ranks && eg_has_mpi()) return EXIT_DONE;
        if (later_rank()) return EXIT_FAILED; /* the first speaks for all */
        tell(in, "started as %lld processes, each of which would do the whole work: %s", n,
             heavy[i].ranks ? "this engraft is built without MPI (build it with EG_MPI, or give each a "
                              "--shard I/N)"
                            : "this command is for one process (start it without mpirun or srun)");
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}
