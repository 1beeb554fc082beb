/* stores_fuzz.c - a whole store whose files were changed together, with right
 * checksums: each file says what it likes about the others.
 *
 *   u8 mode, then patches: u8 file, u32 offset, u8 length, that many bytes
 *
 * Mode 1: without control, so that the logs are replayed; 2: compacted; 4: a
 * transaction is written before the rest; 8: opened again behind that. */
#include "repair.h"
#include "store_fuzz.h"

static uint8_t *copies[FILES_MAX];

static bool ends_with(const store_file *f, const char *end) {
    size_t n = strlen(f->name), m = strlen(end);

    return n >= m && strcmp(f->name + n - m, end) == 0;
}

static void copy_all(void) {
    for (size_t i = 0; i < n_files; i++) {
        copies[i] = malloc(files[i].n + 1);
        MUST(copies[i] != NULL);
        memcpy(copies[i], files[i].bytes, files[i].n);
    }
}

static void free_all(void) {
    for (size_t i = 0; i < n_files; i++) free(copies[i]);
}

static void patch_all(const uint8_t *data, size_t size) {
    while (size >= 7) {
        size_t i = data[0] % n_files;
        size_t len = (size_t)data[5] + 5;

        if (len > size - 1) len = size - 1;
        fuzz_patch(copies[i], files[i].n, data + 1, len);
        data += 1 + len;
        size -= 1 + len;
    }
}

static void repair_all(void) {
    const store_file *table = fuzz_file(".sst");
    uint8_t *control = NULL, *index = NULL;
    size_t index_n = 0;

    for (size_t i = 0; i < n_files; i++) {
        const store_file *f = &files[i];
        uint64_t number = strtoull(f->name, NULL, 10);

        if (ends_with(f, ".log")) repair_log(copies[i], f->n, number);
        if (ends_with(f, ".sst"))
            repair_table(copies[i], f->n, number,
                         table->bytes + table->n - FS_FOOTER + 32);
        if (ends_with(f, ".val")) repair_val(copies[i], f->n);
        if (ends_with(f, "MANIFEST")) repair_manifest(copies[i], f->n);
        if (ends_with(f, "control")) control = copies[i];
        if (ends_with(f, ".idx")) {
            index = copies[i];
            index_n = f->n;
        }
    }
    if (control != NULL && index != NULL)
        repair_index_seal((control_map *)(void *)control, index, index_n);
}

static void use(int mode) {
    nadb_store *s = NULL;

    if (!fuzz_open(&s)) return;
    if (mode & 4) (void)!fuzz_write(s, 50, 52, 10, NULL);
    fuzz_use(s, true);
    if (mode & 2) (void)!nadb_store_compact(s, NULL, NULL, NULL);
    fuzz_read(s);
    nadb_store_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (n_files == 0) fuzz_make();
    if (size < 1) return 0;
    copy_all();
    patch_all(data + 1, size - 1);
    repair_all();
    fuzz_each(fuzz_remove);
    for (size_t i = 0; i < n_files; i++)
        if (!(data[0] & 1) || !ends_with(&files[i], "control"))
            fuzz_write_file(&files[i], copies[i], files[i].n);
    free_all();
    use(data[0]);
    if (data[0] & 8) use(0);
    return 0;
}
