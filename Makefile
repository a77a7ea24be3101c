# kvstored - `make help` lists what can be done here.
#
# Everything made lands in build/ and dist/.  Each target installs what it
# needs through tools/need.sh, which says what it does.

VERSION := $(shell cat VERSION)
GO      ?= go
ifeq ($(origin CC),default)
CC      := gcc
endif

PREFIX  ?= /usr
DESTDIR ?=
FUZZTIME ?= 10s
RACE    ?= ./...

# A distribution's older Go fetches the toolchain that go.mod asks for.
export GOTOOLCHAIN ?= auto

ENGINE_CFLAGS  := -std=c17 -O2 -g -fPIC -fvisibility=hidden -Wall -Wextra -Wpedantic -Werror \
	-fno-gnu-unique -fstack-protector-strong -D_FORTIFY_SOURCE=2 -ffile-prefix-map=$(CURDIR)=.
ENGINE_LDFLAGS := -shared -Wl,-soname,libkvstore.so -Wl,-z,relro,-z,now,-z,defs -Wl,--build-id=sha1
GO_BUILD := $(GO) build -trimpath -buildvcs=false -buildmode=pie

ENGINES := $(sort $(patsubst libkvstore/engines/%/,%,$(dir $(wildcard libkvstore/engines/*/*.c))))
sources = $(or $(wildcard libkvstore/engines/$(1)/*.c),$(error no engine $(1) in libkvstore/engines))
# Libraries of the distribution that an engine needs, in a file of its folder.
libs = $(shell cat libkvstore/engines/$(1)/libs 2>/dev/null)
HEADERS := $(wildcard libkvstore/*.h)

.DELETE_ON_ERROR:
.SECONDEXPANSION:
.PHONY: all build need-build engines kvstored kvctl demo test differential torture test-system race asan crash fuzz packages \
	bench bench-memory install lint clean help

all: build

##: Building
build: kvstored kvctl engines ## (also plain `make`) kvstored, kvctl and the engines, into build/

need-build:
	@tools/need.sh go gcc:gcc /usr/include/string.h:libc6-dev /usr/include/lmdb.h:liblmdb-dev \
		/usr/include/xxhash.h:libxxhash-dev

engines: $(ENGINES:%=build/engines/%.so) build/libkvstore.so build/test/hash-next.so build/test/hash-other.so ## the engines only

build/engines/%.so: $$(wildcard libkvstore/engines/$$*/*.[ch]) $(HEADERS) Makefile | need-build
	@mkdir -p $(@D)
	@echo '  CC  $@'
	@$(CC) $(ENGINE_CFLAGS) -Ilibkvstore $(call sources,$*) $(ENGINE_LDFLAGS) $(call libs,$*) -o $@

build/libkvstore.so: build/engines/hash.so
	@cp $< $@

# The same engine under the next version number: the "new release" of tests and of the demo.
build/test/%-next.so: $$(wildcard libkvstore/engines/$$*/*.[ch]) $(HEADERS) Makefile | need-build
	@mkdir -p $(@D)
	@echo '  CC  $@'
	@$(CC) $(ENGINE_CFLAGS) -Ilibkvstore -DKV_ENGINE_VERSION='"0.1.1"' \
		$(call sources,$*) $(ENGINE_LDFLAGS) $(call libs,$*) -o $@

# And one whose memory looks different, so that the data has to be copied: for the bench.
build/test/%-other.so: $$(wildcard libkvstore/engines/$$*/*.[ch]) $(HEADERS) Makefile | need-build
	@mkdir -p $(@D)
	@echo '  CC  $@'
	@$(CC) $(ENGINE_CFLAGS) -Ilibkvstore -DKV_ENGINE_VERSION='"0.1.2"' -DFORMAT='"other"' \
		$(call sources,$*) $(ENGINE_LDFLAGS) $(call libs,$*) -o $@

# Go keeps its own account of what is out of date.
kvstored: need-build
	@echo '  GO  build/kvstored'
	@$(GO_BUILD) -ldflags '-X main.version=$(VERSION) -linkmode=external -extldflags "-Wl,-z,relro,-z,now"' \
		-o build/kvstored ./cmd/kvstored

kvctl: need-build
	@echo '  GO  build/kvctl'
	@CGO_ENABLED=0 $(GO_BUILD) -ldflags '-X main.version=$(VERSION) -bindnow' -o build/kvctl ./cmd/kvctl

##: Trying
demo: build ## show the main job: start, set, get, count, exchange the library under the counting
	@tools/need.sh /usr/bin/systemd-socket-activate:systemd
	@tools/demo.sh

##: Testing
test: ## everything that needs neither root nor a container
	@tools/need.sh go git:git gcc:gcc /usr/include/string.h:libc6-dev /usr/include/lmdb.h:liblmdb-dev \
		/usr/include/xxhash.h:libxxhash-dev redis-server:redis-server
	@tools/test.sh

differential: build ## N (1,000,000) random commands beside redis-server
	@tools/need.sh go redis-server:redis-server
	@COMMANDS=$(or $(N),1000000) tests/differential/run.sh

torture: build ## commands split and left at every byte, and N (1,000,000) malformed inputs
	@$(GO) test ./tests/torture -count=1 -timeout 2h -v -inputs $(or $(N),1000000) $(if $(SEED),-seed $(SEED))

test-system: ## install the packages in Debian 12 and 13 with a real systemd (root)
	@tools/need.sh root go git:git gcc:gcc mkfs.ext4:e2fsprogs losetup:mount mmdebstrap:mmdebstrap systemd-nspawn:systemd-container lintian:lintian pkg-config:pkg-config
	@tools/test-system.sh

race: build ## the Go tests under the race detector
	GORACE=atexit_sleep_ms=0 $(GO) test -race -timeout 30m $(RACE)

asan: build ## the engines under ASan and UBSan, through the conformance suite
	@tools/asan.sh

crash: ## power cuts, damaged bytes, kills and failing calls, N times what make test does
	@tools/need.sh go git:git gcc:gcc /usr/include/string.h:libc6-dev /usr/include/lmdb.h:liblmdb-dev \
		/usr/include/xxhash.h:libxxhash-dev
	@libkvstore/engines/hash/test/run-crash.sh $(or $(N),10)
	@$(GO) test ./tests/crash -count=1 -timeout 0 -v -kills $$((50 * $(or $(N),10)))
	@$(GO) test ./tests/migrate -count=1 -timeout 0 -v -every -rounds $$((5 * $(or $(N),10))) -cuts $$((200 * $(or $(N),10)))

fuzz: build ## every fuzzer for FUZZTIME (10s) each
	@tools/fuzz.sh $(FUZZTIME)

lint: ## gofmt, go vet and the rules of the house
	@tools/lint.sh

bench: build ## CPU per request, throughput, latency and memory beside redis-server and memcached
	@tools/need.sh redis-server:redis-server memcached:memcached
	@bench/run.sh

bench-memory: build ## hit ratios of caches under a limit of memory, beside redis-server
	@tools/need.sh redis-server:redis-server
	@$(GO) run ./bench/hitratio

##: Shipping
packages: build ## .deb and .rpm, into dist/
	@tools/packages.sh

install: build ## copy everything to $(DESTDIR)$(PREFIX); units, users and socket are for packages to start
	@tools/install.sh '$(DESTDIR)' '$(PREFIX)'

clean: ## remove build/ and dist/
	rm -rf build dist

help: ## this list
	@awk -F ':.*## ' '/^##: / { print "\n" substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
