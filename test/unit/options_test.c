/* options_test.c - options of CREATE VIRTUAL TABLE, and names of folders. */
#include "../../core/backend.h"
#include "../../core/names.h"
#include "../../core/options.h"
#include "../support/os_test.h"
#include "unit.h"

static const nadb_place in_file = {"kv", "/home/me/app.db", NULL};
static const nadb_place in_memory = {"kv", "", NULL};

/* Parses up to four arguments; the caller frees. */
static nadb_options *parse(const nadb_place *place, nadb_err *err,
                           const char *a, const char *b, const char *c,
                           const char *d) {
    const char *args[] = {a, b, c, d};
    nadb_options *o = NULL;
    int n = 0;

    while (n < 4 && args[n] != NULL) n++;
    nadb_err_clear(err);
    if (nadb_options_parse(args, n, place, &o, err) != NADB_OK) return NULL;
    return o;
}

/* One bad argument, or several, and what the message must contain. */
static void refused2(const nadb_place *place, const char *a, const char *b,
                     const char *part) {
    nadb_err err;
    nadb_options *o = parse(place, &err, a, b, NULL, NULL);

    if (!CHECK(o == NULL && err.rc == NADB_INVALID &&
               strstr(err.msg, part) != NULL))
        printf("%s, %s: \"%s\", not \"%s\"\n", a, b == NULL ? "" : b, err.msg,
               part);
    nadb_options_free(o);
}

static void refused(const char *arg, const char *part) {
    refused2(&in_file, arg, NULL, part);
}

static void test_defaults(void) {
    nadb_err err;
    nadb_options *o = parse(&in_file, &err, NULL, NULL, NULL, NULL);

    REQUIRE_OK(err.rc, err);
    CHECK_STR(o->backend, "fs");
    CHECK_STR(o->path, "/home/me/app.db-nadb");
    CHECK_STR(o->db, "main");
    CHECK_STR(o->ns, "kv");
    CHECK(!o->ns_given);
    CHECK_U64(o->buffer_bytes, 4 << 20);
    CHECK_U64(o->flush_interval_ms, 1000);
    CHECK(o->synchronous == NADB_SYNC_NORMAL);
    CHECK(o->write == NADB_WRITE_DEFAULT);
    CHECK(o->compression >= 1 && o->compression <= 9);
    CHECK_U64(o->cache_bytes, 16 << 20);
    CHECK(o->mmap && !o->track_access && !o->read_only);
    CHECK_U64(o->default_ttl_ms, 0);
    CHECK_U64(o->size_max, 0);
    CHECK(o->eviction == NADB_EVICT_NONE);
    CHECK_U64(o->busy_timeout_ms, 5000);
    CHECK(o->log == NULL && o->log_level == NULL && o->log_slow_ms == 0);
    CHECK(!nadb_option_given(o, "busy_timeout"));
    nadb_options_free(o);
}

static void test_values(void) {
    nadb_err err;
    nadb_options *o;

    o = parse(&in_file, &err, "  PATH = 'it''s' ", "Db=\"a \"\"b\"\" c\"",
              "namespace=\tn1\n", "buffer_size_mb = .25");
    REQUIRE_OK(err.rc, err);
    CHECK_STR(o->path, "/home/me/it's");
    CHECK_STR(o->db, "a \"b\" c");
    CHECK_STR(o->ns, "n1");
    CHECK(o->ns_given);
    CHECK_U64(o->buffer_bytes, 1 << 18);
    nadb_options_free(o);

    o = parse(&in_file, &err, "flush_interval='2.5e-1'", "compression=OFF",
              "synchronous=\"Full\"", "mmap=no");
    REQUIRE_OK(err.rc, err);
    CHECK_U64(o->flush_interval_ms, 250);
    CHECK(o->compression == 0 && o->synchronous == NADB_SYNC_FULL && !o->mmap);
    nadb_options_free(o);

    o = parse(&in_file, &err, "compression=9", "mode=ro", "default_ttl=0.001",
              "cache_size_mb=0");
    REQUIRE_OK(err.rc, err);
    CHECK(o->compression == 9 && o->read_only && o->default_ttl_ms == 1);
    CHECK_U64(o->cache_bytes, 0);
    nadb_options_free(o);

    o = parse(&in_file, &err, "default_ttl=none", "write=BUFFERED", "path=./~x",
              NULL);
    REQUIRE_OK(err.rc, err);
    CHECK(o->default_ttl_ms == 0);
    CHECK(o->write == NADB_WRITE_BUFFERED);
    nadb_options_free(o);

    o = parse(&in_file, &err, "path='/abs/x'", "path_='x'", NULL, NULL);
    CHECK(o == NULL);
}

static void test_limits(void) {
    nadb_err err;
    nadb_options *o =
        parse(&in_file, &err, "max_size_mb=1.5", "eviction=LFU", NULL, NULL);

    REQUIRE_OK(err.rc, err);
    CHECK(o->size_max == 1572864 && o->eviction == NADB_EVICT_LFU);
    nadb_options_free(o);
    refused("max_size_mb=0", "'0' is not none or a number");
    refused("eviction=lur", "'lur' is not none, lru");
    refused("eviction=lru", "option eviction needs max_size_mb");
}

static void test_booleans(void) {
    static const char *const texts[] = {"on",  "TRUE",  "'yes'",  "1",
                                        "off", "False", "\"no\"", "0"};

    for (size_t i = 0; i < 8; i++) {
        char arg[64];
        nadb_err err;
        nadb_options *o;

        snprintf(arg, sizeof arg, "track_access = %s", texts[i]);
        o = parse(&in_file, &err, arg, NULL, NULL, NULL);
        REQUIRE_OK(err.rc, err);
        CHECK(o->track_access == (i < 4));
        nadb_options_free(o);
    }
    refused("track_access=maybe", "option track_access: 'maybe' is not on or");
    refused("mmap=2", "'2' is not on or off");
}

static void test_syntax_errors(void) {
    refused("path", "expected option='value' at 'path'");
    refused("key TEXT PRIMARY KEY", "expected option='value' at 'key' ");
    refused("'x'", "expected option='value' (");
    refused("path=", "option path has no value");
    refused("path=''", "option path must not be empty");
    refused("db=''", "option db must not be empty");
    refused("namespace=\"\"", "option namespace must not be empty");
    refused("path='x", "closing ' is missing");
    refused("path='x''", "closing ' is missing");
    refused("path='x' 'y'", "nothing may follow the closing '");
    refused("path=a b", "put the value in quotes");
    refused("path=a'b", "put the value in quotes");
    refused("path=?", "parameters cannot be bound here");
    refused("path=?1", "parameters cannot be bound here");
    refused("path= :x", "parameters cannot be bound here");
    refused("path=@x", "parameters cannot be bound here");
    refused("path=$x", "parameters cannot be bound here");
    refused2(&in_file, "path='a'", "PATH='a'", "option path is given twice");
}

static void test_unknown(void) {
    refused("pth='x'", "unknown option 'pth': did you mean 'path'?");
    refused("buffersize=4", "did you mean 'buffer_size_mb'?");
    refused("ttl=4", "did you mean 'default_ttl'?");
    refused("Synchronus=off", "did you mean 'synchronous'?");
    refused("colour='red'", "unknown option 'colour'");
    refused("b='x'", "unknown option 'b': did you mean 'db'?");
    refused("foo='x'", "unknown option 'foo': there are ");
    refused("backend='rocks'", "unknown backend 'rocks': there are fs");
    refused("an_option_whose_name_is_longer_than_any_name_there_is=1",
            "unknown option 'an_option_whose_name");
}

static void test_wrong_values(void) {
    refused("buffer_size_mb=0", "option buffer_size_mb: '0' is not a number");
    refused("buffer_size_mb='4 MB'", "'4 MB' is not a number of megabytes");
    refused("buffer_size_mb=nan", "'nan' is not");
    refused("buffer_size_mb=0x10", "'0x10' is not");
    refused("buffer_size_mb=1e999", "'1e999' is not");
    refused("buffer_size_mb=-1", "'-1' is not");
    refused("flush_interval=1,5", "'1,5' is not a number of seconds");
    refused("default_ttl=0", "'0' is not none or a number of seconds");
    refused("busy_timeout=1.5", "'1.5' is not a whole number");
    refused("compression=10", "'10' is not on, off or a level from 1 to 9");
    refused("compression=1.5", "'1.5' is not");
    refused("synchronous=extra", "'extra' is not off, normal or full");
    refused("write=later", "'later' is not buffered or immediate");
    refused("mode=r", "'r' is not rwc, rw or ro");
    refused("eviction=random", "'random' is not none, lru");
    refused("eviction=lru", "option eviction needs max_size_mb");
    refused("log_level=all", "'all' is not debug, info");
    refused("log_level='info, flsh=debug'", "'flsh=debug' is not debug, info");
    refused("log_level='info,'", "'' is not debug, info");
    refused("log_level='info, flush='", "'flush=' is not debug, info");
    refused("log_level=info", "option log_level has no effect without log");
    refused("log_max_mb=1", "option log_max_mb has no effect without log");
    refused("log_files=1", "option log_files: '1' is not a whole number");
    refused("log='../x'",
            "option log: '../x' is not stderr, or a plain file name");
    refused("log='/tmp/x'", "is not stderr, or a plain file name");
    refused("log='000001.log'", "is not stderr, or a plain file name");
    refused("log='Control'", "is not stderr, or a plain file name");
    refused("log='a.tmp'", "is not stderr, or a plain file name");
    refused("log='.x'", "is not stderr, or a plain file name");
}

static void test_redis_options(void) {
    char long_value[400] = "url='";
    nadb_options *o, *copy;
    nadb_err err;

    refused("password='hunter2'", "password_env='NADB_PASSWORD'");
    refused("PassWord='hunter2'", "does not belong in the schema");
    refused("sentinel_password='hunter2'", "does not belong in the schema");
    refused("password 'hunter2'", "expected option='value' at 'password'");
    refused("id='x'", "option id is for backend='backup'");
    refused("id='a b'", "is not a backup id");
    if (nadb_backend_find("redis") == NULL) {
        refused2(&in_file, "host='h'", "backend=redis", "unknown backend");
        return;
    }
    refused("password_env='HOME'", "starts with NADB_ or REDIS_");
    refused("password_env='NADB_A B'", "starts with NADB_ or REDIS_");
    refused("url='redis://:hunter2@h'", "password does not belong");
    refused("url='redis://u:hunter2@h:1/0'", "password does not belong");
    refused("url='http://h'", "is not a URL like redis://host");
    refused("url='redis://'", "is not a URL like");
    refused("port=0", "'0' is not a port number");
    refused("port=65536", "'65536' is not a port number");
    refused("shards=1.5", "'1.5' is not");
    refused("connect_timeout=0", "is not a number of seconds");
    refused("cluster=perhaps", "'perhaps' is not on or off");
    refused("host='h'", "option host is for backend='redis', and this store "
                        "has backend='fs'");
    memset(long_value + 5, 'x', 300);
    strcpy(long_value + 305, "'");
    refused(long_value, "xx..' is not a URL");
    refused2(&in_file, "backend=redis", "eviction=ttl", "max_size_mb");
    o = parse(&in_file, &err, "url='redis://me@h:1/2'", "backend=Redis",
              "password_env=NADB_X", "cluster=on");
    REQUIRE_OK(err.rc, err);
    CHECK_STR(nadb_option_text(o, "url"), "redis://me@h:1/2");
    CHECK_STR(nadb_option_text(o, "password_env"), "NADB_X");
    CHECK(nadb_option_number(o, "cluster") == 1);
    CHECK(nadb_option_number(o, "shards") == 1);
    CHECK(nadb_option_number(o, "timeout") == 5000);
    CHECK(nadb_option_given(o, "url") && !nadb_option_given(o, "shards"));
    copy = nadb_options_copy(o);
    nadb_options_free(o);
    REQUIRE(copy != NULL);
    CHECK_STR(nadb_option_text(copy, "url"), "redis://me@h:1/2");
    CHECK_STR(copy->ns, "kv");
    nadb_options_free(copy);
}

/* A secret never comes back in a message. */
static void test_secrets(void) {
    static const char *const args[] = {
        "password='hunter2'",     "password 'hunter2'",
        "password_env='hunter2'", "url='redis://:hunter2@h'",
        "url='hunter2:hunter2@'",
    };

    for (size_t i = 0; i < sizeof args / sizeof args[0]; i++) {
        nadb_err err;

        CHECK(parse(&in_file, &err, args[i], NULL, NULL, NULL) == NULL);
        CHECK(strstr(err.msg, "hunter2") == NULL);
    }
}

static void test_paths(void) {
    nadb_place relative = {"kv", "sub/app.db", NULL};
    char cwd[400], want[512];
    nadb_err err;
    nadb_options *o;

    REQUIRE(getcwd(cwd, sizeof cwd) != NULL);
    o = parse(&in_memory, &err, "path='data'", NULL, NULL, NULL);
    REQUIRE_OK(err.rc, err);
    snprintf(want, sizeof want, "%s/data", cwd);
    CHECK_STR(o->path, want);
    nadb_options_free(o);

    o = parse(&relative, &err, NULL, NULL, NULL, NULL);
    REQUIRE_OK(err.rc, err);
    snprintf(want, sizeof want, "%s/sub/app.db-nadb", cwd);
    CHECK_STR(o->path, want);
    nadb_options_free(o);

    o = parse(&in_file, &err, "path='/a/b'", NULL, NULL, NULL);
    REQUIRE_OK(err.rc, err);
    CHECK_STR(o->path, "/a/b");
    nadb_options_free(o);

    refused2(&in_memory, NULL, NULL,
             "this database is in memory: give nadb(path='data') or "
             "backend='memory'");
    o = parse(&in_memory, &err, "backend='Memory'", NULL, NULL, NULL);
    REQUIRE_OK(err.rc, err);
    CHECK_STR(o->backend, "memory");
    CHECK(o->path == NULL);
    nadb_options_free(o);
    refused2(&in_file, "backend=memory", "path='x'",
             "option path is not for backend='memory', which keeps no files");
    refused2(&in_file, "backend=memory", "log='x'", "option log is not for");
}

/* Every allocation fails once: an error, no leak, no half result. */
static void test_without_memory(void) {
    for (uint64_t nth = 1; nth < 100; nth++) {
        uint64_t fired;
        nadb_err err;
        nadb_options *o;

        test_fault_set("malloc", nth, "ENOMEM", false, NULL);
        o = parse(&in_file, &err, "path='x'", "db='d'", "namespace=\"l\"",
                  NULL);
        test_fault_clear(NULL, &fired);
        if (fired == 0) {
            CHECK(o != NULL);
            nadb_options_free(o);
            return;
        }
        CHECK(o == NULL && err.rc == NADB_NOMEM);
    }
    CHECK(false);
}

/* --- names --- */

static void name_is(const char *name, const char *want) {
    nadb_buf b = NADB_BUF_INIT;

    REQUIRE(nadb_name_to_dir(nadb_slice_str(name), &b) &&
            nadb_buf_byte(&b, '\0'));
    CHECK_STR((const char *)b.p, want);
    nadb_buf_clear(&b);
}

static void test_names(void) {
    char a[300], b[300];
    nadb_buf x = NADB_BUF_INIT, y = NADB_BUF_INIT;

    name_is("Prod_1-x.y", "Prod_1-x.y");
    name_is("", "%");
    name_is(".", "%2E");
    name_is("..", "%2E.");
    name_is("a/b\\c", "a%2Fb%5Cc");
    name_is("100% ~", "100%25%20%7E");
    name_is("\xC3\xA9", "%C3%A9");

    /* 200 bytes fit; longer names differ although their beginning is one. */
    memset(a, 'a', sizeof a);
    memset(b, 'a', sizeof b);
    b[299] = 'b';
    REQUIRE(nadb_name_to_dir(nadb_slice_of(a, 200), &x));
    CHECK_U64(x.n, 200);
    CHECK(memchr(x.p, '~', x.n) == NULL);
    nadb_buf_reset(&x);
    REQUIRE(nadb_name_to_dir(nadb_slice_of(a, 300), &x));
    REQUIRE(nadb_name_to_dir(nadb_slice_of(b, 300), &y));
    CHECK(x.n == 200 && y.n == 200 && x.p[167] == '~');
    CHECK(memcmp(x.p, y.p, 168) == 0 && memcmp(x.p, y.p, 200) != 0);
    nadb_buf_clear(&x);
    nadb_buf_clear(&y);

    /* No escape is cut in two. */
    memset(a, '/', sizeof a);
    REQUIRE(nadb_name_to_dir(nadb_slice_of(a, 300), &x));
    CHECK_U64(x.n, 165 + 33);
    CHECK(x.p[165] == '~');
    nadb_buf_clear(&x);
}

int main(void) {
    RUN(test_defaults);
    RUN(test_values);
    RUN(test_limits);
    RUN(test_booleans);
    RUN(test_syntax_errors);
    RUN(test_unknown);
    RUN(test_wrong_values);
    RUN(test_redis_options);
    RUN(test_secrets);
    RUN(test_paths);
    RUN(test_without_memory);
    RUN(test_names);
    return unit_done();
}
