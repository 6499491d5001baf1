# SPDX-License-Identifier: Apache-2.0
# Postern. One Makefile, no configure step. `make help` lists what there is to do.
#
#: make             build the four programs into build/
#: make demo        see it work: two homes behind NAT and a relay on this machine, narrated
#: make demo-home   see a relay at home: a router, its ports mapped, switched off and on again
#: make test        everything: both compilers, sanitizers, both engines, real topologies
#: make check       the quick part of it, in under a minute; installs nothing
#: make deps        install what the build needs (FOR=check|demo|demo-home|test|bench: what those need)
#: make bench       measure throughput, sessions and memory, beside other relays
#: make install     PREFIX=/usr/local DESTDIR=; make uninstall takes it away again
#: make container   an image from nothing but the programs and the libraries they load
#: make units       unit and simulation tests      (ONLY='ring timer': just those)
#: make fuzz-NAME   fuzz one parser for T=60 seconds; make fuzz-seeds replays the seeds of all
#: make tidy        static analysis; make format rewrites, make format-check only looks
#: make layers      prove that includes go core <- parse <- engine <- program
#: make clean       remove build/
#:
#: Variables: BORINGSSL=/prefix, CC=clang, SANITIZE=address,undefined, WERROR=1, OPT=-O2, V=1, and
#: B=build/other for a build of its own beside the first.

VERSION := 0.1.0
PREFIX ?= /usr/local
B ?= build
CC ?= cc
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

# ---- dependencies -------------------------------------------------------------------------------
# BoringSSL is Debian's android-libboringssl-dev, or any upstream build: make BORINGSSL=/prefix,
# with include/openssl/ and lib/libssl.a (or .so) below it. What each set is for stands in tests/deps.
BUILD_PACKAGES := $(if $(findstring clang,$(CC)),clang,gcc) libc6-dev make \
	$(if $(BORINGSSL),libstdc++-12-dev,android-libboringssl-dev) liburing-dev libc-ares-dev \
	libyaml-dev libjansson-dev libseccomp-dev uthash-dev libminiupnpc-dev libnatpmp-dev
CHECK_PACKAGES := libcmocka-dev python3
DEMO_PACKAGES := iproute2 nftables nginx-light curl openssl procps python3
DEMO_HOME_PACKAGES := $(DEMO_PACKAGES) miniupnpd-nftables
TEST_PACKAGES := $(CHECK_PACKAGES) $(DEMO_PACKAGES) libnginx-mod-stream gcc clang \
	clang-format clang-tidy libclang-rt-14-dev openssh-server openssh-client iperf3 sslscan \
	tshark chromium podman runc systemd mandoc coturn miniupnpd-nftables miniupnpc natpmpc libnice-dev pkg-config
BENCH_PACKAGES := $(DEMO_PACKAGES) haproxy libnginx-mod-stream syncthing-relaysrv coturn \
	miniupnpd-nftables
# A header that only the package brings, to tell at once what a machine lacks.
HEADERS := liburing.h=liburing-dev ares.h=libc-ares-dev yaml.h=libyaml-dev \
	jansson.h=libjansson-dev seccomp.h=libseccomp-dev uthash.h=uthash-dev \
	miniupnpc/miniupnpc.h=libminiupnpc-dev natpmp.h=libnatpmp-dev \
	openssl/is_boringssl.h=android-libboringssl-dev

ifdef BORINGSSL
SSL_CFLAGS := -isystem $(BORINGSSL)/include
SSL_LIBS := -L$(BORINGSSL)/lib -Wl,-rpath,$(BORINGSSL)/lib -lssl -lcrypto -lstdc++
else
SSL_DIR := $(patsubst %/libssl.so,%,$(firstword \
	$(wildcard /usr/lib/$(shell uname -m)-*/android/libssl.so /usr/lib/*/android/libssl.so)))
SSL_CFLAGS := -isystem /usr/include/android
SSL_LIBS := -L$(SSL_DIR) -Wl,-rpath,$(SSL_DIR) -lssl -lcrypto
endif

# ---- sources, by layer: core <- parsers <- engines <- programs (make layers checks it) ------------
CORE_SRC := \
	core/addr.c core/buffers.c core/conf.c core/conf_bind.c core/conf_check.c core/conf_diff.c \
	core/conf_error.c core/conf_json.c core/conf_merge.c core/conf_value.c core/conf_yaml.c \
	core/confine.c core/datagrams.c core/feed.c core/file.c core/isolation.c core/journal.c \
	core/lines.c core/log.c core/notify.c core/options.c core/passing.c core/resolve.c \
	core/ring.c core/ring_epoll.c core/ring_uring.c core/slab.c core/timer.c
PARSE_SRC := core/parse/clienthello.c core/parse/envelope.c core/parse/http.c \
	core/parse/jsonrpc.c core/parse/proxy.c core/parse/reason.c core/parse/socks5.c \
	core/parse/text.c core/parse/wire.c natpmp/natpmp.c natpmp/pcp.c stun/message.c \
	upnp/location.c upnp/reply.c upnp/ssdp.c
ENGINE_SRC := agent/backoff.c agent/candidates.c agent/inner.c agent/link_state.c \
	agent/revoked.c core/engine/calls.c core/engine/certificate.c \
	core/engine/changes.c core/engine/config_calls.c core/engine/expiry.c \
	core/engine/identity.c core/engine/identity_relay.c core/engine/identity_verify.c \
	core/engine/nat_view.c core/engine/records.c core/engine/records_calls.c \
	core/engine/tls.c natpmp/epoch.c natpmp/pcp_answers.c natpmp/pcp_client.c \
	portmap/asking.c portmap/driver.c portmap/engine.c portmap/mapping.c \
	portmap/paths.c portmap/truth.c relay/metrics_text.c relay/policy.c \
	relay/policy_compile.c relay/policy_index.c relay/policy_source.c \
	relay/policy_time.c relay/rendezvous.c relay/shaper.c relay/shaper_tables.c \
	relay/shaper_tick.c relay/site.c relay/sources.c stun/discovery.c stun/findings.c \
	stun/lifetime.c stun/limits.c stun/server.c stun/transaction.c stun/verdict.c \
	upnp/messages.c upnp/responders.c
RELAYD_SRC := \
	relay/change.c relay/config.c relay/config_local.c relay/config_ops.c \
	relay/config_policy.c relay/config_stun.c relay/conn.c relay/conn_io.c \
	relay/console.c relay/control.c relay/doors.c relay/drain.c relay/enforce.c \
	relay/expire.c relay/flow.c relay/frames.c relay/front.c relay/gather.c \
	relay/keeper.c relay/keeper_confine.c relay/keeper_serve.c relay/leg.c \
	relay/link.c relay/listener.c relay/load.c relay/local.c relay/main.c \
	relay/methods_act.c relay/methods_policy.c relay/methods_see.c relay/metrics.c \
	relay/nat.c relay/near.c relay/pace.c relay/public.c relay/records.c relay/relay.c \
	relay/report.c relay/session.c relay/snapshot.c relay/splicer.c relay/stun.c \
	relay/stun_stream.c relay/udp.c relay/web.c relay/worker.c
AGENT_LIB_SRC := \
	agent/agent.c agent/apply.c agent/bulk.c agent/channel.c agent/config.c \
	agent/connector.c agent/control.c agent/dial.c agent/entrance.c agent/expire.c \
	agent/http_proxy.c agent/leg.c agent/legs.c agent/link.c agent/links.c \
	agent/listener.c agent/methods.c agent/nat.c agent/publish.c agent/request.c \
	agent/self.c agent/session.c agent/socks5.c agent/state.c agent/stdio.c \
	agent/stream.c
AGENTD_SRC := agent/main.c
# What programs share of driving an engine, sockets and all.
SHARED_SRC := core/program/callers.c core/program/expiring.c
# A STUN client's sockets.
STUN_LIB_SRC := stun/client.c stun/round.c stun/stream.c stun/survey.c
# The NAT helper: what drives each protocol, and the program around them.
NATD_LIB_SRC := natpmp/announce_listener.c natpmp/driver_natpmp.c natpmp/driver_pcp.c \
	natpmp/gateway_socket.c natpmp/natpmp_gateway.c natpmp/natpmp_lane.c portmap/config.c \
	portmap/config_load.c portmap/control.c portmap/hook.c portmap/launcher.c \
	portmap/launcher_main.c portmap/natd.c portmap/natd_drivers.c portmap/netlink.c \
	portmap/network.c portmap/nonces.c portmap/outside.c portmap/report.c \
	portmap/rtnetlink.c portmap/sockdiag.c portmap/verify.c portmap/visitors.c \
	upnp/channel.c upnp/driver.c upnp/exchange.c upnp/igd.c upnp/listener.c upnp/search.c \
	upnp/side.c upnp/worker.c upnp/worker_duties.c upnp/worker_inspect.c
NATD_SRC := portmap/main.c
CTL_SRC := ctl/agent_commands.c ctl/agent_list.c ctl/arguments.c ctl/bundle.c ctl/check.c \
	ctl/check_tls.c ctl/configure.c ctl/connect.c ctl/console_config.c ctl/document.c \
	ctl/door.c ctl/files.c ctl/grant.c ctl/grant_notes.c ctl/main.c ctl/nat.c \
	ctl/nat_behaviour.c ctl/nat_conclude.c ctl/nat_report.c ctl/nat_trial.c ctl/page.c \
	ctl/pki.c ctl/pki_make.c ctl/pki_show.c ctl/pki_store.c ctl/progress.c ctl/rates.c \
	ctl/records.c ctl/relay_act.c ctl/relay_line.c ctl/relay_see.c ctl/rpc.c ctl/show.c \
	ctl/show_nat.c ctl/stun.c ctl/stun_report.c ctl/top.c ctl/top_draw.c ctl/tunnel.c \
	ctl/units.c ctl/when.c

# ---- flags --------------------------------------------------------------------------------------
WARN := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wpointer-arith -Wformat=2 -Wno-unused-parameter
WERROR ?=
OPT ?= -O2
SANITIZE ?=
HARDEN := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2
ifneq ($(SANITIZE),)
HARDEN := -fPIE -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=undefined
endif
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE= -g $(OPT) $(HARDEN) $(WARN) $(if $(WERROR),-Werror) \
	-pthread -I. $(SSL_CFLAGS) -DPOSTERN_VERSION='"$(VERSION)"' $(CFLAGS)
ALL_LDFLAGS := -pie -pthread -Wl,-z,relro,-z,now,--as-needed \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)
# The shared liburing 2.3 forgets to export io_uring_register_restrictions(); its archive has it.
URING_A := $(shell $(CC) -print-file-name=liburing.a 2>/dev/null)
URING_LIB := $(if $(findstring /,$(URING_A)),-l:liburing.a,-luring)
LIBS := $(SSL_LIBS) $(URING_LIB) -lcares -lyaml -ljansson -lseccomp -lnatpmp -lminiupnpc

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' '$(1)' '$(2)')

.PHONY: all FORCE
.DELETE_ON_ERROR:
all: $(B)/postern-relayd $(B)/postern-agent $(B)/postern-natd $(B)/postern

objs = $(patsubst %.c,$(B)/obj/%.o,$(1))
SHARED_OBJ := $(call objs,$(CORE_SRC) $(PARSE_SRC) $(filter core/% stun/%,$(ENGINE_SRC)) \
	$(SHARED_SRC))
AGENT_LIB_OBJ := $(call objs,$(AGENT_LIB_SRC) $(filter agent/%,$(ENGINE_SRC)))
STUN_LIB_OBJ := $(call objs,$(STUN_LIB_SRC))
NATD_LIB_OBJ := $(call objs,$(NATD_LIB_SRC) \
	$(filter natpmp/% upnp/% portmap/%,$(ENGINE_SRC)))
RELAY_LIB_OBJ := $(call objs,$(filter-out relay/main.c,$(RELAYD_SRC)) \
	$(filter relay/%,$(ENGINE_SRC)))

# Says what is missing, and how to get it, before a compiler error would.
.PHONY: tools-present
tools-present:
	@tests/deps --headers '$(CC) $(SSL_CFLAGS) $(CFLAGS)' $(HEADERS)

# Objects depend on this file, which changes only when the compiler or its flags do.
$(B)/flags: export POSTERN_FLAGS := $(CC) $(ALL_CFLAGS)
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$$POSTERN_FLAGS" | cmp -s - $@ || printf '%s\n' "$$POSTERN_FLAGS" >$@

$(B)/obj/%.o: %.c $(B)/flags | tools-present
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

define link
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(LIBS) $(1)
endef

$(B)/postern-relayd: $(B)/obj/relay/main.o $(RELAY_LIB_OBJ) $(SHARED_OBJ)
	$(call link)
$(B)/postern-agent: $(call objs,$(AGENTD_SRC)) $(AGENT_LIB_OBJ) $(SHARED_OBJ)
	$(call link)
$(B)/postern-natd: $(call objs,$(NATD_SRC)) $(NATD_LIB_OBJ) $(STUN_LIB_OBJ) $(SHARED_OBJ)
	$(call link,-lminiupnpc -lnatpmp)
$(B)/postern: $(call objs,$(CTL_SRC)) $(AGENT_LIB_OBJ) $(RELAY_LIB_OBJ) $(NATD_LIB_OBJ) \
		$(STUN_LIB_OBJ) $(SHARED_OBJ)
	$(call link)

-include $(wildcard $(B)/obj/*/*.d $(B)/obj/*/*/*.d)

# ---- unit and simulation tests: each names what it links, "* links: core/timer.c", in its head ----
links = $(shell sed -n 's,^ \* links: ,,p' $(1))
UNIT_SRC := $(sort $(wildcard tests/unit/*_test.c tests/sim/*_test.c tests/platform/*_test.c))
UNIT_BIN := $(patsubst tests/%.c,$(B)/tests/%,$(UNIT_SRC))

define unit_rule
$(patsubst tests/%.c,$(B)/tests/%,$(1)): $(call objs,$(1) $(call links,$(1)))
	$$(call link,-lcmocka)
endef
$(foreach t,$(UNIT_SRC),$(eval $(call unit_rule,$(t))))

ONLY ?=
UNIT_RUN := $(if $(ONLY), \
	$(filter $(addprefix %/,$(addsuffix _test,$(ONLY))),$(UNIT_BIN)),$(UNIT_BIN))

.PHONY: units
units: $(UNIT_RUN)
	$(Q)tests/run-units $(UNIT_RUN)

# ---- fuzz targets, the same way: make fuzz-NAME T=60, seeds in fuzz/seeds/NAME/ -------------------
FUZZ_SRC := $(sort $(wildcard fuzz/*_fuzz.c))
FUZZ_NAMES := $(patsubst fuzz/%_fuzz.c,%,$(FUZZ_SRC))
FUZZ_MAKE = $(MAKE) --no-print-directory B=build/fuzz CC=clang SANITIZE=address,undefined \
	CFLAGS='-fsanitize=fuzzer-no-link -DFUZZING' LDFLAGS='-fsanitize=fuzzer'
T ?= 60

define fuzz_rule
$(B)/fuzz/$(1): $(call objs,fuzz/$(1)_fuzz.c $(call links,fuzz/$(1)_fuzz.c))
	$$(call link)
fuzz-$(1):
	+$(Q)$$(FUZZ_MAKE) build/fuzz/fuzz/$(1)
	$(Q)mkdir -p build/fuzz/corpus/$(1)
	build/fuzz/fuzz/$(1) -max_total_time=$$(T) -rss_limit_mb=1024 -timeout=5 \
		build/fuzz/corpus/$(1) fuzz/seeds/$(1)
endef
$(foreach f,$(FUZZ_NAMES),$(eval $(call fuzz_rule,$(f))))

.PHONY: fuzz-seeds $(addprefix fuzz-,$(FUZZ_NAMES))
fuzz-seeds:
	+$(Q)$(FUZZ_MAKE) $(addprefix build/fuzz/fuzz/,$(FUZZ_NAMES))
	$(Q)tests/run-seeds build/fuzz $(FUZZ_NAMES)

# ---- the load generator of `make bench` -----------------------------------------------------------
LOAD_SRC := $(sort $(wildcard bench/load*.c))
$(B)/bench/load: $(call objs,$(LOAD_SRC)) $(SHARED_OBJ)
	$(call link)

# How long decisions take under large policies.
$(B)/bench/policy: $(call objs,bench/policy.c $(call links,bench/policy.c))
	$(call link)

# ---- what people type ---------------------------------------------------------------------------
# A target that may install packages builds in a make of its own, which then sees what is new.
SUBMAKE = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))
FOR ?= build
FOR_UPPER := $(shell echo $(FOR) | tr a-z- A-Z_)

.PHONY: help deps check test demo demo-home bench
help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

deps:
	@tests/deps build $(BUILD_PACKAGES)
	@$(if $(filter build,$(FOR)),,tests/deps $(FOR) $($(FOR_UPPER)_PACKAGES))

check:
	@tests/deps --check build $(BUILD_PACKAGES)
	@tests/deps --check check $(CHECK_PACKAGES)
	+$(Q)$(SUBMAKE) all $(UNIT_BIN)
	$(Q)$(MAKE) --no-print-directory layers format-check units

test:
	@tests/deps build $(BUILD_PACKAGES)
	@tests/deps test $(TEST_PACKAGES)
	@MAKEFLAGS= JOBS=$(JOBS) tests/run-all $(MAKEOVERRIDES)

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
	+$(Q)$(SUBMAKE) all $(B)/bench/load $(B)/bench/policy
	@bench/run --build $(B)
	@bench/home --build $(B)

# ---- what keeps the code as it is ----------------------------------------------------------------
PROGRAM_SRC := $(SHARED_SRC) $(RELAYD_SRC) $(AGENT_LIB_SRC) $(AGENTD_SRC) $(STUN_LIB_SRC) \
	$(NATD_LIB_SRC) $(NATD_SRC) $(CTL_SRC)
ALL_SRC := $(sort $(CORE_SRC) $(PARSE_SRC) $(ENGINE_SRC) $(PROGRAM_SRC))
C_FILES := $(wildcard $(foreach d,core core/parse core/engine core/program relay agent natpmp upnp \
	stun portmap ctl tests/unit tests/sim tests/platform tests/support fuzz bench, \
	$(d)/*.c $(d)/*.h))
HEADER_FILES := $(filter %.h,$(C_FILES))

.PHONY: layers format format-check tidy man-check
layers:
	@tests/layers --core $(CORE_SRC) --parse $(PARSE_SRC) --engine $(ENGINE_SRC) \
		--program $(PROGRAM_SRC)

format:
	clang-format -i $(C_FILES)
format-check:
	@tests/check-format $(C_FILES)

# The analyser does not understand how uthash takes an element out, and sees it used after free().
UTHASH_CHECKS := --checks=-clang-analyzer-unix.Malloc,-clang-analyzer-core.NullDereference
tidy_checks = $(if $(shell grep -l '<uthash.h>' $(1)),$(UTHASH_CHECKS))
tidy: $(patsubst %.c,$(B)/tidy/%.ok,$(ALL_SRC))
	@echo "tidy: $(words $^) passed, 0 failed"
$(B)/tidy/%.ok: %.c $(HEADER_FILES) .clang-tidy
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
	install -d $(DESTDIR)$(UNITDIR)
	$(foreach u,$(UNITS),sed 's,/usr/local/sbin,$(SBINDIR),' $(u) \
		>$(DESTDIR)$(UNITDIR)/$(notdir $(u)) && ):
	$(foreach m,$(MAN),install -D -m 644 $(m) $(DESTDIR)$(call man_path,$(m)) && ):

uninstall:
	rm -f $(addprefix $(DESTDIR),$(SBINDIR)/postern-relayd $(SBINDIR)/postern-agent \
		$(SBINDIR)/postern-natd $(BINDIR)/postern \
		$(addprefix $(DOCDIR)/,$(DOCS)) $(addprefix $(UNITDIR)/,$(notdir $(UNITS))) \
		$(foreach m,$(MAN),$(call man_path,$(m))))
	-rmdir $(DESTDIR)$(DOCDIR)

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
