# nadb - a loadable SQLite extension.
#
#   make          builds ./nadb.so            make REDIS=0   without hiredis
#                 make STATIC=0  with zlib and hiredis as shared libraries
#   make deb, npm, wheel, gem, sqlpkg  packages with the library in them
#   make static   libnadb.a, for programs with SQLite in them
#   make amalgamation  nadb.c and nadb.h, for the same and to be compiled anywhere
#   make demo     a tour in SQL               make install, uninstall  prefix, DESTDIR
#   make test     all tests, once             make soak      the long ones
#   make asan     under clang's sanitizers of addresses, bounds and arithmetic
#   make tsan     under the thread sanitizer
#   make posix    all tests without what only Linux has
#   make hiredis1 the tests of Redis with hiredis 1.x
#   make redis-new  the tests of Redis with Debian 13's Redis and Valkey; root
#   make sqlite-new  all tests with a current SQLite
#   make test-bindings  the pages of docs/bindings, and a scenario, in each language
#   make peers    other people's tests over a table; NAME=keyv one of them
#   make fresh    all of it on new machines of Debian 12 and 13
#   make test-predecessor  the Python NADB's tests over our package of its name
#   make gui      DB Browser for SQLite edits a table
#   make stress   threads on fs and Redis; ARGS='--num-files 100000 --threads 8'
#   make tidy     the rules of the house      make fmt       clang-format
#   make cover    coverage report             make bench     measurements
#   make site     the pages as a web site     make pictures  what they show

# Where all of it goes: another one for another hiredis (PKG_CONFIG_PATH).
BUILD := build
# `make install` does not ask anew what the last `make` was told: settings.mk
# has it. What is said on the command line is stronger.
SETTINGS := CC CFLAGS LDFLAGS PKG_CONFIG REDIS TLS STATIC
ifeq ($(MAKECMDGOALS),install)
-include $(BUILD)/settings.mk
endif
CFLAGS ?= -O2 -g
prefix ?= /usr/local
libdir ?= $(prefix)/lib
includedir ?= $(prefix)/include
mandir ?= $(prefix)/share/man

# For backends that are built apart (core/plugin.h).
HEADERS := backend.h types.h changes.h host.h plugin.h
UTIL_HEADERS := allow.h bytes.h home.h iter.h key.h os.h status.h

# The system is asked quietly: neither a compiler nor pkg-config need be there
# when `make test` or `make demo` begins, and pkg-config never.
PKG_CONFIG ?= pkg-config
pkg = $(shell $(PKG_CONFIG) $1 2>/dev/null)
HASH := \#
# $(call compiles,HEADER,FLAGS): 1 or 0
compiles = $(shell echo '$(HASH)include <$1>' | $(CC) $(CFLAGS) $2 -E - \
    >/dev/null 2>&1 && echo 1 || echo 0)
# Redis, where hiredis is.
REDIS ?= $(call compiles,hiredis/hiredis.h,$(call pkg,--cflags hiredis))
REDIS := $(REDIS)
# TLS to Redis needs OpenSSL's headers; its library is loaded when it is used.
TLS ?= $(if $(filter 1,$(REDIS)),$(call \
    compiles,openssl/ssl.h,$(call pkg,--cflags openssl)),0)
TLS := $(TLS)
LINKED := zlib $(if $(filter 1,$(REDIS)),hiredis)

# SQLite itself is not linked: the host program brings it.
BASE_CFLAGS := -std=c11 -D_GNU_SOURCE -DNADB_REDIS=$(REDIS) \
    -DNADB_REDIS_TLS=$(TLS) -fPIC -pthread -fvisibility=hidden \
    -Wall -Wextra -Wconversion -Wshadow \
    $(foreach p,sqlite3 $(LINKED) $(if $(filter 1,$(TLS)),openssl),\
    $(call pkg,--cflags $p))

# Libraries whose archives are there, and can be part of a library, are linked
# into ours: finding and loading each takes a process that reads one key and
# ends some 3 % of its life. STATIC=0: all of them stay apart.
STATIC ?= 1
# Their names, with pkg-config or without.
names = $(or $(patsubst -l%,%,$(call pkg,--libs-only-l $1)),$(patsubst zlib,z,$1))
NAMES := $(foreach p,$(LINKED),$(call names,$p))
PLACES := $(patsubst -L%,%,$(foreach p,$(LINKED),$(call pkg,--libs-only-L $p)))
# A library of a place of its own is not the one that the compiler finds.
archive = $(or $(firstword $(wildcard $(PLACES:%=%/lib$1.a))), \
    $(if $(wildcard $(PLACES:%=%/lib$1.so)),, \
    $(filter /%,$(shell $(CC) -print-file-name=lib$1.a 2>/dev/null))))
ARCHIVES := $(foreach n,$(NAMES),$(call archive,$n))
fits = $(shell $(CC) -shared -o /dev/null -Wl,-z,defs,--exclude-libs,ALL,--whole-archive $1 \
    -Wl,--no-whole-archive -lm -pthread 2>/dev/null && echo $1)
FITTING := $(if $(filter 1,$(STATIC)),$(foreach a,$(ARCHIVES),$(call fits,$a)))
LIBS := $(foreach p,$(LINKED),$(call pkg,--libs-only-L --libs-only-other $p)) \
    $(foreach n,$(NAMES),$(or $(filter %/lib$n.a,$(FITTING)),-l$n)) \
    -Wl,--exclude-libs,ALL -lm -ldl -pthread

# The scripts that run inside a Redis server, as strings of one C file.
LUA := backends/redis/lua
SCRIPTS := $(if $(filter 1,$(REDIS)),$(BUILD)/lua/scripts.c)

CORE := $(wildcard core/*.c core/*/*.c backends/*.c) \
    $(filter-out $(if $(filter 1,$(REDIS)),,backends/redis/%), \
    $(wildcard backends/*/*.c)) $(SCRIPTS)
EXT := $(wildcard ext/*.c)
# What needs SQLite's API goes into the test library alone.
TEST_EXT := $(addprefix test/support/test_,functions.c gate.c terms.c)
UNIT_SUPPORT := $(filter-out $(TEST_EXT),$(wildcard test/support/*.c))
UNIT_NAMES := $(patsubst test/unit/%.c,%,$(wildcard test/unit/*_test.c))
C_FILES := $(wildcard core/*.[ch] core/*/*.[ch] ext/*.[ch] \
    backends/*.[ch] backends/*/*.[ch] test/*/*.[ch] test/bindings/*/*.[ch] \
    test/plugins/*/*.[ch] examples/*/*.[ch])

# test/plugins has a nadb/plugin.h for unit tests that include a backend.
TEST := -DNADB_TEST -DNADB_DEBUG -Itest/plugins
# clang's sanitizers find more than gcc's: integers that lose bits or change
# their sign, bounds of what is local. The fuzz targets have the same.
ASAN := -O1 $(strip $(file < test/support/sanitize.txt)) -shared-libasan
# Without what only Linux has: core/util/os_plain.c.
POSIX := -DNADB_POSIX -U_GNU_SOURCE -D_XOPEN_SOURCE=700
TSAN := -DNADB_TSAN -O1 -fsanitize=thread -fno-optimize-sibling-calls -fno-omit-frame-pointer
COVER := -O0 --coverage

# With -DSQLITE_CORE there is no SQLite to be loaded by: a library to be linked.
all: $(if $(findstring -DSQLITE_CORE,$(CFLAGS)),static,$(BUILD)/nadb.so nadb.so)
	@$(file >$(BUILD)/settings.mk,$(foreach v,$(SETTINGS),$(call setting,$v)))

# A line that sets the variable, with a line end behind it.
define setting
$1 := $(subst $$,$$$$,$($1))

endef

nadb.so: $(BUILD)/nadb.so
	ln -sf $(BUILD)/nadb.so $@

# Objects depend on this file, which changes when the way to compile does.
CONFIG := $(CC) $(CFLAGS) $(BASE_CFLAGS) $(LIBS)
$(BUILD)/config: FORCE
	@mkdir -p $(@D)
	@echo '$(CONFIG)' | cmp -s - $@ || echo '$(CONFIG)' > $@

$(BUILD)/lua/scripts.c: backends/redis/script.h $(LUA)/embed.awk \
    $(wildcard $(LUA)/*.lua $(LUA)/lib/*.lua)
	@mkdir -p $(@D)
	awk -f $(LUA)/embed.awk $< $(wildcard $(LUA)/*.lua) > $@.new
	mv $@.new $@

# $(call objects,DIR,SOURCES)
objects = $(patsubst %.c,$1/obj/%.o,$2)

# $(call compile,DIR,FLAGS): how DIR/obj/X.o is made of X.c
define compile
$1/obj/%.o: %.c $(BUILD)/config
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(BASE_CFLAGS) $2 -MMD -MP -c -o $$@ $$<
endef

# $(call library,DIR,SOURCES,FLAGS)
define library
$(call compile,$1,$3)
$1/nadb.so: $(call objects,$1,$2)
	$$(CC) -shared $$(CFLAGS) $3 -Wl,-O1,-z,noseparate-code \
	    -Wl,-soname,nadb.so -o $$@ $$^ $$(LDFLAGS) $$(LIBS)
-include $(patsubst %.o,%.d,$(call objects,$1,$2))
endef

# $(call variant,DIR,UNIT_DIR,FLAGS): a test library and the unit tests
define variant
$(call library,$1,$(CORE) $(EXT) $(UNIT_SUPPORT) $(TEST_EXT),$(TEST) $3)
$1/unit.a: $(call objects,$1,$(CORE) $(UNIT_SUPPORT))
	@rm -f $$@
	$$(AR) rcs $$@ $$^
$2/%: $1/obj/test/unit/%.o $1/unit.a
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $3 -o $$@ $$^ $$(LDFLAGS) $$(LIBS)
-include $(wildcard $1/obj/test/unit/*.d)
.PRECIOUS: $1/obj/test/unit/%.o
$1/all: $1/nadb.so $(addprefix $2/,$(UNIT_NAMES))
.PHONY: $1/all
endef

$(BUILD)/nadb.so: LDFLAGS += -Wl,-z,defs
$(eval $(call library,$(BUILD),$(CORE) $(EXT),))

# For programs that have SQLite and this in them: no symbol but the entry point.
$(eval $(call compile,$(BUILD)/static,-DSQLITE_CORE))
$(BUILD)/libnadb.a: $(call objects,$(BUILD)/static,$(CORE) $(EXT))
	$(CC) -r -nostdlib -o $(BUILD)/static/nadb.o $^
	objcopy --localize-hidden $(BUILD)/static/nadb.o
	@rm -f $@
	$(AR) rcs $@ $(BUILD)/static/nadb.o
-include $(wildcard $(BUILD)/static/obj/*/*.d $(BUILD)/static/obj/*/*/*.d)

static: $(BUILD)/libnadb.a

$(eval $(call variant,$(BUILD)/test,$(BUILD)/unit,))
$(BUILD)/asan/%: override CC := $(filter ccache,$(CC)) clang
$(BUILD)/asan/%: LDFLAGS += -Wl,-rpath,$(dir $(shell clang \
    -print-file-name=libclang_rt.asan-$(shell uname -m).so))
$(eval $(call variant,$(BUILD)/asan,$(BUILD)/asan/unit,$(ASAN)))
$(eval $(call variant,$(BUILD)/tsan,$(BUILD)/tsan/unit,$(TSAN)))
$(eval $(call variant,$(BUILD)/posix,$(BUILD)/posix/unit,$(POSIX)))
$(BUILD)/posix/%: LDFLAGS += -Wl,-z,nodelete
# The test library with os_plain.c in the place of os_linux.c, and no more than
# that compiled anew.
PLAIN := $(BUILD)/posix/obj/core/util/os_plain.o $(filter-out %/os_linux.o \
    %/os_plain.o,$(call objects,$(BUILD)/test,\
    $(CORE) $(EXT) $(UNIT_SUPPORT) $(TEST_EXT)))
$(BUILD)/plain/nadb.so: $(PLAIN)
	@mkdir -p $(@D)
	$(CC) -shared $(CFLAGS) -Wl,-soname,nadb.so -Wl,-z,nodelete -o $@ $^ \
	    $(LDFLAGS) $(LIBS)
$(eval $(call variant,$(BUILD)/cover,$(BUILD)/cover/unit,$(COVER)))

# What tidy asks for: no warning, as the library and as the test library.
STRICT_TEST := $(CORE) $(EXT) $(wildcard test/support/*.c test/unit/*.c)
$(BUILD)/strict/%: CFLAGS := -O2 -Werror
$(BUILD)/strict/clang/%: CFLAGS := -fsyntax-only -Werror
$(BUILD)/strict/clang-test/%: CFLAGS := -fsyntax-only -Werror
$(BUILD)/strict/gcc/%: CC := gcc
$(BUILD)/strict/gcc-test/%: CC := gcc
$(BUILD)/strict/clang/%: CC := clang
$(BUILD)/strict/clang-test/%: CC := clang
$(foreach cc,gcc clang,$(eval $(call compile,$(BUILD)/strict/$(cc),)) \
    $(eval $(call compile,$(BUILD)/strict/$(cc)-test,$(TEST))) \
    $(eval strict-$(cc)-test: \
    $(call objects,$(BUILD)/strict/$(cc)-test,$(STRICT_TEST))) \
    $(eval strict-$(cc): strict-$(cc)-test \
    $(call objects,$(BUILD)/strict/$(cc),$(CORE) $(EXT))))
-include $(wildcard $(BUILD)/strict/*/obj/*/*.d $(BUILD)/strict/*/obj/*/*/*.d)

demo:
	bash sql/demo.sh

bench:
	bash test/bench/run.sh

test:
	bash test/run.sh test

soak:
	NADB_SOAK=1 bash test/run.sh test

# The Redis suites with hiredis 1.x, where the system has 0.14.
hiredis1:
	bash test/support/hiredis1.sh

# The Redis suites with newer servers.
redis-new:
	bash test/support/redis_new.sh

# The library, for targets that begin on a machine with nothing but make: packages
# first, and then another make, as this one has looked for them already.
built:
	@bash test/support/need.sh gcc make pkg-config libc6-dev libsqlite3-dev \
	    zlib1g-dev python3 sqlite3
	@$(MAKE) -s $(BUILD)/nadb.so

# All tests with a current SQLite.
sqlite-new:
	bash test/support/sqlite_new.sh

# make, make demo, make test and more on machines with nothing on them; root.
fresh:
	bash test/fresh/machine.sh

# Another program edits a table, on a display that nobody sees.
gui: built
	bash test/gui/dbbrowser.sh $(BUILD)/nadb.so

# The pages as a web site, with search; prints its folder, last.
site:
	@bash test/support/need.sh python3 mkdocs mkdocs-material
	@python3 docs/site.py

# Pictures in docs/: drawn from lists and from numbers, recorded, photographed.
pictures: $(BUILD)/nadb.so
	python3 docs/pictures.py
	python3 test/bench/plot.py
	python3 docs/record.py
	NADB_SHOT=docs/db-browser.png bash test/gui/dbbrowser.sh $<

# Drivers and ORMs of other languages, which it installs; NAME selects.
test-bindings: built
	bash test/bindings/run.sh $(BUILD)/nadb.so $(NAME)

# Other people's tests, which it fetches (test/peers/README.md).
peers: built
	bash test/peers/run.sh $(BUILD)/nadb.so $(NAME)

# The predecessor's stress tool has the same switches (test/bench/stress.py).
LOADS := import sqlite3; sqlite3.connect("").enable_load_extension(1)
stress: built
	@for python in python3 /usr/bin/python3; do \
	    $$python -c '$(LOADS)' 2>/dev/null || continue; \
	    exec $$python test/bench/stress.py $(BUILD)/nadb.so $(ARGS); \
	done; echo "no python3 here loads extensions"; exit 1

# What the predecessor tests itself with, over bindings/python; it is cloned, or
# NADB_PREDECESSOR is where a checkout of it is.
test-predecessor: built
	bash test/peers/python-nadb/run.sh $(BUILD)/nadb.so

asan tsan posix:
	bash test/run.sh $@

cover:
	bash test/run.sh cover

tidy:
	bash test/support/need.sh python3 gcc clang clang-format lua5.1
	python3 test/tidy/tidy.py

fmt:
	clang-format -i $(C_FILES)

# ldconfig knows files named lib* only, by their soname, which is nadb.so: then
# `.load nadb` finds it anywhere. `.load mod_nadb` finds an empty library of that
# name, which has the other one loaded: two copies would not know of each other.
# A package runs ldconfig when it is installed.
install: $(BUILD)/nadb.so $(BUILD)/mod_nadb.so install-headers
	install -d $(DESTDIR)$(libdir)/pkgconfig $(DESTDIR)$(mandir)/man7
	install -m 755 $(BUILD)/nadb.so $(DESTDIR)$(libdir)/libnadb.so
	ln -sf libnadb.so $(DESTDIR)$(libdir)/nadb.so
	install -m 755 $(BUILD)/mod_nadb.so $(DESTDIR)$(libdir)/libmod_nadb.so
	ln -sf libmod_nadb.so $(DESTDIR)$(libdir)/mod_nadb.so
	install -m 644 docs/nadb.7 $(DESTDIR)$(mandir)/man7
	@printf '%s\n' $(PC)$(VERSION) >$(DESTDIR)$(libdir)/pkgconfig/nadb.pc
	@$(FIND_LIBRARIES)

uninstall:
	rm -f $(INSTALLED:%=$(DESTDIR)$(libdir)/%) \
	    $(DESTDIR)$(mandir)/man7/nadb.7
	rm -rf $(DESTDIR)$(includedir)/nadb
	@$(FIND_LIBRARIES)

# Packages. Each prints the file that it made, last.
deb: $(BUILD)/stripped/deb/nadb.so
npm gem: $(BUILD)/stripped/nadb.so
deb npm gem:
	@bash packaging/$@.sh $< $(VERSION) $(BUILD)

wheel: $(BUILD)/stripped/nadb.so
	@bash test/support/need.sh python3
	@python3 packaging/wheel.py $< $(VERSION) $(BUILD)

# REPOSITORY: where its releases are, such as https://github.com/NAME/nadb
sqlpkg: $(BUILD)/stripped/nadb.so
	@bash test/support/need.sh python3
	@python3 packaging/sqlpkg.py $< $(VERSION) $(BUILD) $(REPOSITORY)

# AMALGAMATED: files that are in it beside the library's own.
amalgamation: $(BUILD)/lua/scripts.c
	@bash test/support/need.sh python3
	@python3 packaging/amalgamation.py $< $(VERSION) $(BUILD)/amalgamation \
	    $(AMALGAMATED)

$(BUILD)/stripped/%.so: $(BUILD)/%.so
	@mkdir -p $(@D)
	@strip --strip-unneeded -o $@ $<

# Debian's zlib is everywhere and mended there; hiredis has another name in each
# release, and stays inside.
$(BUILD)/deb/nadb.so: $(BUILD)/nadb.so
	@mkdir -p $(@D)
	@$(CC) -shared $(CFLAGS) -Wl,-O1,-z,defs -Wl,-soname,nadb.so -o $@ \
	    $(call objects,$(BUILD),$(CORE) $(EXT)) $(LDFLAGS) \
	    $(patsubst %/libz.a,-lz,$(LIBS))

INSTALLED := libnadb.so nadb.so libmod_nadb.so mod_nadb.so pkgconfig/nadb.pc
FIND_LIBRARIES = [ -n "$(DESTDIR)" ] || ldconfig 2>/dev/null || \
    PATH=$$PATH:/sbin:/usr/sbin ldconfig 2>/dev/null || true

VERSION = $(shell sed -n 's/^.define NADB_VERSION "\(.*\)"$$/\1/p' core/nadb.h)
# Headers are for backends that are built apart; there is nothing to link with.
PC := 'prefix=$(prefix)' 'libdir=$(libdir)' 'includedir=$(includedir)' '' \
    'Name: nadb' 'Description: a key-value store as a virtual table of SQLite' \
    'Cflags: -I$${includedir}' 'Version: '

$(BUILD)/mod_nadb.so: $(BUILD)/nadb.so
	$(CC) -shared $(CFLAGS) -Wl,-soname,mod_nadb.so -Wl,--no-as-needed \
	    -o $@ -x c /dev/null -x none $(BUILD)/nadb.so $(LDFLAGS)

install-headers:
	install -d $(DESTDIR)$(includedir)/nadb/util
	install -m 644 $(HEADERS:%=core/%) $(DESTDIR)$(includedir)/nadb
	install -m 644 $(UTIL_HEADERS:%=core/util/%) \
	    $(DESTDIR)$(includedir)/nadb/util

clean:
	rm -rf $(BUILD) nadb.so

FORCE:

.PHONY: all static built demo test soak stress hiredis1 redis-new sqlite-new fresh gui test-bindings peers asan tsan \
    posix test-predecessor tidy fmt cover bench site pictures install install-headers \
    uninstall deb npm wheel gem sqlpkg amalgamation clean \
    strict-gcc strict-gcc-test strict-clang strict-clang-test FORCE
