/* fs_corpus.c - writes the seeds of table_fuzz and manifest_fuzz.
 *
 *     cc -std=c11 -D_GNU_SOURCE -o build/fs_corpus test/fuzz/fs_corpus.c \
 *         backends/fs/?*.c core/util/?*.c -pthread
 *     build/fs_corpus test/fuzz/corpus */
#include <stdio.h>
#include <stdlib.h>

#include "../../backends/fs/output.h"
#include "../support/paths.h"

static const nadb_os *os;
static char dir[400];
static nadb_home home;

static void must(nadb_rc rc, const nadb_err *err) {
    if (rc == NADB_OK) return;
    fprintf(stderr, "%s\n", err->msg);
    exit(1);
}

/* `n` keys; each shape has other values. */
static void table(const char *name, unsigned n, unsigned shape) {
    char *path = fs_file_path(&home, 7, "sst");
    char to[500];
    fs_writer *w;
    fs_meta meta;
    nadb_err err;

    must(path_unlink(os, path, &err), &err);
    must(fs_writer_open(&home, 7, 0, &w, &err), &err);
    for (unsigned i = 0; i < n; i++) {
        char key[64], value[64];
        uint8_t ref_bytes[64];
        fs_ref ref = {9, 32 + i, 5000, 17};
        fs_entry e = {.seq = i * 1000, .kind = i % 3};
        int k = snprintf(key, sizeof key, shape ? "r%u" : "rprefix/%06u", i);
        int v = snprintf(value, sizeof value, "%*u", (int)(shape * 7), i);

        if (shape && i >= 10) break; /* "r10" is before "r2" */
        if (e.kind == FS_VALUE)
            e.value = nadb_slice_of(value, (size_t)v);
        else if (e.kind == FS_REF)
            e.value = nadb_slice_of(
                ref_bytes, (size_t)(fs_ref_put(ref_bytes, &ref) - ref_bytes));
        must(fs_writer_add(w, nadb_slice_of(key, (size_t)k), &e, e.seq, &err),
             &err);
    }
    must(fs_writer_finish(w, &meta, &err), &err);
    fs_writer_free(w);
    snprintf(to, sizeof to, "%s/table/%s", dir, name);
    if (rename(path, to) != 0) exit(1);
    nadb_free(path);
}

static void manifest(const char *name, unsigned runs, unsigned tables) {
    fs_manifest none, m;
    nadb_buf b = NADB_BUF_INIT;
    fs_use use = {9, 5000};
    fs_val_meta val = {9, 6000};
    char to[500];
    FILE *f;
    nadb_err err;

    memset(&none, 0, sizeof none);
    must(fs_edit_begin(&m, &none, 100, &err), &err);
    for (unsigned r = 0; r < runs; r++) {
        fs_edit_run(&m, r == 1 ? FS_RUN_SWEEP : 0);
        for (unsigned i = 0; i < tables; i++) {
            char lo[16], hi[16];
            fs_meta t = {.number = r * 10 + i + 1,
                         .size = 4000000 + 1000 * r,
                         .count = 300,
                         .tombstones = i,
                         .shadow = 3 * r,
                         .min_seq = 1,
                         .max_seq = 100 - r};

            snprintf(lo, sizeof lo, "r%02ua", i);
            snprintf(hi, sizeof hi, "r%02uz", i);
            t.lo = nadb_slice_str(lo);
            t.hi = nadb_slice_str(hi);
            t.uses = &use;
            t.n_uses = r % 2;
            must(fs_edit_table(&m, &t, &err), &err);
        }
    }
    m.vals = &val;
    m.n_vals = runs > 1;
    must(fs_manifest_encode(&m, &b, &err), &err);
    snprintf(to, sizeof to, "%s/manifest/%s", dir, name);
    f = fopen(to, "wb");
    if (f == NULL || fwrite(b.p, b.n, 1, f) != 1 || fclose(f) != 0) exit(1);
    nadb_buf_clear(&b);
    fs_manifest_clear(&m);
}

int main(int argc, char **argv) {
    nadb_err err;

    if (argc != 2) return 1;
    snprintf(dir, sizeof dir, "%s", argv[1]);
    os = nadb_os_get();
    home = (nadb_home){os, NULL, 0644, {true, {7}}};
    must(os->dir_open(dir, &home.dir, &err), &err);
    table("one", 1, 0);
    table("ten", 10, 1);
    table("blocks", 300, 0);
    manifest("empty", 0, 0);
    manifest("one", 1, 1);
    manifest("runs", 6, 2);
    return 0;
}
