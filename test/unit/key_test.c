/* key_test.c - keys as bytes: what goes in comes out, and the order is that of
 * SQLite, for all short keys. */
#include "../../core/util/key.h"

#include "unit.h"

/* A key of SQL: all of up to 3 bytes of an alphabet that has every case. */
typedef struct sql_key {
    bool blob;
    uint8_t bytes[3];
    size_t n;
} sql_key;

static const uint8_t alphabet[] = {0x00, 0x01, 'a', 0x7f, 0x80, 0xfe, 0xff};
#define LETTERS sizeof alphabet
#define KEYS                                                                   \
    (2 * (1 + LETTERS + LETTERS * LETTERS + LETTERS * LETTERS * LETTERS))

static sql_key keys[KEYS];

static void make_keys(void) {
    size_t at = 0;

    for (int blob = 0; blob < 2; blob++)
        for (size_t n = 0, many = 1; n <= 3; n++, many *= LETTERS)
            for (size_t i = 0; i < many; i++) {
                sql_key *k = &keys[at++];

                k->blob = blob == 1;
                k->n = n;
                for (size_t j = 0, rest = i; j < n; j++, rest /= LETTERS)
                    k->bytes[j] = alphabet[rest % LETTERS];
            }
    CHECK(at == KEYS);
}

static int sign(int c) { return (c > 0) - (c < 0); }

static int sqlite_order(const sql_key *a, const sql_key *b) {
    if (a->blob != b->blob) return a->blob ? 1 : -1;
    return sign(nadb_slice_cmp(nadb_slice_of(a->bytes, a->n),
                               nadb_slice_of(b->bytes, b->n)));
}

static void put(nadb_buf *b, const sql_key *k) {
    nadb_slice bytes = nadb_slice_of(k->bytes, k->n);

    nadb_buf_reset(b);
    CHECK(k->blob ? nadb_key_put_blob(b, bytes) : nadb_key_put_text(b, bytes));
}

static void test_round_trip(void) {
    nadb_buf b = NADB_BUF_INIT;
    unsigned wrong = 0;

    for (size_t i = 0; i < KEYS; i++) {
        const sql_key *k = &keys[i];
        nadb_slice rest;
        uint8_t first;
        bool blob;
        size_t n;

        put(&b, k);
        blob = nadb_key_is_blob(nadb_buf_slice(&b), &rest, &first);
        n = first == 0 ? 0 : 1;
        if (blob != k->blob || rest.n + n != k->n) wrong++;
        if (n == 1 && k->bytes[0] != first) wrong++;
        if (rest.n > 0 && memcmp(rest.p, k->bytes + n, rest.n) != 0) wrong++;
        /* A TEXT that could be UTF-8 is its own bytes. */
        if (!k->blob && (k->n == 0 || k->bytes[0] != 0xff) &&
            !nadb_slice_eq(nadb_buf_slice(&b), nadb_slice_of(k->bytes, k->n)))
            wrong++;
    }
    CHECK(wrong == 0);
    nadb_buf_clear(&b);
}

static void test_order(void) {
    nadb_buf a = NADB_BUF_INIT, b = NADB_BUF_INIT;
    unsigned wrong = 0;

    for (size_t i = 0; i < KEYS; i++) {
        put(&a, &keys[i]);
        for (size_t j = 0; j < KEYS; j += 7) {
            put(&b, &keys[j]);
            if (sign(nadb_slice_cmp(nadb_buf_slice(&a), nadb_buf_slice(&b))) !=
                sqlite_order(&keys[i], &keys[j]))
                wrong++;
        }
        if ((nadb_slice_cmp(nadb_buf_slice(&a), nadb_key_first_blob) >= 0) !=
            keys[i].blob)
            wrong++;
    }
    CHECK(wrong == 0);
    nadb_buf_clear(&a);
    nadb_buf_clear(&b);
}

static void test_show(void) {
    char shown[NADB_KEY_SHOWN], want[NADB_KEY_SHOWN];
    nadb_buf b = NADB_BUF_INIT;
    uint8_t bytes[200];

    memset(bytes, 'k', sizeof bytes);
    CHECK_STR(nadb_key_show(nadb_slice_of("abc", 2), shown), "ab");
    CHECK_STR(nadb_key_show(nadb_slice_of(NULL, 0), shown), "");
    CHECK_STR(nadb_key_show(nadb_slice_of("\xff\x00x", 3), shown), "\xffx");
    CHECK_STR(nadb_key_show(nadb_slice_of("\xff\x01\x00\xab", 4), shown),
              "x'00ab'");
    CHECK_STR(nadb_key_show(nadb_key_first_blob, shown), "x''");
    snprintf(want, sizeof want, "%.*s..", 80, (char *)bytes);
    CHECK_STR(nadb_key_show(nadb_slice_of(bytes, 200), shown), want);
    CHECK(nadb_key_put_blob(&b, nadb_slice_of(bytes, 200)));
    CHECK_U64(strlen(nadb_key_show(nadb_buf_slice(&b), shown)), 85);
    nadb_buf_clear(&b);
}

int main(void) {
    make_keys();
    RUN(test_round_trip);
    RUN(test_order);
    RUN(test_show);
    return unit_done();
}
