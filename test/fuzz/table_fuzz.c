/* table_fuzz.c - hostile tables: whatever the bytes, no crash, no hang, no
 * read outside of them.
 * Build and run: run.sh; seeds: fs_corpus.c.
 *
 * The input is a table. Its checksums are put right first, where its footer
 * and properties lead to them, so that what lies behind them is reached. The
 * file lives in memory; reads past its end are seen by the sanitizer. */
#include "../../backends/fs/fs_ops.h"
#include "../../backends/fs/merge.h"
#include "../../backends/fs/output.h"
#include "fuzz.h"
#include "repair.h"

enum { NUMBER = 7 };

static uint8_t *file;
static size_t file_n;

/* --- an operating system with one file --- */

static nadb_rc mem_open(nadb_dir *d, const char *name, unsigned flags,
                        uint32_t mode, nadb_file **out, nadb_err *err) {
    (void)d, (void)name, (void)flags, (void)mode, (void)err;
    *out = (nadb_file *)(void *)&file;
    return NADB_OK;
}

static void mem_close(nadb_file *f) { (void)f; }

static nadb_rc mem_pread(nadb_file *f, void *p, size_t n, uint64_t off,
                         nadb_err *err) {
    (void)f;
    if (off > file_n || n > file_n - off)
        return nadb_corrupt(err, "file too short");
    if (n > 0) memcpy(p, file + off, n);
    return NADB_OK;
}

static nadb_rc mem_size(nadb_file *f, uint64_t *out, nadb_err *err) {
    (void)f, (void)err;
    *out = file_n;
    return NADB_OK;
}

static nadb_rc mem_map(nadb_file *f, uint64_t n, bool writable, void **out,
                       nadb_err *err) {
    (void)f, (void)n, (void)writable, (void)err;
    *out = file;
    return NADB_OK;
}

static void mem_unmap(void *p, uint64_t n) { (void)p, (void)n; }

static nadb_rc mem_stat(nadb_dir *d, const char *name, nadb_stat *out,
                        nadb_err *err) {
    (void)d, (void)name, (void)err;
    memset(out, 0, sizeof *out);
    out->kind = NADB_KIND_FILE;
    out->size = file_n;
    return NADB_OK;
}

/* What compaction writes goes nowhere. */
static nadb_rc mem_pwrite(nadb_file *f, const void *p, size_t n, uint64_t off,
                          nadb_err *err) {
    (void)f, (void)p, (void)n, (void)off, (void)err;
    return NADB_OK;
}

static nadb_rc mem_sync(nadb_file *f, nadb_err *err) {
    (void)f, (void)err;
    return NADB_OK;
}

static nadb_rc mem_unlink(nadb_dir *d, const char *name, nadb_err *err) {
    (void)d, (void)name, (void)err;
    return NADB_OK;
}

static nadb_rc mem_dir_sync(nadb_dir *d, nadb_err *err) {
    (void)d, (void)err;
    return NADB_OK;
}

static const char *mem_dir_path(const nadb_dir *d) {
    (void)d;
    return "/d";
}

static const char *mem_path(const nadb_file *f) {
    (void)f;
    return "file";
}

static const nadb_os mem_os = {.pwrite = mem_pwrite,
                               .sync = mem_sync,
                               .unlink = mem_unlink,
                               .dir_sync = mem_dir_sync,
                               .dir_path = mem_dir_path,
                               .path = mem_path,
                               .open = mem_open,
                               .close = mem_close,
                               .pread = mem_pread,
                               .size = mem_size,
                               .map = mem_map,
                               .unmap = mem_unmap,
                               .stat = mem_stat};

/* --- reading all of it, in every way --- */

static void one_line(void *ctx, const char *what) { (void)ctx, (void)what; }

static void read_range(fs_version *v, nadb_slice lo, bool reverse) {
    nadb_range range = {lo, {NULL, 0}, reverse};
    nadb_iter *it;

    if (fs_iter(&v->pub, &range, &it, NULL) != NADB_OK) return;
    for (int i = 0; i < 1000; i++) {
        nadb_buf scratch = NADB_BUF_INIT;
        nadb_entry e;
        bool found;

        if (nadb_iter_next(it, NULL) != NADB_OK || !it->valid) break;
        if (fs_get(&v->pub, it->entry.key, &scratch, &e, &found, NULL) ==
                NADB_OK &&
            found && e.value.n > 0)
            i += e.value.p[e.value.n - 1] & 1;
        nadb_buf_clear(&scratch);
        if (i == 5 && nadb_iter_seek(it, lo, NULL) != NADB_OK) break;
    }
    nadb_iter_free(it);
}

/* As compaction does: every entry goes into a new table. */
static void rewrite(fs_base *b, fs_version *v) {
    nadb_range range = {{NULL, 0}, {NULL, 0}, false};
    fs_output o;
    fs_merge m;
    nadb_rc rc = fs_merge_init(&m, v, 0, 1, &range, true, NULL);

    if (rc != NADB_OK) return;
    fs_output_init(&o, b, 0);
    for (int i = 0; i < 2000; i++) {
        rc = fs_merge_next(&m, NULL);
        if (rc != NADB_OK || m.top == NULL) break;
        rc = fs_output_add(&o, nadb_buf_slice(&m.top->key), &m.top->e, NULL);
        if (rc != NADB_OK) break;
    }
    if (rc == NADB_OK) (void)!fs_output_finish(&o, NULL);
    fs_output_clear(&o);
    fs_merge_clear(&m);
}

static void read_version(fs_base *b, const fs_meta *t) {
    fs_run run = {0, 1, 0};
    fs_manifest m;
    fs_version *v;

    memset(&m, 0, sizeof m);
    m.generation = 1;
    m.runs = nadb_arena_alloc(&m.arena, sizeof *m.runs);
    m.tables = nadb_arena_alloc(&m.arena, sizeof *m.tables);
    if (m.runs == NULL || m.tables == NULL) exit(1);
    m.runs[0] = run;
    m.tables[0] = *t;
    m.n_runs = m.n_tables = 1;
    if (fs_version_make(b, &m, &v, NULL) != NADB_OK) return;
    read_range(v, nadb_slice_of(NULL, 0), false);
    read_range(v, nadb_slice_of(NULL, 0), true);
    read_range(v, t->hi, true);
    read_range(v, nadb_slice_of(file, file_n < 9 ? file_n : 9), false);
    (void)!fs_check(&v->pub, one_line, NULL, NULL);
    rewrite(b, v);
    fs_version_unref(&v->pub);
}

static uint64_t zero(void *ctx) {
    (void)ctx;
    return 0;
}

static nadb_rc next_file(void *ctx, uint64_t *out, nadb_err *err) {
    (void)ctx, (void)err;
    *out = 1;
    return NADB_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static nadb_dir *no_manifest; /* what reads MANIFEST looks there */
    nadb_home home = {&mem_os, NULL, 0600, {false, {0}}};
    nadb_base_env env = {.os = &mem_os,
                         .home = &home,
                         .dir = "/d",
                         .next_file = next_file,
                         .oldest_seq = zero};
    fs_meta t = {.number = NUMBER, .size = size, .count = 1};
    uint8_t id[NADB_STORE_ID];

    if (no_manifest == NULL &&
        nadb_os_get()->dir_open("/proc/self", &no_manifest, NULL) != NADB_OK)
        return 0;
    home.dir = no_manifest;
    file = malloc(size + 1);
    if (file == NULL) return 0;
    file_n = size;
    memcpy(file, data, size);
    file = realloc(file, size); /* no byte to spare for the sanitizer */
    if (size < FS_FOOTER) goto done;
    memset(id, 7, sizeof id);
    repair_table(file, size, NUMBER, id);
    t.lo = nadb_slice_of(file, 0);
    t.hi = nadb_slice_of("\xff\xff\xff\xff", 4);
    for (int mmap = 0; mmap <= 1; mmap++) {
        nadb_base *base;

        env.mmap = mmap == 1;
        if (fs_base_open(&env, &base, NULL) != NADB_OK) break;
        read_version((fs_base *)base, &t);
        fs_base_close(base);
    }
done:
    free(file);
    return 0;
}
