# SPDX-License-Identifier: Apache-2.0
# Postern. One Makefile, no configure step. `make help` lists what there is to do.
#
#: make             build the four programs into build/
#: make demo        see it work: two homes behind NAT and a relay on this machine, narrated
#: make demo-home   see a relay at home: a router, its ports mapped, switched off and on again
#: make test        everything: both compilers, sanitizers, both engines, real topologies
#: make check       the quick part of it, in under a minute; installs nothing
#: make deps        install what the build needs (FOR=check|demo|demo-home|test|portability|bench: theirs)
#: make portability Debian 13, the kernel of Debian 12, arm64: in roots and emulated machines; half an hour
#: make bench       measure throughput, sessions and memory, beside other relays
#: make install     PREFIX=/usr/local DESTDIR=; make uninstall takes it away again
#: make container   an image from nothing but the programs and the libraries they load
#: make units       unit and simulation tests      (ONLY='ring timer': just those)
#: make worlds      whole relays, agents and NAT helpers on a simulated kernel and clock (N=500 seeds)
#: make world       one of them, traced: NAME=sessions SEED=7
#: make fuzz-NAME   fuzz one parser, or state machine, for T=60 seconds; fuzz-seeds replays all seeds
#: make mutants     put small faults in, one at a time, and see which test notices (ONLY='RQ5 LG1',
#:                  AREA=relay/session, or JOBS=4; half an hour); mutants-check: do all apply?
#: make tidy        static analysis; make format rewrites, make format-check only looks
#: make syscalls    compare the "#syscalls" comments with what sealed processes call
#: make probes      prove that docs/tracing.md lists the programs' static probes
#: make layers      prove that a folder includes and calls only what its row in tests/layers names,
#:                  that a test links every source of relay, agent and NAT helper (tests/linked),
#:                  and that the tests which docs/limits.md and SECURITY.md name exist (tests/named)
#: make clean       remove build/
#:
#: Variables: BORINGSSL=/prefix, CC=clang, SANITIZE=address,undefined, WERROR=1, OPT=-O2, LTO=1, V=1,
#: B=build/other for a build of its own beside the first; CFLAGS, CPPFLAGS and LDFLAGS are added.
#: BORINGSSL is remembered in build/ (BORINGSSL= forgets it); `make install` installs what was built.

VERSION := 0.1.0
PREFIX ?= /usr/local
B ?= build
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

# ---- what the last build was told ----------------------------------------------------------------
# Every make goes on with its BORINGSSL; install and container, which a developer may type in another
# shell or as root, with the rest too: else they would build again, and something else. What is on
# the command line or in the environment goes before.
CHOICES := BORINGSSL CC OPT SANITIZE LTO WERROR CFLAGS CPPFLAGS LDFLAGS
-include $(B)/choices
recall = $(if $(filter command environment,$(origin $(1)))$(filter undefined,$(origin LAST_$(1))),, \
	$(eval $(1) := $$(LAST_$(1))))
$(foreach c,$(if $(filter install container,$(MAKECMDGOALS)),$(CHOICES),BORINGSSL),$(call recall,$(c)))
OPT ?= -O2
SANITIZE ?=
LTO ?=
WERROR ?=
# Of what the compiler makes programs for, not of what it runs on.
MACHINE := $(firstword $(subst -, ,$(shell $(CC) $(CFLAGS) -dumpmachine 2>/dev/null)))

# ---- dependencies -------------------------------------------------------------------------------
# BoringSSL is Debian's android-libboringssl-dev, or any upstream build: make BORINGSSL=/prefix,
# with include/openssl/ and lib/libssl.a (or .so) below it. What each set is for stands in tests/deps.
BUILD_PACKAGES := $(if $(findstring clang,$(CC)),clang,gcc) libc6-dev make \
	$(if $(BORINGSSL),g++,android-libboringssl-dev) liburing-dev libc-ares-dev \
	libyaml-dev libjansson-dev libseccomp-dev uthash-dev libminiupnpc-dev libnatpmp-dev \
	libbrotli-dev systemtap-sdt-dev
CHECK_PACKAGES := libcmocka-dev python3
DEMO_PACKAGES := iproute2 nftables nginx-light curl openssl procps python3
DEMO_HOME_PACKAGES := $(DEMO_PACKAGES) miniupnpd-nftables
TEST_PACKAGES := $(CHECK_PACKAGES) $(DEMO_PACKAGES) libnginx-mod-stream gcc clang \
	clang-format clang-tidy libclang-rt-dev openssh-server openssh-client iperf3 sslscan \
	tshark chromium podman runc systemd mandoc coturn miniupnpd-nftables miniupnpc natpmpc libnice-dev pkg-config \
	pebble uacme lego certbot ca-certificates
BENCH_PACKAGES := $(DEMO_PACKAGES) haproxy libnginx-mod-stream syncthing-relaysrv coturn \
	miniupnpd-nftables
PORTABILITY_PACKAGES := debootstrap debian-archive-keyring qemu-system-x86 qemu-system-arm cpio
# A header that only the package brings, to tell at once what a machine lacks.
HEADERS := liburing.h=liburing-dev ares.h=libc-ares-dev yaml.h=libyaml-dev \
	jansson.h=libjansson-dev seccomp.h=libseccomp-dev uthash.h=uthash-dev \
	sys/sdt.h=systemtap-sdt-dev brotli/decode.h=libbrotli-dev \
	miniupnpc/miniupnpc.h=libminiupnpc-dev natpmp.h=libnatpmp-dev \
	openssl/is_boringssl.h=android-libboringssl-dev

# A shared library must be found again when the programs start, an archive need not.
RUNPATH = -Wl,-rpath,$(SSL_DIR)
ifneq ($(BORINGSSL),)
SSL_INCLUDE := $(BORINGSSL)/include
SSL_DIR := $(BORINGSSL)/lib
SSL_LIBS := -L$(SSL_DIR) $(if $(wildcard $(SSL_DIR)/libssl.so),$(RUNPATH)) -lssl -lcrypto -lstdc++
else
SSL_INCLUDE := /usr/include/android
SSL_DIR := $(patsubst %/libssl.so,%,$(firstword \
	$(wildcard /usr/lib/$(MACHINE)-*/android/libssl.so /usr/lib/*/android/libssl.so)))
SSL_LIBS := -L$(SSL_DIR) $(RUNPATH) -lssl -lcrypto
endif
SSL_CFLAGS := -isystem $(SSL_INCLUDE)

# ---- sources: a folder is a room, and a program a list of rooms (tests/layers has their order) ------
sources = $(sort $(wildcard $(addsuffix /*.c,$(1))))
# What all programs share, and the STUN that both ends speak.
SHARED_ROOMS := core core/conf core/parse core/engine core/program stun
RELAY_ROOMS := relay relay/policy relay/shaper relay/rendezvous relay/ledger relay/config relay/front \
	relay/session relay/control relay/keeper relay/signer
AGENT_ROOMS := agent agent/engine agent/config agent/worker agent/relays agent/session agent/entrance \
	agent/control
# Of the STUN clients the one that an agent is.
STUN_ROUND := stun/client/client.c stun/client/round.c
# The NAT helper's; `postern nat probe` borrows them.
NATD_ROOMS := portmap portmap/gateway portmap/engine natpmp natpmp/driver upnp upnp/driver stun/client
CTL_ROOMS := ctl ctl/terminal ctl/talk ctl/see ctl/change ctl/pki ctl/nat
ROOMS := $(SHARED_ROOMS) $(RELAY_ROOMS) $(AGENT_ROOMS) $(NATD_ROOMS) $(CTL_ROOMS)
ALL_SRC := $(call sources,$(ROOMS))

# ---- flags --------------------------------------------------------------------------------------
WARN := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wpointer-arith -Wformat=2 -Wno-unused-parameter
# Of these a compiler takes what its machine has: shadow stacks are amd64's, signed returns arm64's.
hardens = $(shell $(CC) $(CFLAGS) -Werror $(1) -x c -c -o /dev/null /dev/null 2>/dev/null && echo $(1))
# A packager's own level stands; without optimization the C library has none to offer.
FORTIFY := $(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS))$(filter -O0,$(OPT) $(CFLAGS)),, \
	-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
ifneq ($(SANITIZE),)
# What a function forgets to set on its stack is neither 0 nor what stood there by chance.
HARDEN := -fPIE -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=undefined \
	$(call hardens,-ftrivial-auto-var-init=pattern)
else
HARDEN := -fstack-protector-strong -fPIE $(FORTIFY) $(foreach f,-fstack-clash-protection \
	-fcf-protection -mbranch-protection=standard,$(call hardens,$(f)))
endif
# LTO=1 shows the linker all files at once: it tells what one declares and another defines otherwise.
LTO_FLAGS := $(if $(LTO),-flto=auto -Wlto-type-mismatch $(if $(WERROR),-Werror))
# The packager's flags come last, so that they decide.
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE= -g $(OPT) $(HARDEN) $(WARN) $(if $(WERROR),-Werror) \
	-ffile-prefix-map=$(CURDIR)=. $(LTO_FLAGS) -pthread -I. -I$(B) $(SSL_CFLAGS) \
	-DPOSTERN_VERSION='"$(VERSION)"' $(CPPFLAGS) $(CFLAGS)
ALL_LDFLAGS := -pie -pthread -Wl,-z,relro,-z,now,--as-needed \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(if $(LTO),$(OPT) $(LTO_FLAGS)) $(LDFLAGS)
# The shared liburing 2.3 forgets to export io_uring_register_restrictions(); its archive has it.
URING_A := $(shell $(CC) -print-file-name=liburing.a 2>/dev/null)
URING_LIB := $(if $(findstring /,$(URING_A)),-l:liburing.a,-luring)
LIBS := $(SSL_LIBS) $(URING_LIB) -lcares -lyaml -ljansson -lseccomp -lnatpmp -lminiupnpc -lbrotlidec

comma := ,
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' '$(1)' '$(2)')

.PHONY: all FORCE
.DELETE_ON_ERROR:
all: $(B)/postern-relayd $(B)/postern-agent $(B)/postern-natd $(B)/postern

objs = $(patsubst %.c,$(B)/obj/%.o,$(1))
SHARED_OBJ := $(call objs,$(call sources,$(SHARED_ROOMS)))
# Of each program all but its main, so that `postern` and the tests can link them, too.
library = $(call objs,$(filter-out %/main.c,$(call sources,$(1))))
RELAY_LIB_OBJ := $(call library,$(RELAY_ROOMS))
AGENT_LIB_OBJ := $(call library,$(AGENT_ROOMS)) $(call objs,$(STUN_ROUND))
NATD_LIB_OBJ := $(call library,$(NATD_ROOMS))

# Says what is missing, and how to get it, before a compiler error would.
.PHONY: tools-present
SSL_LACKS = $(strip $(if $(wildcard $(SSL_INCLUDE)/openssl/is_boringssl.h),,"headers in $(SSL_INCLUDE)/openssl") \
	$(if $(wildcard $(SSL_DIR)/libssl.*),,"libssl.a or libssl.so in $(SSL_DIR)"))
tools-present:
	$(if $(BORINGSSL),$(if $(SSL_LACKS),@printf "BORINGSSL=$(BORINGSSL): no %s\n" $(SSL_LACKS) >&2; \
		echo "name the prefix that BoringSSL is installed below or take the system's with 'make BORINGSSL='" \
		>&2; exit 1))
	@tests/deps --headers '$(CC) $(SSL_CFLAGS) $(CFLAGS)' $(HEADERS)
	$(if $(BORINGSSL),$(if $(filter file,$(origin BORINGSSL)),@echo \
		"  NOTE  with BORINGSSL=$(BORINGSSL) as before; 'make BORINGSSL=' goes back to the system's"))

# Objects depend on `flags`, programs on `libraries`: these change only when the compiler, a flag, a
# header of BoringSSL or an archive does. Size and date tell: a package's files are older than any build.
stamps = stat -L -c '%n %s %Y' $(wildcard $(1)) 2>/dev/null
define newline


endef
define replace_if_new
	@{ printf '%s\n' "$$POSTERN_STAMP"; $(1); } >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
endef
$(B)/flags: export POSTERN_STAMP := $(CC) $(ALL_CFLAGS)
$(B)/flags: export POSTERN_CHOICES = $(foreach c,$(CHOICES),LAST_$(c) := $($(c))$(newline))
$(B)/flags: FORCE | tools-present
	@mkdir -p $(@D)
	@printf '%s' "$$POSTERN_CHOICES" >$(B)/choices
	$(call replace_if_new,$(call stamps,$(SSL_INCLUDE)/openssl/*.h))
$(B)/libraries: export POSTERN_STAMP = $(CC) $(ALL_LDFLAGS) $(LIBS)
$(B)/libraries: FORCE | tools-present
	@mkdir -p $(@D)
	$(call replace_if_new,$(call stamps,$(SSL_DIR)/libssl.* $(SSL_DIR)/libcrypto.* $(URING_A)))

# ---- system calls: each process's list, made of the "#syscalls" comments of what it runs -----------
# core/syscalls.awk says how they are written. What is left out of a room is no part of the process:
# a relay resolves no names and starts no programs.
UPNP_WORKER := $(wildcard upnp/driver/worker*.c upnp/driver/exchange.c upnp/driver/igd.c \
	upnp/driver/search.c)
RUNS_relay = $(filter-out relay/keeper/serve.c relay/signer/serve.c relay/signer/made.c core/program/launcher%.c core/program/resolve.c core/program/resolve_%.c,\
	$(call sources,$(RELAY_ROOMS) $(SHARED_ROOMS))) core/sanitized.h
RUNS_keeper = relay/keeper/serve.c core/datagrams.c core/file.c core/isolation.c core/listening.c
RUNS_signer = relay/signer/serve.c relay/signer/made.c core/engine/keyring.c core/file.c core/isolation.c \
	core/key_file.c
RUNS_follower = core/follower.c core/isolation.c
RUNS_agent = $(filter-out core/program/launcher%.c,$(call sources,$(AGENT_ROOMS) $(SHARED_ROOMS))) \
	$(STUN_ROUND) core/sanitized.h
RUNS_natd = $(filter-out core/program/launcher_main.c $(UPNP_WORKER),\
	$(call sources,$(NATD_ROOMS) $(SHARED_ROOMS))) core/sanitized.h
RUNS_upnp_worker = $(UPNP_WORKER) core/isolation.c
RUNS_launcher = core/program/launcher_main.c $(RUNS_upnp_worker)
RUNS_keeper_test = tests/platform/keeper_test.c $(RUNS_relay)
RUNS_launcher_test = core/program/launcher_main.c tests/platform/launcher_test.c core/isolation.c
PROCESSES := relay keeper signer follower agent natd upnp_worker launcher keeper_test launcher_test
CALLS_H := $(PROCESSES:%=$(B)/gen/%_calls.h)

$(CALLS_H): $(B)/gen/stamp
	@test -f $@
# Which files these are, kept as the flags are: a file that is gone counts as well.
$(B)/gen/runs: export POSTERN_RUNS := $(foreach p,$(PROCESSES),$(p): $(RUNS_$(p)))
$(B)/gen/runs: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$$POSTERN_RUNS" | cmp -s - $@ || printf '%s\n' "$$POSTERN_RUNS" >$@
# A list that stays as it was keeps its time, so that nothing is compiled again.
$(B)/gen/stamp: core/syscalls.awk $(B)/gen/runs $(sort $(foreach p,$(PROCESSES),$(RUNS_$(p))))
	$(call say,GEN,$(@D))
	@rm -rf $(@D)/new && mkdir -p $(@D)/new
	@awk -v out=$(@D)/new -f core/syscalls.awk \
		$(foreach p,$(PROCESSES),role=$(p) $(shell grep -l '#syscalls' $(RUNS_$(p))))
	@for f in $(@D)/new/*; do cmp -s $$f $(@D)/$${f##*/} || mv $$f $(@D); done; rm -rf $(@D)/new
	@touch $@

$(B)/obj/%.o: %.c $(B)/flags | tools-present $(CALLS_H)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(UNCOUNTED) -MMD -MP -c -o $@ $<

define link
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(or $(2),$(LIBS)) $(1)
endef

$(B)/postern-relayd: $(B)/obj/relay/main.o $(RELAY_LIB_OBJ) $(SHARED_OBJ) $(B)/libraries
	$(call link)
$(B)/postern-agent: $(B)/obj/agent/main.o $(AGENT_LIB_OBJ) $(SHARED_OBJ) $(B)/libraries
	$(call link)
$(B)/postern-natd: $(B)/obj/portmap/main.o $(NATD_LIB_OBJ) $(SHARED_OBJ) $(B)/libraries
	$(call link,-lminiupnpc -lnatpmp)
$(B)/postern: $(call objs,$(call sources,$(CTL_ROOMS))) $(AGENT_LIB_OBJ) $(RELAY_LIB_OBJ) \
		$(NATD_LIB_OBJ) $(SHARED_OBJ) $(B)/libraries
	$(call link)

-include $(wildcard $(B)/obj/*/*.d $(B)/obj/*/*/*.d)

# ---- unit and simulation tests: each names what it links, "* links: core/timer.c", in its head ----
# All heads are read at once: one process, and not four hundred.
HEADS := $(shell awk '/^ \* links: / {for (i = 3; i <= NF; i++) print FILENAME "=" $$i}' \
	tests/*/*_test.c fuzz/*_fuzz.c bench/policy.c bench/handshakes.c)
links = $(wildcard $(patsubst $(1)=%,%,$(filter $(1)=%,$(HEADS))))
UNIT_SRC := $(sort $(wildcard tests/unit/*_test.c tests/sim/*_test.c tests/platform/*_test.c))
UNIT_BIN := $(patsubst tests/%.c,$(B)/tests/%,$(UNIT_SRC))

# The simulated kernel is linked with what leads the calls to it: WORLD_LINK, below.
kernel_of = $(if $(filter tests/world/kernel.c,$(call links,$(1))),WORLD,UNIT)
# The encoder makes what only a server would send.
UNIT_LINK := -lcmocka -lbrotlienc
UNIT_LIBS := $(LIBS)

define unit_rule
$(patsubst tests/%.c,$(B)/tests/%,$(1)): $(call objs,$(1) tests/support/only.c $(call links,$(1))) $(B)/libraries
	$$(call link,$$($(call kernel_of,$(1))_LINK),$$($(call kernel_of,$(1))_LIBS))
endef
$(foreach t,$(UNIT_SRC),$(eval $(call unit_rule,$(t))))

# What sealed processes call, against the comments: tests/syscalls.
$(B)/tests/support/recorder: $(call objs,tests/support/recorder.c)
	$(call link)
.PHONY: syscalls
syscalls: all $(B)/tests/support/recorder
	$(Q)tests/syscalls --build $(B)

ONLY ?=
UNIT_RUN := $(if $(ONLY), \
	$(filter $(addprefix %/,$(addsuffix _test,$(ONLY))),$(UNIT_BIN)),$(UNIT_BIN))

.PHONY: units
units: $(UNIT_RUN) $(if $(ONLY),,$(B)/tests/world/worlds)
	$(Q)tests/run-units $(UNIT_RUN)

# ---- faults that a test must notice: tests/mutants/, which tests/run-mutants explains ---------------
.PHONY: mutants mutants-check
MUTANTS_RUN := tests/run-mutants --only='$(ONLY)' --area='$(AREA)'
mutants:
	@MAKEFLAGS= $(MUTANTS_RUN) --jobs=$(JOBS) $(if $(NOTE),--note) CC='$(CC)' $(if $(BORINGSSL),BORINGSSL='$(BORINGSSL)')
mutants-check:
	@$(MUTANTS_RUN) --check

# ---- worlds: whole relays and agents on a simulated kernel (tests/world/README.md) -----------------
# The linker leads each call of the system's that tests/world/wrapped names to tests/world/calls.c,
# those of libnatpmp as well, which is therefore an archive here.
WORLD_SRC := $(sort $(wildcard tests/world/*.c)) tests/support/certs.c tests/support/signed.c ctl/pki/make.c \
	ctl/talk/relay_line.c ctl/talk/console_config.c tests/support/fake_kernel.c
WORLD_OBJ := $(call objs,$(WORLD_SRC)) $(RELAY_LIB_OBJ) $(AGENT_LIB_OBJ) \
	$(filter-out %/portmap/netlink.o,$(NATD_LIB_OBJ)) \
	$(filter-out %/ring_uring.o %/ring_epoll.o %/resolve.o %/resolve_channel.o,$(SHARED_OBJ))
WORLD_LINK := $(addprefix -Wl$(comma)--wrap=,$(shell cat tests/world/wrapped)) -ldl -lcmocka
WORLD_LIBS := $(LIBS:-lnatpmp=-l:libnatpmp.a)
# What runs in processes that no world starts: of launchers, which fork.
WORLD_ELSEWHERE := $(call objs,$(UPNP_WORKER) core/program/launcher.c core/program/launcher_main.c)
N ?= 500

$(B)/tests/world/worlds: $(WORLD_OBJ) tests/world/wrapped tests/world/check_calls
	$(call link,$(WORLD_LINK),$(WORLD_LIBS))
	$(Q)tests/world/check_calls tests/world/wrapped \
		$(filter-out $(WORLD_ELSEWHERE) $(B)/obj/tests/%,$(WORLD_OBJ))

.PHONY: worlds world
worlds: $(B)/tests/world/worlds
	$(Q)$< --seeds $(N) --jobs $(JOBS)
world: $(B)/tests/world/worlds
	$(Q)$< --world $(NAME) --seed $(SEED) -v

# ---- fuzz targets, the same way: make fuzz-NAME T=60, seeds in fuzz/seeds/NAME/ -------------------
FUZZ_SRC := $(sort $(wildcard fuzz/*_fuzz.c))
# State machines, whole programs on the simulated kernel: one program by several names.
MACHINES := front site link leg console channel policy
FUZZ_NAMES := $(patsubst fuzz/%_fuzz.c,%,$(FUZZ_SRC)) $(MACHINES)
FUZZ_MAKE = $(MAKE) --no-print-directory B=build/fuzz CC=clang SANITIZE=address,undefined \
	BORINGSSL='$(BORINGSSL)' CFLAGS='-fsanitize=fuzzer-no-link -DFUZZING' LDFLAGS='-fsanitize=fuzzer'
T ?= 60

MACHINE_OBJ := $(call objs,$(sort $(wildcard fuzz/machines/*.c)) tests/support/certs.c \
	tests/support/signed.c ctl/pki/make.c \
	$(patsubst %,tests/world/%.c,calls issuer kernel memory packet people peer pipes programs resolve_sim \
	ring_sim store stream stream_connect world)) $(RELAY_LIB_OBJ) $(AGENT_LIB_OBJ) \
	$(filter-out %/ring_uring.o %/ring_epoll.o %/resolve.o %/resolve_channel.o,$(SHARED_OBJ))
# What is counted as covered is Postern, and not what stands around it.
$(filter $(B)/obj/fuzz/machines/% $(B)/obj/tests/%,$(MACHINE_OBJ)): UNCOUNTED = \
	$(if $(findstring fuzzer-no-link,$(CFLAGS)),-fno-sanitize=fuzzer-no-link)
$(B)/fuzz/machines: $(MACHINE_OBJ) tests/world/wrapped
	$(call link,$(WORLD_LINK),$(WORLD_LIBS))
$(addprefix $(B)/fuzz/,$(MACHINES)): $(B)/fuzz/machines
	$(Q)ln -sf machines $@

define fuzz_rule
$(if $(filter $(1),$(MACHINES)),,
$(B)/fuzz/$(1): $(call objs,fuzz/$(1)_fuzz.c $(call links,fuzz/$(1)_fuzz.c)) $(B)/libraries
	$$(call link))
fuzz-$(1):
	+$(Q)$$(FUZZ_MAKE) build/fuzz/fuzz/$(1)
	$(Q)mkdir -p build/fuzz/corpus/$(1)
	build/fuzz/fuzz/$(1) -max_total_time=$$(T) -rss_limit_mb=1024 -artifact_prefix=build/fuzz/$(1)- \
		$(if $(filter $(1),$(MACHINES)),-timeout=600 -len_control=0 -max_len=320,-timeout=30) \
		build/fuzz/corpus/$(1) fuzz/seeds/$(1)
# By edges alone: how often each was taken would keep ten times as many. The file has a name since all
# machines are process 100.
fuzz-keep-$(1):
	+$(Q)$$(FUZZ_MAKE) build/fuzz/fuzz/$(1)
	$(Q)rm -f build/fuzz/$(1).merge
	build/fuzz/fuzz/$(1) -set_cover_merge=1 -use_counters=0 -merge_control_file=build/fuzz/$(1).merge \
		-artifact_prefix=build/fuzz/$(1)- fuzz/seeds/$(1) build/fuzz/corpus/$(1)
endef
$(foreach f,$(FUZZ_NAMES),$(eval $(call fuzz_rule,$(f))))

.PHONY: fuzz-seeds $(foreach f,$(FUZZ_NAMES),fuzz-$(f) fuzz-keep-$(f))
fuzz-seeds:
	+$(Q)$(FUZZ_MAKE) $(addprefix build/fuzz/fuzz/,$(FUZZ_NAMES))
	$(Q)tests/run-seeds build/fuzz $(FUZZ_NAMES)

# ---- the load generator of `make bench` -----------------------------------------------------------
LOAD_SRC := $(sort $(wildcard bench/load*.c))
$(B)/bench/load: $(call objs,$(LOAD_SRC)) $(SHARED_OBJ) $(B)/libraries
	$(call link)

# How long decisions take under large policies; what a handshake costs with a signer.
define bench_rule
$(B)/bench/$(1): $$(call objs,bench/$(1).c $$(call links,bench/$(1).c)) $(B)/libraries
	$$(call link)
endef
$(foreach b,policy handshakes,$(eval $(call bench_rule,$(b))))

# ---- what people type ---------------------------------------------------------------------------
# A target that may install packages builds in a make of its own, which then sees what is new.
SUBMAKE = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))
FOR ?= build
FOR_UPPER := $(shell echo $(FOR) | tr a-z- A-Z_)

.PHONY: help deps check test portability demo demo-home bench
help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

deps:
	@tests/deps build $(BUILD_PACKAGES)
	@$(if $(filter build,$(FOR)),,tests/deps $(FOR) $($(FOR_UPPER)_PACKAGES))

check:
	@tests/deps --check build $(BUILD_PACKAGES)
	@tests/deps --check check $(CHECK_PACKAGES)
	+$(Q)$(SUBMAKE) all $(UNIT_BIN) $(B)/tests/world/worlds
	$(Q)$(MAKE) --no-print-directory layers probes format-check units
	$(Q)$(MAKE) --no-print-directory worlds N=20

test:
	@tests/deps build $(BUILD_PACKAGES)
	@tests/deps test $(TEST_PACKAGES)
	@MAKEFLAGS= JOBS=$(JOBS) tests/run-all BORINGSSL='$(BORINGSSL)' $(MAKEOVERRIDES)

# STAGES='debian13 arm64': just those. They build with the BoringSSL of each Debian.
STAGES ?=
portability:
	@tests/deps portability $(PORTABILITY_PACKAGES)
	@MAKEFLAGS= tests/portability/run $(filter-out gcc g++ clang,$(BUILD_PACKAGES)) \
		android-libboringssl-dev $(CHECK_PACKAGES) -- $(STAGES)

demo:
	@tests/deps build $(BUILD_PACKAGES)
	@tests/deps demo $(DEMO_PACKAGES)
	+$(Q)$(SUBMAKE) all
	@tests/net/demo.py --build $(B)

demo-home:
	@tests/deps build $(BUILD_PACKAGES)
	@tests/deps demo-home $(DEMO_HOME_PACKAGES)
	+$(Q)$(SUBMAKE) all
	@tests/net/demo_home.py --build $(B)

bench:
	@tests/deps build $(BUILD_PACKAGES)
	@tests/deps bench $(BENCH_PACKAGES)
	+$(Q)$(SUBMAKE) all $(B)/bench/load $(B)/bench/policy $(B)/bench/handshakes
	@bench/run --build $(B)
	@$(B)/bench/handshakes
	@bench/home --build $(B)

# ---- what keeps the code as it is ----------------------------------------------------------------
C_FILES := $(wildcard $(foreach d,$(ROOMS) tests/unit tests/sim tests/platform tests/support fuzz fuzz/machines \
	bench tests/world,$(d)/*.c $(d)/*.h))
HEADER_FILES := $(filter %.h,$(C_FILES))

.PHONY: layers format format-check tidy man-check
.PHONY: probes
probes: all
	@tests/probes $(B)

layers:
	@tests/layers $(B)/obj $(ROOMS)
	@tests/linked $(ROOMS)
	@tests/named

format:
	$(Q)clang-format -i $(C_FILES)
format-check:
	@tests/check-format $(C_FILES)

# The analyser does not understand how uthash takes an element out, and sees it used after free().
UTHASH_CHECKS := --checks=-clang-analyzer-unix.Malloc,-clang-analyzer-core.NullDereference
tidy_checks = $(if $(shell grep -l '<uthash.h>' $(1)),$(UTHASH_CHECKS))
tidy: $(patsubst %.c,$(B)/tidy/%.ok,$(ALL_SRC))
	@echo "tidy: $(words $^) passed, 0 failed"
$(B)/tidy/%.ok: %.c $(HEADER_FILES) .clang-tidy | $(CALLS_H)
	$(call say,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)clang-tidy --quiet $(call tidy_checks,$<) $< -- $(filter-out -f% -W%,$(ALL_CFLAGS)) \
		>$(@:.ok=.log) 2>&1 || { cat $(@:.ok=.log); exit 1; }
	$(Q)touch $@

man-check:
	@mandoc -Tlint -W warning $(MAN)
	@echo "man pages: $(words $(MAN)) passed, 0 failed"

# ---- installing ---------------------------------------------------------------------------------
SBINDIR := $(PREFIX)/sbin
BINDIR := $(PREFIX)/bin
UNITDIR := $(PREFIX)/lib/systemd/system
DOCDIR := $(PREFIX)/share/doc/postern
MANDIR := $(PREFIX)/share/man
MAN := $(sort $(wildcard man/*.[1-8]))
UNITS := $(wildcard systemd/*.service)
DOCS := LICENSE README.md CHANGELOG.md SECURITY.md
man_path = $(MANDIR)/man$(patsubst .%,%,$(suffix $(1)))/$(notdir $(1))

.PHONY: install uninstall container
install: all
	install -D -t $(DESTDIR)$(SBINDIR) $(B)/postern-relayd $(B)/postern-agent $(B)/postern-natd
	install -D -t $(DESTDIR)$(BINDIR) $(B)/postern
	install -D -m 644 -t $(DESTDIR)$(DOCDIR) $(DOCS)
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)/etc/postern
	$(foreach u,$(UNITS),sed 's,/usr/local/sbin,$(SBINDIR),' $(u) \
		>$(DESTDIR)$(UNITDIR)/$(notdir $(u)) && ):
	$(foreach m,$(MAN),install -D -m 644 $(m) $(DESTDIR)$(call man_path,$(m)) && ):

uninstall:
	rm -f $(addprefix $(DESTDIR),$(SBINDIR)/postern-relayd $(SBINDIR)/postern-agent \
		$(SBINDIR)/postern-natd $(BINDIR)/postern \
		$(addprefix $(DOCDIR)/,$(DOCS)) $(addprefix $(UNITDIR)/,$(notdir $(UNITS))) \
		$(foreach m,$(MAN),$(call man_path,$(m))))
	-rmdir $(DESTDIR)$(DOCDIR)
	-rmdir --ignore-fail-on-non-empty $(DESTDIR)/etc/postern

PODMAN ?= podman $(if $(shell command -v runc),--runtime runc)
IMAGE ?= localhost/postern:$(VERSION)
container: all
	$(call say,STAGE,$(B)/container-root)
	$(Q)container/stage $(B)/container-root $(B)/postern-relayd $(B)/postern-agent $(B)/postern-natd \
		$(B)/postern
	$(Q)$(PODMAN) build -t $(IMAGE) --build-arg VERSION=$(VERSION) \
		-f container/Containerfile $(B)/container-root

.PHONY: clean
clean:
	$(Q)rm -rf build
