/* log_fuzz.c - hostile bytes in a log: with checksums put right and a control
 * that is not trusted, so that the log is replayed (mode 0), the same as they
 * are (mode 1), and in a store that is open (mode 2, 3). */
#include "repair.h"
#include "store_fuzz.h"

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
    if (!(data[0] & 1)) repair_log(copy, f->n, strtoull(f->name, NULL, 10));
    fuzz_restore(f, copy, f->n);
    free(copy);
    snprintf(path, sizeof path, "%s/control", fuzz_in);
    unlink(path);
    if (!fuzz_open(&s)) return 0;
    fuzz_use(s, size % 4 == 0);
    nadb_store_close(s);
    return 0;
}
