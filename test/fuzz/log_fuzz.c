/* log_fuzz.c - hostile bytes in a log: with checksums put right and a control
 * that is not trusted, so that the log is replayed (mode 0), the same as they
 * are (mode 1), and in a store that is open (mode 2, 3). */
#include "../../core/engine/wal.h"
#include "store_fuzz.h"

/* Puts right what would stop the reader at once: the header's checksum, and
 * place and checksum of each record whose length leads to another. */
static void repair(uint8_t *p, size_t n, uint64_t number) {
    uint8_t salt[8];
    uint64_t off = WAL_HEADER;

    nadb_put_u64(p + 24, number);
    nadb_put_u32(p + 92, nadb_crc32c(0, p, 92));
    memcpy(salt, p + 16, 8);
    while (off + WAL_RECORD <= n) {
        uint64_t len = nadb_get_u64(p + off + 24);
        uint32_t crc;

        if (len < WAL_RECORD || len > n - off) return;
        nadb_put_u64(p + off + 8, off);
        crc = nadb_crc32c(0, salt, 8);
        crc = nadb_crc32c(crc, p + off + WAL_RECORD, (size_t)len - WAL_RECORD);
        crc = nadb_crc32c(crc, p + off + 8, WAL_RECORD - 8);
        nadb_put_u32(p + off, crc);
        off += len / 8 * 8;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const store_file *f;
    char path[400];
    uint8_t *copy;
    nadb_store *s = NULL;

    if (n_files == 0) fuzz_make();
    if (size < 1) return 0;
    f = fuzz_file(".log");
    if (data[0] & 2) {
        fuzz_damaged(f, data[0] & 1, data + 1, size - 1);
        return 0;
    }
    copy = malloc(f->n);
    MUST(copy != NULL);
    memcpy(copy, f->bytes, f->n);
    fuzz_patch(copy, f->n, data + 1, size - 1);
    if (!(data[0] & 1)) repair(copy, f->n, strtoull(f->name, NULL, 10));
    fuzz_restore(f, copy, f->n);
    free(copy);
    snprintf(path, sizeof path, "%s/control", fuzz_in);
    unlink(path);
    if (!fuzz_open(&s)) return 0;
    fuzz_use(s, size % 4 == 0);
    nadb_store_close(s);
    return 0;
}
