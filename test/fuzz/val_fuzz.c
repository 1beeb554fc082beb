/* val_fuzz.c - hostile bytes in a file of large values: its header's checksum
 * is put right (mode 0), or nothing is (mode 1); mode 2: while the store is
 * open; mode 4 and up: the file has another length, and MANIFEST says so. */
#include "repair.h"
#include "store_fuzz.h"

/* MANIFEST with another size for the one .val file. */
static void resize(uint64_t size) {
    nadb_home home = {nadb_os_get(), NULL, 0600, {false, {0}}};
    fs_manifest m;

    MUST(home.os->dir_open(fuzz_in, &home.dir, NULL) == NADB_OK);
    MUST(fs_manifest_read(&home, &m, NULL) == NADB_OK);
    MUST(m.n_vals == 1);
    m.vals[0].size = size;
    MUST(fs_manifest_write(&home, &m, NULL) == NADB_OK);
    fs_manifest_clear(&m);
    home.os->dir_close(home.dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const store_file *f;
    uint8_t *copy;
    size_t n;
    nadb_store *s = NULL;

    if (n_files == 0) fuzz_make();
    if (size < 2) return 0;
    f = fuzz_file(".val");
    if (data[0] & 2) {
        fuzz_damaged(f, true, data + 1, size - 1);
        return 0;
    }
    n = data[0] & 4 ? (size_t)data[1] * 320 : f->n;
    copy = calloc(1, f->n + n);
    MUST(copy != NULL);
    memcpy(copy, f->bytes, f->n);
    fuzz_patch(copy, f->n, data + 1, size - 1);
    if (!(data[0] & 1)) repair_val(copy, n);
    fuzz_restore(f, copy, n);
    if (data[0] & 4) resize(n);
    free(copy);
    if (!fuzz_open(&s)) return 0;
    fuzz_use(s, true);
    if (data[0] & 8) (void)!nadb_store_compact(s, NULL, NULL, NULL);
    nadb_store_close(s);
    return 0;
}
