/* index_fuzz.c - hostile bytes in the memtable index, before a store is opened
 * (mode 0: the seal tells; mode 1: with the seal put right) and while it is
 * open (mode 2, 3). */
#include "repair.h"
#include "store_fuzz.h"

/* The control that belongs to an index with these bytes. */
static void reseal(const store_file *index, const uint8_t *bytes) {
    char path[400];
    control_map *m;
    int fd;

    snprintf(path, sizeof path, "%s/control", fuzz_in);
    fd = open(path, O_RDWR);
    MUST(fd >= 0);
    m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    MUST(m != MAP_FAILED);
    repair_index_seal(m, bytes, index->n);
    munmap(m, sizeof *m);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const store_file *f;
    uint8_t *copy;
    nadb_store *s = NULL;

    if (n_files == 0) fuzz_make();
    if (size < 1) return 0;
    f = fuzz_file(".idx");
    if ((data[0] & 3) != 1) {
        fuzz_damaged(f, data[0] & 2, data + 1, size - 1);
        return 0;
    }
    copy = malloc(f->n);
    MUST(copy != NULL);
    memcpy(copy, f->bytes, f->n);
    fuzz_patch(copy, f->n, data + 1, size - 1);
    fuzz_restore(f, copy, f->n);
    reseal(f, copy);
    free(copy);
    if (!fuzz_open(&s)) return 0;
    fuzz_use(s, true);
    nadb_store_close(s);
    return 0;
}
