#!/bin/bash
# The same without Snakemake, by job arrays and dependencies: workflow/array.sh STUDY N [options of sbatch].
# Set EMONB_RUNS to a folder that all nodes see (results lie in store/ in it, or in EMONB_STORE).
# Where a part failed, run it again: what is there is kept.
set -euo pipefail
study=$1 n=$2; shift 2
mkdir -p logs
emonb fetch "$study"

shares() {  # STAGE [options]: an array of shares, each tried twice; prints the job's id
  local stage=$1; shift
  sbatch --parsable --kill-on-invalid-dep=yes --array="1-$n" --job-name="$stage" --output=logs/%x-%a.log "$@" --wrap \
    "emonb part '$study' $stage \$SLURM_ARRAY_TASK_ID/$n || emonb part '$study' $stage \$SLURM_ARRAY_TASK_ID/$n"
}
after() {  # ID NAME COMMAND [options]: one job when all shares have ended well
  local id=$1 name=$2 command=$3; shift 3
  sbatch --parsable --kill-on-invalid-dep=yes --dependency="afterok:$id" --job-name="$name" --output=logs/%x.log "$@" \
    --wrap "$command"
}

prompts=$(shares prompts "$@")
read=$(after "$prompts" read "emonb artifact '$study' prompts --from-parts && emonb artifact '$study' masks &&
  emonb artifact '$study' humans" "$@")
for stage in lesions; do
  id=$(shares "$stage" --dependency="afterok:$read" "$@")
  after "$id" "$stage-whole" "emonb artifact '$study' $stage --from-parts" "$@"
done
