#!/bin/sh
# Side by side with scikit-learn: time, peak memory, accuracy. Options: see bench/learn_table.py
# (--grid also runs part of scikit-learn's GridSearchCV). Needs the packages of
# tests/peers/requirements.txt. Peers choose their own BLAS kernel, which is printed.
cd "$(dirname "$0")/.." || exit 1
python=.cache/venv/bin/python
[ -x "$python" ] || python=python3
for program in "$ENGRAFT" build/release/engraft build/dev/engraft; do
    [ -x "$program" ] && break
done
exec env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE ENGRAFT="$program" "$python" bench/learn_table.py "$@"
