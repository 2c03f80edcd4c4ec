#!/bin/bash
# A batch on SLURM: sbatch docs/deploy/slurm.sh. The same job again continues what was stored.
#SBATCH --job-name=steel
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --exclusive
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append

set -euo pipefail

hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
export RAY_ADDRESS="${hosts%%$'\n'*}:6379" RAY_USAGE_STATS_ENABLED=0

# On each machine: Ray. On the first, once all are there: the command; then Ray ends everywhere.
srun --kill-on-bad-exit=1 ray symmetric-run \
  --address "$RAY_ADDRESS" --min-nodes "$SLURM_JOB_NUM_NODES" \
  --num-cpus "$SLURM_CPUS_PER_TASK" -- \
  defect-inspect run --bundle "$HOME/bundle" --batch "$HOME/strips" --out "$HOME/report" \
  --engine ray
