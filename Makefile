# SPDX-License-Identifier: Apache-2.0
# Postern. One Makefile, no configure step. `make help` lists what there is to do.

VERSION := 0.1.0
PREFIX ?= /usr/local
B ?= build
CC ?= cc

# ---- dependencies -------------------------------------------------------------------------------
# BoringSSL is Debian's android-libboringssl-dev, or any upstream build: make BORINGSSL=/prefix,
# with include/openssl/ and lib/libssl.a (or .so) below it.
PKGS := liburing libcares yaml-0.1 jansson libseccomp
BUILD_PACKAGES := gcc make pkg-config android-libboringssl-dev liburing-dev libc-ares-dev \
	libyaml-dev libjansson-dev libseccomp-dev
CHECK_PACKAGES := libcmocka-dev python3
DEMO_PACKAGES := iproute2 nftables nginx-light curl openssl procps python3
TEST_PACKAGES := $(CHECK_PACKAGES) $(DEMO_PACKAGES) libnginx-mod-stream clang clang-format clang-tidy \
	libclang-rt-14-dev openssh-server openssh-client iperf3 sslscan tshark chromium podman runc \
	systemd mandoc
BENCH_PACKAGES := $(DEMO_PACKAGES) haproxy libnginx-mod-stream syncthing-relaysrv

ifdef BORINGSSL
SSL_CFLAGS := -isystem $(BORINGSSL)/include
SSL_LIBS := -L$(BORINGSSL)/lib -Wl,-rpath,$(BORINGSSL)/lib -lssl -lcrypto -lstdc++
else
SSL_DIR := $(dir $(firstword $(wildcard /usr/lib/*/android/libssl.so)))
SSL_CFLAGS := -isystem /usr/include/android
SSL_LIBS := -L$(SSL_DIR) -Wl,-rpath,$(SSL_DIR:/=) -lssl -lcrypto
endif

# ---- sources, by layer: core <- parsers <- engines <- programs (make layers checks it) ------------
CORE_SRC := core/addr.c core/buffers.c core/conf.c core/conf_bind.c core/isolation.c core/log.c \
	core/ring.c core/ring_epoll.c core/ring_uring.c core/timer.c
PARSE_SRC := core/parse/clienthello.c core/parse/envelope.c core/parse/http.c core/parse/proxy.c \
	core/parse/reason.c core/parse/socks5.c core/parse/wire.c
ENGINE_SRC := core/engine/identity.c core/engine/tls.c relay/rendezvous.c
RELAYD_SRC := relay/config.c relay/main.c
AGENT_LIB_SRC := agent/config.c
AGENTD_SRC := agent/main.c
CTL_SRC := ctl/main.c


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
ALL_CFLAGS := -std=gnu11 -g $(OPT) $(HARDEN) $(WARN) $(if $(WERROR),-Werror) -pthread -I. $(SSL_CFLAGS) \
	-DPOSTERN_VERSION='"$(VERSION)"' $(CFLAGS)
ALL_LDFLAGS := -pie -pthread -Wl,-z,relro,-z,now $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)
LIBS := $(SSL_LIBS) -luring -lcares -lyaml -ljansson -lseccomp

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' '$(1)' '$(2)')

.PHONY: all help deps check test demo bench layers format tidy install clean
.DELETE_ON_ERROR:
all: $(B)/postern-relayd $(B)/postern-agent $(B)/postern

objs = $(patsubst %.c,$(B)/obj/%.o,$(1))
SHARED_OBJ := $(call objs,$(CORE_SRC) $(PARSE_SRC) $(filter core/%,$(ENGINE_SRC)))
AGENT_LIB_OBJ := $(call objs,$(AGENT_LIB_SRC) $(filter agent/%,$(ENGINE_SRC)))
RELAY_LIB_OBJ := $(call objs,$(filter-out relay/main.c,$(RELAYD_SRC)) $(filter relay/%,$(ENGINE_SRC)))

$(B)/obj/%.o: %.c | tools-present
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
$(B)/postern: $(call objs,$(CTL_SRC)) $(AGENT_LIB_OBJ) $(RELAY_LIB_OBJ) $(SHARED_OBJ)
	$(call link)

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

# ---- unit and simulation tests: each names what it links, "* links: core/timer.c", in its head ----
links = $(shell sed -n 's,^ \* links: ,,p' $(1))
UNIT_SRC := $(sort $(wildcard tests/unit/*_test.c) $(wildcard tests/sim/*_test.c) $(wildcard tests/platform/*_test.c))
UNIT_BIN := $(patsubst tests/%.c,$(B)/tests/%,$(UNIT_SRC))

define unit_rule
$(patsubst tests/%.c,$(B)/tests/%,$(1)): $(call objs,$(1) $(call links,$(1)))
	$$(call link,-lcmocka)
endef
$(foreach t,$(UNIT_SRC),$(eval $(call unit_rule,$(t))))

.PHONY: units
units: $(UNIT_BIN)
	$(Q)tests/run-units $(UNIT_BIN)

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
	$(Q)$$(FUZZ_MAKE) build/fuzz/fuzz/$(1)
	$(Q)mkdir -p build/fuzz/corpus/$(1)
	build/fuzz/fuzz/$(1) -max_total_time=$$(T) -rss_limit_mb=1024 -timeout=5 build/fuzz/corpus/$(1) fuzz/seeds/$(1)
endef
$(foreach f,$(FUZZ_NAMES),$(eval $(call fuzz_rule,$(f))))

.PHONY: fuzz-seeds $(addprefix fuzz-,$(FUZZ_NAMES))
fuzz-seeds:
	$(Q)$(FUZZ_MAKE) $(addprefix build/fuzz/fuzz/,$(FUZZ_NAMES))
	$(Q)for f in $(FUZZ_NAMES); do \
		echo "  SEEDS $$f"; build/fuzz/fuzz/$$f -runs=0 fuzz/seeds/$$f >build/fuzz/$$f.log 2>&1 \
		|| { tail -40 build/fuzz/$$f.log; exit 1; }; done

.PHONY: tools-present
tools-present:

clean:
	$(Q)rm -rf build
