/* backup_test.c - SHA-256, the file of rows and the BACKUP of a backup: what is
 * written comes back in every way of reading, and what is damaged is noticed.
 */
#include "unit.h"

#include "../../core/backup/manifest.h"
#include "../../core/backup/rows.h"
#include "../../core/backup/rows_format.h"
#include "../../core/util/sync.h"

static nadb_dir *here; /* the directory of the program */

/* --- SHA-256 --- */

static void sum_of(const void *p, size_t n, size_t split,
                   char hex[NADB_SHA256_HEX]) {
    uint8_t sum[NADB_SHA256_BYTES];
    nadb_sha256 s;

    nadb_sha256_begin(&s);
    nadb_sha256_add(&s, p, split);
    nadb_sha256_add(&s, (const uint8_t *)p + split, n - split);
    nadb_sha256_end(&s, sum);
    nadb_sha256_hex(sum, hex);
}

/* The examples of FIPS 180-4's companion, and the empty message. */
static void test_sha_known(void) {
    static const char two[] =
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    char hex[NADB_SHA256_HEX];
    static char million[1000000];

    sum_of("", 0, 0, hex);
    CHECK_STR(hex, "e3b0c44298fc1c149afbf4c8996fb924"
                   "27ae41e4649b934ca495991b7852b855");
    sum_of("abc", 3, 1, hex);
    CHECK_STR(hex, "ba7816bf8f01cfea414140de5dae2223"
                   "b00361a396177a9cb410ff61f20015ad");
    sum_of(two, strlen(two), 55, hex);
    CHECK_STR(hex, "248d6a61d20638b8e5c026930c3e6039"
                   "a33ce45964ff2167f6ecedd419db06c1");
    memset(million, 'a', sizeof million);
    sum_of(million, sizeof million, 12345, hex);
    CHECK_STR(hex, "cdc76e5c9914fb9281a1c7e284d73e67"
                   "f1809a48a497200e046d39ccc7112cd0");
}

static void test_sha_instruction_is_plain(void) {
    uint8_t bytes[400], plain[NADB_SHA256_BYTES];
    char a[NADB_SHA256_HEX], b[NADB_SHA256_HEX];

    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 37 + 5);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        nadb_sha256_plain(bytes, n, plain);
        nadb_sha256_hex(plain, a);
        sum_of(bytes, n, n / 3, b);
        CHECK_STR(b, a);
    }
}

/* --- a file of rows --- */

#define ROWS 3000

typedef struct item {
    char key[24];
    bool deleted;
    nadb_buf value;
} item;

static item items[ROWS];
static uint32_t draw_state;

static uint32_t draw(uint32_t below) {
    draw_state = draw_state * 1664525u + 1013904223u;
    return (draw_state >> 8) % below;
}

static nadb_slice key_of(const item *i) { return nadb_slice_str(i->key); }

static void make_items(void) {
    draw_state = (uint32_t)getpid();
    printf("seed %u\n", draw_state);
    for (unsigned i = 0; i < ROWS; i++) {
        item *it = &items[i];
        size_t n = i == 700 ? 300000 : i == 701 ? 131073 : 1 + draw(200);

        snprintf(it->key, sizeof it->key, "rkey/%05u%s", i * 2,
                 draw(3) == 0 ? "/x" : "");
        it->deleted = draw(5) == 0;
        nadb_buf_reset(&it->value);
        if (it->deleted) continue;
        for (size_t k = 0; k < n; k++)
            if (!nadb_buf_byte(&it->value,
                               (uint8_t)(draw(2) ? 'a' : draw(256))))
                return;
    }
}

static void clear_items(void) {
    for (unsigned i = 0; i < ROWS; i++) nadb_buf_clear(&items[i].value);
}

static nadb_rc write_items(const char *name, unsigned n, int level,
                           backup_sum *sum, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_file *f = NULL;
    backup_writer *w = NULL;
    nadb_rc rc =
        os->open(here, name, NADB_OPEN_WRITE | NADB_OPEN_CREATE, 0600, &f, err);

    if (rc == NADB_OK) rc = os->truncate(f, 0, err);
    if (rc == NADB_OK) rc = backup_writer_new(f, level, &w, err);
    for (unsigned i = 0; i < n && rc == NADB_OK; i++) {
        nadb_slice v = nadb_buf_slice(&items[i].value);

        if (items[i].deleted)
            rc = backup_writer_delete(w, key_of(&items[i]), err);
        else
            rc =
                backup_writer_put(w, key_of(&items[i]), v, nadb_hash64(v), err);
    }
    if (rc == NADB_OK) rc = backup_writer_end(w, n, sum, err);
    backup_writer_free(w);
    os->close(f);
    return rc;
}

static nadb_rc open_rows(const char *name, backup_rows **out, nadb_err *err) {
    nadb_file *f = NULL;
    nadb_rc rc = nadb_os_get()->open(here, name, NADB_OPEN_READ, 0, &f, err);

    *out = NULL;
    return rc == NADB_OK ? backup_rows_open(f, out, err) : rc;
}

/* Whether the entry is that item. */
static bool shows(const nadb_entry *e, const item *i, bool prints) {
    bool deleted = (e->flags & NADB_ENTRY_TOMBSTONE) != 0;
    backup_print p, want = backup_print_of(nadb_buf_slice(&i->value));

    if (!nadb_slice_eq(e->key, key_of(i)) || deleted != i->deleted)
        return false;
    if (!prints) return nadb_slice_eq(e->value, nadb_buf_slice(&i->value));
    memcpy(&p, e->value.p, sizeof p);
    return deleted ? p.bytes == 0
                   : p.hash == want.hash && p.bytes == want.bytes;
}

/* Whether a walk from item `from` to before `to` gives just these. */
static bool walks(backup_rows *r, unsigned from, unsigned to, bool reverse,
                  bool prints, nadb_err *err) {
    nadb_range range = {key_of(&items[from]), {NULL, 0}, reverse};
    nadb_iter *it = NULL;
    unsigned n = 0;
    bool ok;

    if (to < ROWS) range.hi = key_of(&items[to]);
    if (backup_rows_iter(r, &range, prints, &it, err) != NADB_OK) return false;
    ok = nadb_iter_next(it, err) == NADB_OK;
    for (; ok && it->valid; n++) {
        ok = n < to - from &&
             shows(&it->entry, &items[reverse ? to - 1 - n : from + n],
                   prints) &&
             nadb_iter_next(it, err) == NADB_OK;
    }
    nadb_iter_free(it);
    return ok && n == to - from;
}

static void test_rows_come_back(void) {
    const char *name = "rows";
    nadb_err err;

    make_items();
    for (int level = 0; level <= 1; level++) {
        backup_rows *r = NULL;
        backup_sum sum;
        char hex[NADB_SHA256_HEX], want[NADB_SHA256_HEX];
        uint64_t rows, deleted;

        REQUIRE_OK(write_items(name, ROWS, level, &sum, &err), err);
        REQUIRE_OK(open_rows(name, &r, &err), err);
        backup_rows_count(r, &rows, &deleted);
        CHECK_U64(rows, sum.rows);
        CHECK_U64(rows + deleted, ROWS);
        nadb_sha256_hex(sum.sha256, want);
        CHECK_OK(backup_rows_sum(r, NULL, hex, &err), err);
        CHECK_STR(hex, want);
        for (int way = 0; way < 4; way++) {
            bool reverse = (way & 1) != 0, prints = (way & 2) != 0;

            CHECK(walks(r, 0, ROWS, reverse, prints, &err));
            for (int n = 0; n < 100; n++) {
                unsigned from = draw(ROWS);
                unsigned to = from + draw(ROWS - from + 1);

                if (!CHECK(walks(r, from, to, reverse, prints, &err))) break;
            }
        }
        backup_rows_close(r);
    }
    clear_items();
}

/* What the end says of the values; a file that says nothing is read, too. */
static void test_rows_values(void) {
    const nadb_os *os = nadb_os_get();
    const char *name = "values";
    nadb_buf whole = NADB_BUF_INIT;
    nadb_file *f = NULL;
    backup_sum sum;
    uint64_t values = 0;
    bool known = false;
    uint8_t *end;
    nadb_err err;

    make_items();
    REQUIRE_OK(write_items(name, 30, 1, &sum, &err), err);
    REQUIRE_OK(os->open(here, name, NADB_OPEN_READ, 0, &f, &err), err);
    CHECK_OK(backup_rows_values(f, &values, &known, &err), err);
    CHECK(known && values == 30);

    REQUIRE_OK(nadb_os_read_file(here, name, 1u << 20, &whole, &err), err);
    end = whole.p + whole.n - END_BYTES;
    nadb_put_u64(end + END_VALUES, 0);
    nadb_put_u32(end + END_CRC, backup_crc(whole.p + HEAD_ID, end, END_CRC));
    REQUIRE_OK(os->open(here, name, NADB_OPEN_WRITE, 0, &f, &err), err);
    CHECK_OK(os->pwrite(f, whole.p, whole.n, 0, &err), err);
    CHECK_OK(backup_rows_values(f, &values, &known, &err), err);
    CHECK(!known && values == 0);
    nadb_buf_clear(&whole);
    clear_items();
}

#ifdef _GNU_SOURCE
/* From now on threads have stacks of so many bytes; returns what it was. */
static size_t set_stack(size_t bytes) {
    pthread_attr_t a;
    size_t before = 0;

    CHECK(pthread_getattr_default_np(&a) == 0);
    CHECK(pthread_attr_getstacksize(&a, &before) == 0);
    CHECK(pthread_attr_setstacksize(&a, bytes) == 0);
    CHECK(pthread_setattr_default_np(&a) == 0);
    pthread_attr_destroy(&a);
    return before;
}

static void *ends(void *arg) { return arg; }

/* Where no thread can be started, because there is no room for its stack. */
static void test_rows_without_threads(void) {
    const char *name = "alone";
    backup_rows *r = NULL;
    backup_sum with, without;
    size_t stack;
    pthread_t t;
    nadb_err err;

    make_items();
    REQUIRE_OK(write_items(name, ROWS, 1, &with, &err), err);
    stack = set_stack((size_t)1 << 47);
    CHECK(nadb_thread_start(&t, "none", ends, NULL, NULL) != NADB_OK);
    CHECK_OK(write_items(name, ROWS, 1, &without, &err), err);
    set_stack(stack);
    CHECK_U64(without.bytes, with.bytes);
    REQUIRE_OK(open_rows(name, &r, &err), err);
    CHECK(walks(r, 0, ROWS, false, false, &err));
    backup_rows_close(r);
    clear_items();
}
#endif

/* Seeks from anywhere to keys that are there and that are not. */
static void test_rows_seek(void) {
    const char *name = "seek";
    backup_rows *r = NULL;
    backup_sum sum;
    nadb_err err;

    make_items();
    REQUIRE_OK(write_items(name, ROWS, 1, &sum, &err), err);
    REQUIRE_OK(open_rows(name, &r, &err), err);
    for (int reverse = 0; reverse <= 1; reverse++) {
        nadb_range all = {{NULL, 0}, {NULL, 0}, reverse};
        nadb_iter *it = NULL;

        CHECK_OK(backup_rows_iter(r, &all, true, &it, &err), err);
        for (int n = 0; n < 2000 && it != NULL; n++) {
            unsigned i = draw(ROWS);
            bool there = draw(2) == 0;
            char key[32];

            snprintf(key, sizeof key, "%s%s", items[i].key, there ? "" : "~");
            CHECK_OK(nadb_iter_seek(it, nadb_slice_str(key), &err), err);
            if (!there && !reverse) i++;
            CHECK(it->valid == (i < ROWS));
            if (i < ROWS && !CHECK(shows(&it->entry, &items[i], true))) break;
        }
        CHECK_OK(nadb_iter_seek(it, nadb_slice_str("zzz"), &err), err);
        CHECK(it->valid == reverse);
        CHECK_OK(nadb_iter_seek(it, nadb_slice_str("a"), &err), err);
        CHECK(it->valid != reverse);
        nadb_iter_free(it);
    }
    backup_rows_close(r);
    clear_items();
}

static void test_rows_empty(void) {
    const char *name = "empty";
    nadb_range all = {{NULL, 0}, {NULL, 0}, false};
    backup_rows *r = NULL;
    backup_sum sum;
    nadb_err err;

    REQUIRE_OK(write_items(name, 0, 1, &sum, &err), err);
    CHECK_U64(sum.bytes, HEAD_BYTES + END_BYTES);
    REQUIRE_OK(open_rows(name, &r, &err), err);
    for (int reverse = 0; reverse <= 1; reverse++) {
        nadb_iter *it = NULL;

        all.reverse = reverse;
        REQUIRE_OK(backup_rows_iter(r, &all, false, &it, &err), err);
        CHECK_OK(nadb_iter_next(it, &err), err);
        CHECK(!it->valid);
        CHECK_OK(nadb_iter_seek(it, nadb_slice_str("r"), &err), err);
        CHECK(!it->valid);
        nadb_iter_free(it);
    }
    backup_rows_close(r);
}

/* Reads a file that may be damaged. Whatever it shows must be an item. */
static nadb_rc read_damaged(const char *name, unsigned n, unsigned *seen,
                            nadb_err *err) {
    nadb_range all = {{NULL, 0}, {NULL, 0}, false};
    backup_rows *r = NULL;
    nadb_iter *it = NULL;
    nadb_rc rc = open_rows(name, &r, err);

    *seen = 0;
    if (rc == NADB_OK) rc = backup_rows_iter(r, &all, false, &it, err);
    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid) {
        if (!CHECK(*seen < n) ||
            !CHECK(shows(&it->entry, &items[*seen], false)))
            break;
        ++*seen;
        rc = nadb_iter_next(it, err);
    }
    nadb_iter_free(it);
    backup_rows_close(r);
    return rc;
}

static nadb_rc put_byte(nadb_file *f, size_t at, uint8_t byte) {
    return nadb_os_get()->pwrite(f, &byte, 1, at, NULL);
}

/* A bit of every byte, and every length, of a small file. The bytes that mean
 * nothing are covered by a checksum as well. */
static void test_rows_damaged(void) {
    const nadb_os *os = nadb_os_get();
    const char *name = "damaged";
    nadb_buf whole = NADB_BUF_INIT;
    nadb_file *f = NULL;
    unsigned seen, few = 20;
    backup_sum sum;
    nadb_err err;

    make_items();
    REQUIRE_OK(write_items(name, few, 1, &sum, &err), err);
    REQUIRE_OK(nadb_os_read_file(here, name, 1u << 20, &whole, &err), err);
    REQUIRE_OK(os->open(here, name, NADB_OPEN_WRITE, 0, &f, &err), err);
    CHECK_OK(read_damaged(name, few, &seen, &err), err);
    CHECK_U64(seen, few);
    for (size_t at = 0; at < whole.n; at++) {
        nadb_rc rc;

        CHECK(put_byte(f, at, whole.p[at] ^ (uint8_t)(1u << draw(8))) ==
              NADB_OK);
        rc = read_damaged(name, few, &seen, &err);
        CHECK(put_byte(f, at, whole.p[at]) == NADB_OK);
        if (!CHECK(rc == NADB_CORRUPT || rc == NADB_CANTOPEN)) break;
    }
    for (size_t n = whole.n; n-- > 0;) {
        CHECK(os->truncate(f, n, &err) == NADB_OK);
        if (!CHECK(read_damaged(name, few, &seen, &err) == NADB_CORRUPT)) break;
    }
    os->close(f);
    nadb_buf_clear(&whole);
    clear_items();
}

/* Makes all checksums right again, as somebody would who means harm. */
static void forge(nadb_buf *b, size_t chunk_n) {
    const uint8_t *id = b->p + HEAD_ID;
    uint8_t *end = b->p + b->n - END_BYTES;
    uint8_t *chunk = b->p + HEAD_BYTES;
    uint32_t keys = nadb_get_u32(chunk + CHUNK_KEYS);
    size_t body = chunk_n - CHUNK_BYTES;
    uint8_t *index = chunk + chunk_n;

    if (keys > body) keys = (uint32_t)body;
    nadb_put_u32(b->p + HEAD_CRC, nadb_crc32c(0, b->p, HEAD_CRC));
    nadb_put_u32(chunk + CHUNK_KEYS_CRC,
                 backup_crc(id, chunk + CHUNK_BYTES, keys));
    nadb_put_u32(chunk + CHUNK_VALUES_CRC,
                 backup_crc(id, chunk + CHUNK_BYTES + keys, body - keys));
    nadb_put_u32(chunk + CHUNK_CRC, backup_crc(id, chunk, CHUNK_CRC));
    nadb_put_u32(end + END_INDEX_CRC,
                 backup_crc(id, index, (size_t)(end - index)));
    nadb_put_u32(end + END_CRC, backup_crc(id, end, END_CRC));
}

/* Whatever a file claims, reading it in all ways ends without harm. */
static void read_hostile(const char *name) {
    static const char *const keys[] = {"", "r", "rkey/00003", "rkey/00030~",
                                       "zz"};

    for (int way = 0; way < 4; way++) {
        nadb_range all = {{NULL, 0}, {NULL, 0}, (way & 1) != 0};
        backup_rows *r = NULL;
        nadb_iter *it = NULL;
        size_t bytes = 0;
        nadb_err err;

        if (open_rows(name, &r, &err) != NADB_OK) return;
        if (backup_rows_iter(r, &all, (way & 2) != 0, &it, &err) == NADB_OK) {
            for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
                if (nadb_iter_seek(it, nadb_slice_str(keys[i]), &err) ==
                        NADB_OK &&
                    it->valid)
                    bytes += it->entry.key.n + it->entry.value.n;
            while (it->valid && nadb_iter_next(it, &err) == NADB_OK &&
                   it->valid)
                for (size_t i = 0; i < it->entry.value.n; i++)
                    bytes += it->entry.value.p[i];
        }
        nadb_iter_free(it);
        backup_rows_close(r);
        CHECK(bytes != 1); /* that it was read */
    }
}

static void test_rows_hostile(void) {
    const nadb_os *os = nadb_os_get();
    const char *name = "hostile";
    nadb_buf whole = NADB_BUF_INIT, copy = NADB_BUF_INIT;
    backup_sum sum;
    size_t chunk_n;
    nadb_err err;

    make_items();
    REQUIRE_OK(write_items(name, 30, 1, &sum, &err), err);
    REQUIRE_OK(nadb_os_read_file(here, name, 1u << 20, &whole, &err), err);
    chunk_n = (size_t)nadb_get_u64(whole.p + whole.n - END_BYTES + END_INDEX) -
              HEAD_BYTES;
    for (int round = 0; round < 4000; round++) {
        nadb_file *f = NULL;

        nadb_buf_reset(&copy);
        REQUIRE(nadb_buf_append(&copy, whole.p, whole.n));
        for (unsigned n = 1 + draw(4); n > 0; n--) {
            /* Half of them in what describes the rest. */
            size_t at = draw(2) ? draw((uint32_t)copy.n)
                                : HEAD_BYTES + draw(CHUNK_BYTES + 60);

            copy.p[at] = draw(2) ? (uint8_t)draw(256)
                                 : copy.p[at] ^ (uint8_t)(1u << draw(8));
        }
        forge(&copy, chunk_n);
        REQUIRE_OK(os->open(here, name, NADB_OPEN_WRITE, 0, &f, &err), err);
        CHECK_OK(os->pwrite(f, copy.p, copy.n, 0, &err), err);
        os->close(f);
        read_hostile(name);
    }
    nadb_buf_clear(&whole);
    nadb_buf_clear(&copy);
    clear_items();
}

/* --- BACKUP --- */

static void fill_manifest(backup_manifest *m, backup_type type) {
    memset(m, 0, sizeof *m);
    snprintf(m->id, sizeof m->id, "inc_20250102_030405");
    m->type = type;
    if (type == BACKUP_INCREMENTAL) {
        snprintf(m->parent, sizeof m->parent, "a-parent");
        memset(m->parent_sha256, 'a', NADB_SHA256_HEX - 1);
    }
    m->created_ms = 1735787045678;
    snprintf(m->backend, sizeof m->backend, "fs");
    snprintf(m->db, sizeof m->db, "two\nlines, 100%% and \x7f");
    m->ns[0] = '\0';
    m->compression = 9;
    m->rows = UINT64_C(9999999999);
    m->deleted = 3;
    m->total = 0;
    m->bytes = 4711;
    memset(m->file_sha256, '0', NADB_SHA256_HEX - 1);
}

static void test_manifest(void) {
    nadb_err err;

    for (int type = BACKUP_FULL; type <= BACKUP_DATABASE; type++) {
        nadb_buf text = NADB_BUF_INIT;
        backup_manifest m, got;
        backup_part part;

        fill_manifest(&m, (backup_type)type);
        memset(&part, 0, sizeof part);
        snprintf(part.table, sizeof part.table, "a table");
        memset(part.sha256, 'f', NADB_SHA256_HEX - 1);
        if (type == BACKUP_DATABASE)
            REQUIRE(nadb_buf_append(&m.parts, &part, sizeof part));
        REQUIRE_OK(backup_manifest_put(&m, &text, &err), err);
        REQUIRE_OK(
            backup_manifest_take(nadb_buf_slice(&text), "BACKUP", &got, &err),
            err);
        CHECK(
            m.parts.n == got.parts.n &&
            (m.parts.n == 0 || memcmp(m.parts.p, got.parts.p, m.parts.n) == 0));
        backup_manifest_clear(&got);
        for (size_t bit = 0; bit < text.n * 8; bit++) {
            nadb_rc rc;

            text.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
            rc = backup_manifest_take(nadb_buf_slice(&text), "BACKUP", &got,
                                      &err);
            text.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
            backup_manifest_clear(&got);
            if (!CHECK(rc == NADB_CORRUPT || rc == NADB_CANTOPEN)) break;
        }
        for (size_t n = 0; n < text.n; n++) {
            nadb_rc rc = backup_manifest_take(nadb_slice_of(text.p, n),
                                              "BACKUP", &got, &err);

            backup_manifest_clear(&got);
            if (!CHECK(rc == NADB_CORRUPT || rc == NADB_CANTOPEN)) break;
        }
        CHECK(nadb_buf_byte(&text, '\n'));
        CHECK(backup_manifest_take(nadb_buf_slice(&text), "BACKUP", &got,
                                   &err) == NADB_CORRUPT);
        backup_manifest_clear(&got);
        backup_manifest_clear(&m);
        nadb_buf_clear(&text);
    }
}

static void test_manifest_texts(void) {
    nadb_buf text = NADB_BUF_INIT;
    backup_manifest m, got;
    nadb_err err;

    fill_manifest(&m, BACKUP_INCREMENTAL);
    REQUIRE_OK(backup_manifest_put(&m, &text, &err), err);
    REQUIRE_OK(
        backup_manifest_take(nadb_buf_slice(&text), "BACKUP", &got, &err), err);
    CHECK_STR(got.id, m.id);
    CHECK_STR(got.parent, m.parent);
    CHECK_STR(got.parent_sha256, m.parent_sha256);
    CHECK_STR(got.db, m.db);
    CHECK_STR(got.ns, "");
    CHECK_STR(got.sha256, m.sha256);
    CHECK(got.type == BACKUP_INCREMENTAL && got.created_ms == m.created_ms);
    CHECK_U64(got.rows, m.rows);
    CHECK_U64(got.bytes, m.bytes);
    CHECK(got.compression == 9);
    backup_manifest_clear(&got);
    nadb_buf_reset(&text);

    /* A parent may be called as the absence of one is written. */
    snprintf(m.parent, sizeof m.parent, "none");
    REQUIRE_OK(backup_manifest_put(&m, &text, &err), err);
    CHECK_OK(backup_manifest_take(nadb_buf_slice(&text), "BACKUP", &got, &err),
             err);
    CHECK_STR(got.parent, "none");
    backup_manifest_clear(&got);
    nadb_buf_clear(&text);
}

int main(void) {
    nadb_err err;

    if (nadb_os_get()->dir_open(unit_dir(), &here, &err) != NADB_OK) return 1;
    RUN(test_sha_known);
    RUN(test_sha_instruction_is_plain);
    RUN(test_rows_come_back);
#ifdef _GNU_SOURCE
    RUN(test_rows_without_threads);
#else
    printf("not run: no threads, which needs pthread_setattr_default_np()\n");
#endif
    RUN(test_rows_seek);
    RUN(test_rows_values);
    RUN(test_rows_empty);
    RUN(test_rows_damaged);
    RUN(test_rows_hostile);
    RUN(test_manifest);
    RUN(test_manifest_texts);
    nadb_os_get()->dir_close(here);
    return unit_done();
}
