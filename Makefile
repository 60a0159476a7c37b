# A thin front for CMake and the scripts in tools/. `make demo` and `make test` install what
# is missing first (Debian or Ubuntu; tools/install-packages.sh has the list).
PREFIX ?= /usr/local
BUILD := build/make

.PHONY: all demo test check-fast bench bench-learn install clean

all:
	@tools/install-packages.sh build
	@cmake -S . -B $(BUILD) -G Ninja -DEG_TESTS=OFF -DCMAKE_INSTALL_PREFIX=$(PREFIX) >/dev/null
	@cmake --build $(BUILD)

demo: all
	@tools/demo.sh $(BUILD)/engraft

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

install: all
	@cmake --install $(BUILD)

clean:
	rm -rf build demo
