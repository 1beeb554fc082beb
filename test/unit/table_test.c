/* table_test.c - one table, one block, one hash: what is written is read, in
 * every shape; and a flipped bit is found, never a wrong value. */
#include "../../backends/fs/sst_write.h"
#include "../../backends/fs/vals.h"
#include "fs_helper.h"

enum { NUMBER = 7 };

static const nadb_os *os;
static nadb_home home;

/* --- writing a table from chance --- */

typedef struct row {
    nadb_buf key;
    nadb_buf value;
    uint64_t seq;
    unsigned kind;
} row;

static bool add_row(row *r, const void *key, size_t key_n, const void *value,
                    size_t value_n, uint64_t seq, unsigned kind) {
    memset(r, 0, sizeof *r);
    r->seq = seq;
    r->kind = kind;
    return nadb_buf_append(&r->key, key, key_n) &&
           nadb_buf_append(&r->value, value, value_n);
}

static void free_rows(row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        nadb_buf_clear(&rows[i].key);
        nadb_buf_clear(&rows[i].value);
    }
    free(rows);
}

static nadb_rc write_rows(const row *rows, size_t n, fs_meta *meta,
                          fs_writer **w, nadb_err *err) {
    char *path = fs_file_path(&home, NUMBER, "sst");
    nadb_rc rc = path_unlink(os, path, err);

    nadb_free(path);
    if (rc == NADB_OK) rc = fs_writer_open(&home, NUMBER, 0, w, err);
    for (size_t i = 0; rc == NADB_OK && i < n; i++) {
        fs_entry e = {.value = nadb_buf_slice(&rows[i].value),
                      .seq = rows[i].seq,
                      .kind = rows[i].kind};

        rc = fs_writer_add(*w, nadb_buf_slice(&rows[i].key), &e, e.seq, err);
    }
    return rc == NADB_OK ? fs_writer_finish(*w, meta, err) : rc;
}

static void check_row(fs_sst *s, const row *r) {
    nadb_slice key = nadb_buf_slice(&r->key);
    nadb_buf scratch = NADB_BUF_INIT;
    nadb_err err;
    fs_entry e;
    uint64_t at;
    bool found;

    if (CHECK_OK(fs_sst_get(s, key, nadb_hash64(key), &scratch, &e, &at, &found,
                            &err),
                 err) &&
        CHECK(found)) {
        CHECK(e.kind == r->kind);
        CHECK_U64(e.seq, r->seq);
        CHECK(nadb_slice_eq(e.value, nadb_buf_slice(&r->value)));
    }
    nadb_buf_clear(&scratch);
}

/* Blocks found by the index hold the keys that they should. */
static void check_find(fs_sst *s, const row *r) {
    nadb_buf buf = NADB_BUF_INIT;
    nadb_err err;
    fs_block b;
    uint64_t off;
    unsigned no, i;
    bool equal;

    if (CHECK_OK(fs_sst_find(s, nadb_buf_slice(&r->key), &no, &err), err) &&
        CHECK_OK(fs_sst_block(s, no, &buf, &b, &off, &err), err)) {
        CHECK(fs_block_seek(&b, nadb_buf_slice(&r->key), &i, &equal));
        CHECK(equal);
    }
    nadb_buf_clear(&buf);
}

static void round_trip(row *rows, size_t n) {
    fs_writer *w = NULL;
    fs_meta meta;
    nadb_err err;

    if (CHECK_OK(write_rows(rows, n, &meta, &w, &err), err)) {
        CHECK_U64(meta.count, n);
        CHECK(nadb_slice_eq(meta.lo, nadb_buf_slice(&rows[0].key)));
        CHECK(nadb_slice_eq(meta.hi, nadb_buf_slice(&rows[n - 1].key)));
        for (int mmap = 0; mmap <= 1; mmap++) {
            fs_sst *s = NULL;

            if (!CHECK_OK(
                    fs_sst_open(&home, NUMBER, meta.size, mmap == 1, &s, &err),
                    err))
                continue;
            for (size_t i = 0; i < n; i++) {
                check_row(s, &rows[i]);
                check_find(s, &rows[i]);
            }
            fs_sst_close(s);
        }
    }
    fs_writer_free(w);
}

static void test_one_entry(void) {
    row *rows = calloc(1, sizeof *rows);

    REQUIRE(add_row(&rows[0], "r", 1, "v", 1, 3, FS_VALUE));
    round_trip(rows, 1);
    free_rows(rows, 1);
    rows = calloc(1, sizeof *rows);
    REQUIRE(add_row(&rows[0], "", 0, "", 0, UINT64_MAX >> 2, FS_TOMBSTONE));
    round_trip(rows, 1);
    free_rows(rows, 1);
}

static void test_many_tiny(void) {
    enum { N = 20000 };
    row *rows = calloc(N, sizeof *rows);

    for (unsigned i = 0; i < N; i++) {
        uint8_t key[4] = {'r', (uint8_t)(i >> 16), (uint8_t)(i >> 8),
                          (uint8_t)i};

        REQUIRE(add_row(&rows[i], key, 4, "", 0, i % 3, i % 2));
    }
    round_trip(rows, N);
    free_rows(rows, N);
}

static void test_long_keys(void) {
    enum { N = 60 };
    row *rows = calloc(N, sizeof *rows);
    uint8_t *key = calloc(1, 70000);

    /* Each key continues the one before: longer and longer prefixes. */
    memset(key, 'k', 70000);
    for (unsigned i = 0; i < N; i++)
        REQUIRE(add_row(&rows[i], key, 1 + (size_t)i * 1100, key, i * 300, i,
                        FS_VALUE));
    round_trip(rows, N);
    free(key);
    free_rows(rows, N);
}

static void test_random_rows(void) {
    enum { N = 5000 };
    row *rows = calloc(N, sizeof *rows);
    uint8_t value[3000];
    uint64_t s = (uint64_t)getpid();
    uint64_t number = 0;

    printf("seed %llu\n", (unsigned long long)s);
    memset(value, 'v', sizeof value);
    for (unsigned i = 0; i < N; i++) {
        char key[64];
        int n;

        number += 1 + rnd(&s) % 1000 * (rnd(&s) % 3);
        n = snprintf(key, sizeof key, "r%012llu%.*s",
                     (unsigned long long)number, (int)(rnd(&s) % 20),
                     "abcdefghijklmnopqrstuvwxyz");
        REQUIRE(add_row(&rows[i], key, (size_t)n, value,
                        rnd(&s) % 40 == 0 ? 3000 : rnd(&s) % 100, rnd(&s) >> 20,
                        FS_VALUE));
    }
    round_trip(rows, N);
    free_rows(rows, N);
}

/* --- damage --- */

/* Every entry is right, or reading it is an error. */
static void check_flipped(const row *rows, size_t n, uint64_t size, bool mmap) {
    fs_sst *s = NULL;
    nadb_err err;

    if (fs_sst_open(&home, NUMBER, size, mmap, &s, &err) != NADB_OK) return;
    for (size_t i = 0; i < n; i++) {
        nadb_slice key = nadb_buf_slice(&rows[i].key);
        nadb_buf scratch = NADB_BUF_INIT;
        fs_entry e;
        uint64_t at;
        bool found;

        if (fs_sst_get(s, key, nadb_hash64(key), &scratch, &e, &at, &found,
                       &err) == NADB_OK)
            CHECK(found && e.kind == rows[i].kind && e.seq == rows[i].seq &&
                  nadb_slice_eq(e.value, nadb_buf_slice(&rows[i].value)));
        else
            CHECK(err.rc == NADB_CORRUPT || err.rc == NADB_CANTOPEN);
        nadb_buf_clear(&scratch);
    }
    fs_sst_close(s);
}

static void test_flipped_bits(void) {
    enum { N = 60 };
    row *rows = calloc(N, sizeof *rows);
    char *path = fs_file_path(&home, NUMBER, "sst");
    fs_writer *w = NULL;
    nadb_file *f = NULL;
    fs_meta meta;
    nadb_err err;

    for (unsigned i = 0; i < N; i++) {
        char key[32];
        int n = snprintf(key, sizeof key, "rkey%05u", i * 7);

        REQUIRE(add_row(&rows[i], key, (size_t)n, rows, i * 5, i, FS_VALUE));
    }
    REQUIRE_OK(write_rows(rows, N, &meta, &w, &err), err);
    REQUIRE_OK(path_open(os, path, NADB_OPEN_WRITE, 0, &f, &err), err);
    for (uint64_t off = 0; off < meta.size; off++) {
        uint8_t old, bad;

        REQUIRE_OK(os->pread(f, &old, 1, off, &err), err);
        bad = (uint8_t)(old ^ 1u << off % 8);
        REQUIRE_OK(os->pwrite(f, &bad, 1, off, &err), err);
        check_flipped(rows, N, meta.size, off % 2 == 0);
        REQUIRE_OK(os->pwrite(f, &old, 1, off, &err), err);
    }
    os->close(f);
    nadb_free(path);
    fs_writer_free(w);
    free_rows(rows, N);
}

static void test_size_differs(void) {
    row *rows = calloc(1, sizeof *rows);
    fs_writer *w = NULL;
    fs_sst *s = NULL;
    fs_meta meta;
    nadb_err err;

    REQUIRE(add_row(&rows[0], "r", 1, "v", 1, 3, FS_VALUE));
    REQUIRE_OK(write_rows(rows, 1, &meta, &w, &err), err);
    CHECK(fs_sst_open(&home, NUMBER, meta.size - 1, true, &s, &err) ==
          NADB_CORRUPT);
    CHECK(strstr(err.msg, "000007.sst") != NULL);
    CHECK(fs_sst_open(&home, 99, 100, true, &s, &err) == NADB_CORRUPT);
    CHECK(strstr(err.msg, "000099.sst is missing") != NULL);
    fs_writer_free(w);
    free_rows(rows, 1);
}

/* Compaction of a damaged table must not trust its order: separators and
 * prefixes are cut by it. */
static void test_unordered_keys(void) {
    static const char *const keys[][3] = {
        {"rabc", "rab", NULL},  /* a prefix of the one before */
        {"rabc", "rabc", NULL}, /* twice */
        {"raaa", "q", "raab"},  /* shorter than what the ends share */
    };

    for (size_t i = 0; i < 3; i++) {
        row *rows = calloc(3, sizeof *rows);
        fs_writer *w = NULL;
        fs_meta meta;
        nadb_err err;
        size_t n = 0;

        for (; n < 3 && keys[i][n] != NULL; n++)
            REQUIRE(add_row(&rows[n], keys[i][n], strlen(keys[i][n]), "v", 1, 1,
                            FS_VALUE));
        CHECK(write_rows(rows, n, &meta, &w, &err) == NADB_CORRUPT);
        CHECK(strstr(err.msg, "it is made of are out of order") != NULL);
        fs_writer_free(w);
        free_rows(rows, 3);
    }
}

/* An entry that begins in the prefix could make a key longer than its block,
 * and so longer than what a cursor has room for (found by table_fuzz). */
static void test_entry_in_prefix(void) {
    uint8_t block[64] = {0};
    fs_block b;
    fs_entry e;

    nadb_put_u16(block, 1);
    nadb_put_u16(block + 2, 20); /* prefix: bytes 6 to 25 */
    nadb_put_u16(block + FS_BLOCK_HEAD, 26);
    block[26] = 3; /* suffix of 3 bytes, sequence number 0, no value */
    REQUIRE(fs_block_init(&b, block, 30));
    CHECK(!fs_block_entry(&b, 0, &e)); /* 26 + 3 + 3 is past the end */
    block[26] = 1;
    CHECK(fs_block_entry(&b, 0, &e));
    for (unsigned at = 0; at < 26; at++) {
        nadb_put_u16(block + FS_BLOCK_HEAD, (uint16_t)at);
        CHECK(!fs_block_entry(&b, 0, &e));
    }
}

/* Its one entry, as it is written and as it is read; cut off anywhere before
 * its end it is refused. */
static void check_head(uint64_t seq, size_t suffix, size_t value) {
    enum { MOST = 1024 };
    uint8_t *block = calloc(1, MOST); /* exact sizes: the sanitizer sees */
    uint8_t *p = block + FS_BLOCK_HEAD + 2;
    size_t at = (size_t)(p - block), n;
    fs_block b;
    fs_entry e;

    REQUIRE(block != NULL);
    nadb_put_u16(block, 1);
    nadb_put_u16(block + FS_BLOCK_HEAD, (uint16_t)at);
    p = nadb_put_varint(p, suffix);
    p = nadb_put_varint(p, seq << 2 | FS_TOMBSTONE);
    p = nadb_put_varint(p, value);
    n = (size_t)(p - block) + suffix + value;
    for (size_t cut = at; cut <= n; cut++) {
        uint8_t *copy = malloc(cut);

        REQUIRE(copy != NULL);
        memcpy(copy, block, cut);
        REQUIRE(fs_block_init(&b, copy, cut));
        CHECK(fs_block_entry(&b, 0, &e) == (cut == n));
        free(copy);
    }
    REQUIRE(fs_block_init(&b, block, n));
    REQUIRE(fs_block_entry(&b, 0, &e));
    CHECK_U64(e.seq, seq);
    CHECK_U64(e.kind, FS_TOMBSTONE);
    CHECK_U64(e.suffix.n, suffix);
    CHECK_U64(e.value.n, value);
    CHECK(e.suffix.p == p && e.value.p == p + suffix);
    free(block);
}

/* What stands before an entry's bytes takes a few bytes, mostly. */
static void test_entry_heads(void) {
    static const size_t sizes[] = {0, 1, 127, 128, 300};

    for (unsigned bits = 0; bits <= 62; bits++)
        for (size_t i = 0; i < 25; i++) {
            uint64_t top = UINT64_C(1) << bits;

            check_head(top - 1, sizes[i / 5], sizes[i % 5]);
            if (bits < 62) check_head(top | top / 3, sizes[i / 5], 1);
        }
}

/* --- properties --- */

static fs_props some_props(void) {
    fs_props p = {.count = 3, .n_blocks = 1, .offsets = 100, .index = 108};

    p.hash = 128;
    p.n_buckets = 1;
    p.end = 192;
    p.lo = nadb_slice_str("a");
    p.hi = nadb_slice_str("b");
    p.pages = nadb_slice_str("crc.");
    return p;
}

static void test_unknown_property(void) {
    fs_props p = some_props(), got;
    nadb_buf b = NADB_BUF_INIT;

    REQUIRE(nadb_buf_varint(&b, 77) &&
            nadb_buf_blob(&b, nadb_slice_str("of a later version")));
    REQUIRE(fs_props_put(&p, &b));
    CHECK(fs_props_decode(nadb_buf_slice(&b), &got));
    CHECK_U64(got.count, 3);
    CHECK_U64(got.hash, 128);
    CHECK(nadb_slice_eq(got.hi, p.hi));
    REQUIRE(nadb_buf_byte(&b, 78)); /* a tag without its bytes */
    CHECK(!fs_props_decode(nadb_buf_slice(&b), &got));
    nadb_buf_clear(&b);
}

static void test_bad_properties(void) {
    fs_props p = some_props(), got;
    nadb_buf b = NADB_BUF_INIT;

    p.end = 193;
    REQUIRE(fs_props_put(&p, &b));
    CHECK(!fs_props_decode(nadb_buf_slice(&b), &got));
    nadb_buf_reset(&b);
    p = some_props();
    p.n_blocks = 0;
    REQUIRE(fs_props_put(&p, &b));
    CHECK(!fs_props_decode(nadb_buf_slice(&b), &got));
    nadb_buf_reset(&b);
    p = some_props();
    p.pages.n = 3;
    REQUIRE(fs_props_put(&p, &b));
    CHECK(!fs_props_decode(nadb_buf_slice(&b), &got));
    nadb_buf_reset(&b);
    CHECK(!fs_props_decode(nadb_buf_slice(&b), &got));
    nadb_buf_clear(&b);
}

static void test_newer_format(void) {
    row *rows = calloc(1, sizeof *rows);
    char *path = fs_file_path(&home, NUMBER, "sst");
    fs_writer *w = NULL;
    fs_sst *s = NULL;
    nadb_file *f = NULL;
    uint8_t footer[FS_FOOTER];
    fs_footer parsed;
    fs_meta meta;
    nadb_err err;

    REQUIRE(add_row(&rows[0], "r", 1, "v", 1, 3, FS_VALUE));
    REQUIRE_OK(write_rows(rows, 1, &meta, &w, &err), err);
    REQUIRE_OK(path_open(os, path, NADB_OPEN_WRITE, 0, &f, &err), err);
    CHECK_OK(os->pread(f, footer, FS_FOOTER, meta.size - FS_FOOTER, &err), err);
    CHECK(fs_footer_decode(footer, &parsed));
    parsed.format++;
    fs_footer_put(footer, &parsed);
    CHECK_OK(os->pwrite(f, footer, FS_FOOTER, meta.size - FS_FOOTER, &err),
             err);
    CHECK(fs_sst_open(&home, NUMBER, meta.size, true, &s, &err) ==
          NADB_CANTOPEN);
    CHECK(strstr(err.msg, "format 3") != NULL);
    REQUIRE_OK(os->truncate(f, 10, &err), err);
    CHECK(fs_sst_open(&home, NUMBER, 10, true, &s, &err) == NADB_CORRUPT);
    CHECK(strstr(err.msg, "000007.sst: too short at byte 10") != NULL);
    os->close(f);
    nadb_free(path);
    fs_writer_free(w);
    free_rows(rows, 1);
}

/* A block that the index cannot name. */
static void test_no_such_block(void) {
    row *rows = calloc(1, sizeof *rows);
    fs_writer *w = NULL;
    fs_sst *s = NULL;
    uint64_t off;
    size_t n;
    fs_meta meta;
    nadb_err err;

    REQUIRE(add_row(&rows[0], "r", 1, "v", 1, 3, FS_VALUE));
    REQUIRE_OK(write_rows(rows, 1, &meta, &w, &err), err);
    REQUIRE_OK(fs_sst_open(&home, NUMBER, meta.size, true, &s, &err), err);
    CHECK_OK(fs_sst_extent(s, 0, &off, &n, &err), err);
    CHECK(fs_sst_extent(s, 1, &off, &n, &err) == NADB_CORRUPT);
    CHECK(strstr(err.msg, "000007.sst: a block that does not exist at byte") !=
          NULL);
    fs_sst_close(s);
    fs_writer_free(w);
    free_rows(rows, 1);
}

/* --- the hash --- */

static bool hash_finds(const uint8_t *buckets, uint64_t n, uint64_t hash,
                       uint32_t place) {
    uint64_t no = fs_hash_home(hash, n);

    for (uint64_t tries = 0; tries < n; tries++) {
        const uint8_t *b = buckets + no * FS_BUCKET;

        for (unsigned m = fs_bucket_match(b, hash); m != 0; m &= m - 1)
            if (fs_bucket_place(b, (unsigned)__builtin_ctz(m)) == place)
                return true;
        if (!fs_bucket_passed(b, hash)) return false;
        no = no + 1 == n ? 0 : no + 1;
    }
    return false;
}

static void test_hash(void) {
    enum { N = 30000 };
    fs_place *places = calloc(N, sizeof *places);
    uint64_t n = fs_hash_buckets(N);
    uint8_t *buckets = calloc((size_t)n, FS_BUCKET);
    uint64_t s = 1;
    unsigned wrong = 0;

    for (uint32_t i = 0; i < N; i++) {
        places[i].hash = rnd(&s);
        /* Some homes overflow, the last one too. */
        if (i % 16 == 0) places[i].hash |= UINT64_C(0xffffff) << 40;
        places[i].place = i;
    }
    fs_hash_build(buckets, n, places, N);
    for (uint32_t i = 0; i < N; i++)
        CHECK(hash_finds(buckets, n, places[i].hash, i));
    for (uint32_t i = 0; i < N; i++) {
        uint64_t hash = rnd(&s);

        wrong += fs_bucket_match(buckets + FS_BUCKET * fs_hash_home(hash, n),
                                 hash) != 0;
    }
    CHECK(wrong < 30); /* about 10 in 65536 */
    free(places);
    free(buckets);
}

/* Lanes that follow a match must not be taken for one. */
static void test_bucket_match(void) {
    uint8_t b[FS_BUCKET] = {0};

    nadb_put_u16(b + 4, 0x1234);
    nadb_put_u16(b + 6, 0x1235);
    nadb_put_u16(b + 22, 0x1234);
    CHECK_U64(fs_bucket_match(b, 0xabcd1234), 1u << 2 | 1u << 11);
    CHECK_U64(fs_bucket_match(b, 0x1235), 1u << 3);
    CHECK_U64(fs_bucket_match(b, 0x10000), 0); /* print 0 becomes 1 */
}

/* --- large values --- */

static void test_values(void) {
    char *path = fs_file_path(&home, 8, "val");
    nadb_file *f = NULL;
    fs_val *cut = NULL;
    fs_val_writer w = {0};
    fs_ref a, b, bad;
    uint8_t *big = calloc(1, 100000);
    nadb_buf scratch = NADB_BUF_INIT;
    nadb_slice got;
    nadb_err err;

    memset(big, 'x', 100000);
    REQUIRE_OK(fs_val_create(&w, &home, 8, &err), err);
    CHECK_OK(fs_val_append(&w, nadb_slice_of(big, 100000), &a, &err), err);
    CHECK_OK(fs_val_append(&w, nadb_slice_of(big + 1, 4096), &b, &err), err);
    CHECK_OK(fs_val_finish(&w, &err), err);
    for (int mmap = 0; mmap <= 1; mmap++) {
        fs_val *v = NULL;

        REQUIRE_OK(fs_val_open(&home, 8, w.size, mmap, &v, &err), err);
        CHECK_OK(fs_val_read(v, &a, &scratch, &got, &err), err);
        CHECK(nadb_slice_eq(got, nadb_slice_of(big, 100000)));
        CHECK_OK(fs_val_read(v, &b, &scratch, &got, &err), err);
        CHECK_U64(got.n, 4096);
        bad = b;
        bad.n++;
        CHECK(fs_val_read(v, &bad, &scratch, &got, &err) == NADB_CORRUPT);
        CHECK(strstr(err.msg, "000008.val: no value of 4097 bytes at byte") !=
              NULL);
        bad.n = UINT64_MAX;
        CHECK(fs_val_read(v, &bad, &scratch, &got, &err) == NADB_CORRUPT);
        bad = a;
        bad.off = 47;
        CHECK(fs_val_read(v, &bad, &scratch, &got, &err) == NADB_CORRUPT);
        bad = a;
        bad.n = 100;
        CHECK(fs_val_read(v, &bad, &scratch, &got, &err) == NADB_CORRUPT);
        fs_val_close(v);
    }
    REQUIRE_OK(path_open(os, path, NADB_OPEN_WRITE, 0, &f, &err), err);
    REQUIRE_OK(os->truncate(f, 10, &err), err);
    CHECK(fs_val_open(&home, 8, 10, true, &cut, &err) == NADB_CORRUPT);
    CHECK(strstr(err.msg, "000008.val is too short") != NULL);
    os->close(f);
    nadb_free(path);
    nadb_buf_clear(&scratch);
    free(big);
}

int main(void) {
    os = nadb_os_get();
    home_init(&home, unit_dir());
    RUN(test_one_entry);
    RUN(test_many_tiny);
    RUN(test_long_keys);
    RUN(test_random_rows);
    RUN(test_flipped_bits);
    RUN(test_unordered_keys);
    RUN(test_entry_in_prefix);
    RUN(test_entry_heads);
    RUN(test_size_differs);
    RUN(test_unknown_property);
    RUN(test_bad_properties);
    RUN(test_newer_format);
    RUN(test_no_such_block);
    RUN(test_hash);
    RUN(test_bucket_match);
    RUN(test_values);
    return unit_done();
}
