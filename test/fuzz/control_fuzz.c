/* control_fuzz.c - hostile bytes in control, before a store is opened (mode 0,
 * and 1: with the seal put right) and while it is open (mode 2, 3). */
#include "repair.h"
#include "store_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t copy[sizeof(control_map)];
    const store_file *f;
    nadb_store *s = NULL;

    if (n_files == 0) fuzz_make();
    if (size < 1) return 0;
    f = fuzz_file("control");
    MUST(f->n == sizeof copy);
    if ((data[0] & 3) != 1) {
        fuzz_damaged(f, data[0] & 2, data + 1, size - 1);
        return 0;
    }
    memcpy(copy, f->bytes, f->n);
    fuzz_patch(copy, f->n, data + 1, size - 1);
    repair_seal((control_map *)(void *)copy);
    fuzz_restore(f, copy, f->n);
    if (!fuzz_open(&s)) return 0;
    fuzz_use(s, true);
    nadb_store_close(s);
    return 0;
}
