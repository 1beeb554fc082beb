# nadb - a loadable SQLite extension.
#
#   make          builds ./nadb.so            make REDIS=0   without hiredis
#                 make STATIC=0  with zlib and hiredis as shared libraries
#   make demo     a tour in SQL               make install   prefix, DESTDIR
#   make test     all tests, once             make soak      the long ones
#   make asan     under address and undefined-behaviour sanitizers
#   make tsan     under the thread sanitizer
#   make tidy     the rules of the house      make fmt       clang-format
#   make cover    coverage report             make bench     measurements

CFLAGS ?= -O2 -g
prefix ?= /usr/local
libdir ?= $(prefix)/lib
PKG_CONFIG ?= pkg-config
REDIS ?= $(if $(wildcard backends/redis/*.c),1,0)
# TLS to Redis needs OpenSSL's headers; its library is loaded when it is used.
ifndef TLS
TLS := $(if $(filter 1,$(REDIS)),$(shell $(PKG_CONFIG) --exists openssl \
    && echo 1 || echo 0),0)
endif
PACKAGES := sqlite3 zlib $(if $(filter 1,$(REDIS)),hiredis) \
    $(if $(filter 1,$(TLS)),openssl)
LINKED := zlib $(if $(filter 1,$(REDIS)),hiredis)

# SQLite itself is not linked: the host program brings it.
BASE_CFLAGS := -std=c11 -D_GNU_SOURCE -DNADB_REDIS=$(REDIS) \
    -DNADB_REDIS_TLS=$(TLS) -fPIC -pthread -fvisibility=hidden \
    -Wall -Wextra -Wconversion -Wshadow \
    $(shell $(PKG_CONFIG) --cflags $(PACKAGES))

# Libraries whose archives are there, and can be part of a library, are linked
# into ours: finding and loading each takes a process that reads one key and
# ends some 3 % of its life. STATIC=0: all of them stay apart.
STATIC ?= 1
NAMES := $(patsubst -l%,%,$(shell $(PKG_CONFIG) --libs-only-l $(LINKED)))
ARCHIVES := $(filter /%,$(foreach n,$(NAMES), \
    $(shell $(CC) -print-file-name=lib$n.a)))
fits = $(shell $(CC) -shared -o /dev/null -Wl,-z,defs,--exclude-libs,ALL,--whole-archive $1 \
    -Wl,--no-whole-archive -lm -pthread 2>/dev/null && echo $1)
FITTING := $(if $(filter 1,$(STATIC)),$(foreach a,$(ARCHIVES),$(call fits,$a)))
LIBS := $(shell $(PKG_CONFIG) --libs-only-L --libs-only-other $(LINKED)) \
    $(foreach n,$(NAMES),$(or $(filter %/lib$n.a,$(FITTING)),-l$n)) \
    -Wl,--exclude-libs,ALL -lm -ldl -pthread

CORE := $(wildcard core/*.c core/base/*.c backends/*.c) \
    $(filter-out $(if $(filter 1,$(REDIS)),,backends/redis/%), \
    $(wildcard backends/*/*.c))
EXT := $(wildcard ext/*.c)
UNIT_SUPPORT := $(filter-out test/support/test_functions.c, \
    $(wildcard test/support/*.c))
UNIT_NAMES := $(patsubst test/unit/%.c,%,$(wildcard test/unit/*_test.c))
C_FILES := $(wildcard core/*.[ch] core/base/*.[ch] ext/*.[ch] \
    backends/*.[ch] backends/*/*.[ch] test/*/*.[ch])

TEST := -DNADB_TEST -DNADB_DEBUG
ASAN := -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined \
    -fno-omit-frame-pointer
TSAN := -DNADB_TSAN -O1 -fsanitize=thread -fno-optimize-sibling-calls -fno-omit-frame-pointer
COVER := -O0 --coverage

all: build/nadb.so nadb.so

nadb.so: build/nadb.so
	ln -sf build/nadb.so $@

# Objects depend on this file, which changes when the way to compile does.
CONFIG := $(CC) $(CFLAGS) $(BASE_CFLAGS) $(LIBS)
build/config: FORCE
	@mkdir -p build
	@echo '$(CONFIG)' | cmp -s - $@ || echo '$(CONFIG)' > $@

# $(call objects,DIR,SOURCES)
objects = $(patsubst %.c,$1/obj/%.o,$2)

# $(call compile,DIR,FLAGS): how DIR/obj/X.o is made of X.c
define compile
$1/obj/%.o: %.c build/config
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(BASE_CFLAGS) $2 -MMD -MP -c -o $$@ $$<
endef

# $(call library,DIR,SOURCES,FLAGS)
define library
$(call compile,$1,$3)
$1/nadb.so: $(call objects,$1,$2)
	$$(CC) -shared $$(CFLAGS) $3 -Wl,-O1,-z,noseparate-code -o $$@ $$^ \
	    $$(LDFLAGS) $$(LIBS)
-include $(patsubst %.o,%.d,$(call objects,$1,$2))
endef

# $(call variant,DIR,UNIT_DIR,FLAGS): a test library and the unit tests
define variant
$(call library,$1,$(CORE) $(EXT) $(UNIT_SUPPORT) \
    test/support/test_functions.c,$(TEST) $3)
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

build/nadb.so: LDFLAGS += -Wl,-z,defs
$(eval $(call library,build,$(CORE) $(EXT),))
$(eval $(call variant,build/test,build/unit,))
$(eval $(call variant,build/asan,build/asan/unit,$(ASAN)))
$(eval $(call variant,build/tsan,build/tsan/unit,$(TSAN)))
$(eval $(call variant,build/cover,build/cover/unit,$(COVER)))

# What tidy asks for: no warning, as the library and as the test library.
STRICT_TEST := $(CORE) $(EXT) $(wildcard test/support/*.c test/unit/*.c)
build/strict/%: CFLAGS := -O2 -Werror
build/strict/gcc/%: CC := gcc
build/strict/gcc-test/%: CC := gcc
build/strict/clang/%: CC := clang
build/strict/clang-test/%: CC := clang
$(foreach cc,gcc clang,$(eval $(call compile,build/strict/$(cc),)) \
    $(eval $(call compile,build/strict/$(cc)-test,$(TEST))) \
    $(eval strict-$(cc): \
    $(call objects,build/strict/$(cc),$(CORE) $(EXT)) \
    $(call objects,build/strict/$(cc)-test,$(STRICT_TEST))))
-include $(wildcard build/strict/*/obj/*/*.d build/strict/*/obj/*/*/*.d)

demo:
	bash sql/demo.sh

bench:
	bash test/bench/run.sh

test:
	bash test/run.sh test

soak:
	NADB_SOAK=1 bash test/run.sh test

asan tsan:
	bash test/run.sh $@

cover:
	bash test/run.sh cover

tidy:
	bash test/support/need.sh python3 clang clang-format
	python3 test/tidy/tidy.py

fmt:
	clang-format -i $(C_FILES)

install: build/nadb.so
	install -d $(DESTDIR)$(libdir)
	install -m 755 build/nadb.so $(DESTDIR)$(libdir)/nadb.so

clean:
	rm -rf build nadb.so

FORCE:

.PHONY: all demo test soak asan tsan tidy fmt cover bench install clean \
    strict-gcc strict-clang FORCE
