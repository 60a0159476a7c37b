#!/bin/bash
# Features of many photos as an array of Slurm jobs:
#   sbatch --array=0-127 examples/scale/slurm_array.sh MODEL PHOTOS OUTPUT
# A job that was killed is submitted again (sbatch --array=17 ...) and goes on. When all are done:
#   engraft info OUTPUT.*.h5 && engraft merge -o OUTPUT.h5 OUTPUT.*.h5
#SBATCH --job-name=engraft
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --requeue
set -eu
model=$1 photos=$2 output=$3
of=${SHARDS:-$((SLURM_ARRAY_TASK_MAX + 1))} # SHARDS: where only some of the array are submitted again
number=$(printf %04d "$SLURM_ARRAY_TASK_ID")
status=0
engraft extract "$model" "$photos" -o "$output.$number.h5" --shard "$SLURM_ARRAY_TASK_ID/$of" \
    --threads "${SLURM_CPUS_PER_TASK:-4}" --quiet || status=$?
[ "$status" = 3 ] || exit "$status" # 3: done, some photos could not be read
