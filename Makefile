# A thin front for CMake and the scripts in tools/. `make demo` and `make test` install what
# is missing first (Debian or Ubuntu; tools/install-packages.sh has the list).
PREFIX ?= /usr/local
BUILD := build/make
# Beside the program, where that is not in the tree (which may be read-only).
DEMO := $(if $(filter command line,$(origin BUILD)),$(BUILD)/demo,demo)

.PHONY: all help demo test check-fast bench bench-learn bench-accuracy install clean

all:
	@mkdir -p $(BUILD) 2>/dev/null && test -w $(BUILD) || { \
	    echo "make: cannot write to '$(BUILD)': give another folder, as in make BUILD=/tmp/engraft" >&2; exit 1; }
	@tools/install-packages.sh build
	@cmake -S . -B $(BUILD) -G Ninja -DEG_TESTS=OFF -DCMAKE_INSTALL_PREFIX=$(PREFIX) >/dev/null
	@cmake --build $(BUILD)
	@echo "the program is $(BUILD)/engraft"

help:
	@echo "make                 build the program, $(BUILD)/engraft"
	@echo "make demo            and go from a folder of photos to a classifier with it"
	@echo "make install         put program, library and headers under PREFIX=$(PREFIX)"
	@echo "make check-fast      the rules of the tree, one build, its tests"
	@echo "make test            all that CI runs: installs 2.7 GB of packages first, takes half an hour;"
	@echo "                     LEGS=\"gcc asan\" runs some of it (CONTRIBUTING.md lists them)"
	@echo "make bench           the speed of networks; bench-learn: of classifiers; bench-accuracy PHOTOS=FOLDER"
	@echo "make clean           remove what was built"
	@echo "What is missing is installed by apt-get, as root or by sudo. BUILD=FOLDER builds there."

demo: all
	@tools/demo.sh $(BUILD)/engraft $(DEMO)

# Every leg of CI, counts at the end; LEGS="gcc asan" runs some only.
test:
	@tools/test.sh $(LEGS)

# The rules of the tree and one build with its tests: a minute or two.
check-fast:
	@tools/test.sh rules gcc

bench: all
	@bench/run.sh

bench-learn: all
	@bench/learn.sh

# PHOTOS="FOLDER FOLDER", each FOLDER/CLASS/*.jpg
bench-accuracy: all
	@bench/accuracy.sh $(PHOTOS)

install: all
	@cmake --install $(BUILD)
	@tools/after-install.sh $(BUILD)

clean:
	rm -rf build demo
