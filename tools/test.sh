#!/bin/bash
# Build and run the tests in every way CI does, quick checks first:
#   tools/test.sh [LEG...]        default: all of them; on demand only: abi, mutants, debian_twice, debian12, debian13_all
# Each leg's output goes to build/test/LEG.log and is shown when the leg fails. The last line
# counts tests over all legs: N passed, N failed, N skipped.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

all_legs="rules gcc page networks crash install demo portable cppcheck tidy clang asan tsan valgrind fuzz aarch64 predict mpi wheel debian debian13"
legs=${*:-$all_legs}
formatter=14 # the clang-format that formats this tree; others differ
jobs=$(nproc)
logs=build/test
passed=0 failed=0 skipped=0

# ---- how a leg builds and counts ------------------------------------------------

build() { # preset, cmake arguments
    local preset=$1
    shift
    cmake --preset "$preset" "$@" >"$logs/configure-$preset.log" 2>&1 ||
        { cat "$logs/configure-$preset.log"; return 1; }
    cmake --build "build/$preset" -j "$jobs"
}

# Runs the tests of a build and leaves "passed failed skipped" for count_leg.
run_ctest() { # preset, ctest arguments
    local preset=$1 report=$PWD/$logs/$1.xml
    shift
    rm -f "$report"
    ctest --test-dir "build/$preset" -j "$jobs" --output-on-failure --output-junit "$report" "$@"
    local status=$?
    [ -e "$report" ] && python3 - "$report" >"$logs/count" <<'PY'
import sys, xml.etree.ElementTree as tree
cases = list(tree.parse(sys.argv[1]).getroot().iter("testcase"))
failed = sum(case.get("status") == "fail" for case in cases)
skipped = sum(case.get("status") in ("notrun", "disabled") for case in cases)
print(len(cases) - failed - skipped, failed, skipped)
PY
    return $status
}

# ---- the legs ---------------------------------------------------------------------

leg_rules() {
    python3 tools/check_tree.py || return
    local format
    for format in clang-format-$formatter clang-format none; do
        $format --version 2>/dev/null | grep -q "version $formatter\\." && break
    done
    if [ $format = none ]; then
        echo "clang-format $formatter is not here: how files are formatted was not looked at"
        echo "1 0 1" >$logs/count
    else
        git ls-files -co --exclude-standard '*.c' '*.h' | xargs -r $format --dry-run -Werror
    fi
}

leg_gcc() {
    build release && python3 tools/check_tree.py build/release && run_ctest release -LE 'crash|page|networks'
}

# The page of a report in a browser.
leg_page() {
    build release && run_ctest release -L page
}

# Twenty networks with random weights, as PyTorch exports them, against onnxruntime.
leg_networks() {
    build release && run_ctest release -L networks
}

# A writer killed at every write, and what it left read again and finished.
leg_crash() {
    build release && jobs=4 run_ctest release -L crash
}

# What `make install` puts in place works from there, and nothing else is put there.
leg_install() {
    build release && tools/check_install.sh build/release
}

# The demo runs, and its classifier is as good as the README says.
leg_demo() {
    build release && tools/demo.sh build/release/engraft | tee $logs/demo.txt &&
        awk '/^cross-validated accuracy/ { found = $3 >= 0.93 } END { exit !found }' $logs/demo.txt
}

leg_clang() {
    build clang && run_ctest clang -LE 'peers|cli|crash|page|networks'
}

# Without what is about words alone: the commands behind them are run by the other tests.
leg_asan() {
    build asan && run_ctest asan -LE 'peers|crash' -E 'test_terminal|test_exit_codes|test_meanings'
}

leg_tsan() {
    build tsan && run_ctest tsan -L 'unit|property'
}

# The plain twins of the fast kernels give right results too.
leg_portable() {
    build release && ENGRAFT_ISA=portable run_ctest release -L 'unit|kernels|golden|property'
}

# With the portable kernels: valgrind does not know AVX-512, and is faster on plain code; and with
# libjpeg's plain code: its vector upsampling works on the unset end of its own buffers.
leg_valgrind() {
    build valgrind && JSIMD_FORCENONE=1 ENGRAFT_ISA=portable run_ctest valgrind -L unit
}

# Every harness builds under libFuzzer and holds for a few seconds from its seeds.
leg_fuzz() {
    if ! echo 'int main(void) { return 0; }' | clang -fsanitize=address -x c - -o /dev/null; then
        echo "clang has no sanitizers here"
        return 77
    fi
    build fuzz || return
    local failures=0 harnesses=0 source harness found limits
    for source in tests/fuzz/fuzz_*.c; do
        [ -e "$source" ] || continue
        harness=build/fuzz/tests/$(basename "$source" .c)
        found=$(mktemp -d)
        # Past our checks, feature files are libhdf5's to read, and 1.10 itself leaks and overflows on
        # damaged ones (docs/store.md): the known seeds only.
        limits=-max_total_time=5
        [ "$harness" = build/fuzz/tests/fuzz_features ] && limits="-runs=0 -detect_leaks=0"
        (cd "$found" && "$OLDPWD/$harness" $limits -rss_limit_mb=4096 -close_fd_mask=3 "$found" \
            "$OLDPWD/tests/fuzz/corpus/${harness##*/fuzz_}") || { echo "$harness failed"; failures=$((failures + 1)); }
        harnesses=$((harnesses + 1))
        rm -rf "$found"
    done
    echo "$((harnesses - failures)) $failures 0" >$logs/count
    [ $failures = 0 ]
}

leg_aarch64() {
    tools/aarch64-sysroot.sh || return
    build aarch64 && run_ctest aarch64
}

# The library for running models alone, here and cross-built: its size, what it links, its answers.
leg_predict() {
    tools/check_predict.sh && tools/check_predict.sh aarch64
}

leg_mpi() {
    build mpi && run_ctest mpi --no-tests=error -R 'dist|mpi|shard'
}

# The Python package, as a wheel in an empty environment; counts are those of its tests.
leg_wheel() {
    tools/wheel.sh test 2>&1 | tee $logs/wheel.txt || return
    sed -n 's/^Ran \([0-9]*\) tests in .*/\1 0 0/p' $logs/wheel.txt >$logs/count
}

# `make demo` and `make check-fast` in a bare root of the release; counts are those of the tests there.
bare_root() { # release
    local status
    tools/bare-root.sh "$1" sh -c 'make demo && make check-fast' | tee $logs/bare-root.txt
    status=$?
    sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' $logs/bare-root.txt >$logs/count
    return $status
}

# The packages of debian/: built, looked at by lintian, installed and tested in a bare root.
leg_debian() {
    tools/bare-root.sh bookworm tools/debian-packages.sh
}

# The same on 13, and whether two builds give the same bytes.
leg_debian_twice() {
    tools/bare-root.sh trixie tools/debian-packages.sh twice
}

leg_debian13() {
    bare_root trixie
}

leg_debian12() {
    bare_root bookworm
}

# Does what was linked with the last tag work with this tree?
leg_abi() {
    tools/abi.sh
}

# Wrong programs made mechanically: 85 of 100 have to be found out.
leg_mutants() {
    build release && tools/mutate.py
}

# Every leg there: an hour.
leg_debian13_all() {
    tools/bare-root.sh trixie make test LEGS="${all_legs%% debian*}"
}

leg_tidy() {
    build release || return
    git ls-files 'src/*.c' 'cli/*.c' |
        xargs -P "$jobs" -n 4 clang-tidy -p build/release --quiet --warnings-as-errors='*'
}

leg_cppcheck() {
    build release || return
    cppcheck -q -j "$jobs" --project=build/release/compile_commands.json \
        --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
        --suppressions-list=tools/cppcheck.txt
}

# ---- run them ------------------------------------------------------------------------

mkdir -p $logs 2>/dev/null && [ -w $logs ] ||
    { echo "cannot write to '$PWD/$logs': the tests build in the tree; copy it to where you may write, as by cp -r '$PWD' /tmp/engraft" >&2; exit 1; }
for leg in $legs; do
    if ! declare -F "leg_$leg" >/dev/null; then
        echo "no leg '$leg' (there are: $all_legs)" >&2
        exit 2
    fi
done

packages=fast
for leg in $legs; do
    case $leg in rules | gcc) ;; *) packages=test ;; esac
done
if ! tools/install-packages.sh $packages; then
    echo "the packages that the tests need could not be installed"
    echo "0 passed, 1 failed"
    exit 1
fi
# Peers by whom it can be compared are asked for where all legs run; without them the rest goes on.
if [ $packages = test ] && ! tools/peers.sh; then
    echo "the peers' packages could not be had: tests that compare with them are skipped"
    skipped=1
fi

for leg in $legs; do
    start=$SECONDS
    rm -f $logs/count
    "leg_$leg" >"$logs/$leg.log" 2>&1 </dev/null
    status=$?
    # A leg without counts of its own is one test.
    p=0 f=0 s=0
    if [ -s $logs/count ]; then read -r p f s <$logs/count; fi
    case $status in
    0) if [ "$((p + f + s))" = 0 ]; then p=1; fi ;;
    77) s=$((s + 1)) ;;
    *) if [ "$f" = 0 ]; then f=1; fi ;;
    esac
    if [ $status -ne 0 ] && [ $status -ne 77 ]; then
        echo "---- $leg"
        tail -n 200 "$logs/$leg.log"
        echo "----"
    fi
    printf '%-10s %4d s   %4d passed, %d failed, %d skipped\n' "$leg" $((SECONDS - start)) "$p" "$f" "$s"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
