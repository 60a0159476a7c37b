#!/bin/sh
# Accuracy side by side with scikit-learn on the same features: few photos a class, several labels a photo,
# numbers. PHOTOS: folders of classes (see bench/accuracy_table.py). Needs the packages of
# tests/peers/requirements.txt.
cd "$(dirname "$0")/.." || exit 1
python=.cache/venv/bin/python
[ -x "$python" ] || python=python3
for program in "$ENGRAFT" build/release/engraft build/dev/engraft; do
    [ -x "$program" ] && break
done
exec env ENGRAFT="$program" "$python" bench/accuracy_table.py "$@"
