/* history.c - writes, finds and reads the files of history.h.
 *
 * Bytes of a file are used only after their checksum was verified: a bad header
 * ends the file, a bad block is NADB_CORRUPT. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../util/assert.h"
#include "../util/coding.h"
#include "../util/crc32c.h"
#include "history.h"

#define KIND "chg"
#define MAGIC "NADBchg1"
#define FILE_HEADER 32u    /* magic, store id, CRC32C of both, 0 */
#define SEGMENT_HEADER 64u /* crc, 0, then seven u64 of history_segment */
#define BLOCK_HEADER 8u    /* crc, length */
#define BLOCK_BYTES 32768u /* a block ends when it has this size */
#define BLOCK_MAX (BLOCK_BYTES + NADB_KEY_MAX + 2 * NADB_VARINT_MAX + 1)
/* A segment begins a new file if the last file has this size. */
#define FILE_BYTES ((uint64_t)4 << 20)
/* A smaller segment is rewritten as part of the next one, so that many small
 * flushes do not leave many segments. */
#define SMALL_BYTES ((uint64_t)64 << 10)

/* --- how much is kept --- */

nadb_keep engine_keep(const engine *s) {
    nadb_keep k;

    k.ms = (int64_t)(atomic_load(&s->ctl.map->keep_ms) & INT64_MAX);
    k.bytes = atomic_load(&s->ctl.map->keep_bytes);
    return k;
}

void engine_keep_raise(nadb_engine *e, nadb_keep keep) {
    engine_keep_set(engine_of(e), keep, false);
}

void engine_keep_set(engine *s, nadb_keep mine, bool first) {
    nadb_keep have = engine_keep(s);

    if (!s->traits->keeps_changes || s->private_memory) return;
    if (first || mine.ms > have.ms)
        atomic_store(&s->ctl.map->keep_ms, (uint64_t)mine.ms);
    if (first || mine.bytes > have.bytes)
        atomic_store(&s->ctl.map->keep_bytes, mine.bytes);
}

/* --- headers --- */

static void file_header(const engine *s, uint8_t h[FILE_HEADER]) {
    memset(h, 0, FILE_HEADER);
    memcpy(h, MAGIC, 8);
    memcpy(h + 8, s->home.id.bytes, NADB_STORE_ID);
    nadb_put_u32(h + 24, nadb_crc32c(0, h, 24));
}

static void segment_encode(const history_segment *g,
                           uint8_t h[SEGMENT_HEADER]) {
    memset(h, 0, SEGMENT_HEADER);
    nadb_put_u64(h + 8, g->from);
    nadb_put_u64(h + 16, g->to);
    nadb_put_u64(h + 24, g->min);
    nadb_put_u64(h + 32, g->max);
    nadb_put_u64(h + 40, g->time_ms);
    nadb_put_u64(h + 48, g->length);
    nadb_put_u64(h + 56, g->off);
    nadb_put_u32(h, nadb_crc32c(0, h + 4, SEGMENT_HEADER - 4));
}

static bool segment_decode(const uint8_t h[SEGMENT_HEADER],
                           history_segment *g) {
    if (nadb_get_u32(h) != nadb_crc32c(0, h + 4, SEGMENT_HEADER - 4))
        return false;
    g->from = nadb_get_u64(h + 8);
    g->to = nadb_get_u64(h + 16);
    g->min = nadb_get_u64(h + 24);
    g->max = nadb_get_u64(h + 32);
    g->time_ms = nadb_get_u64(h + 40);
    g->length = nadb_get_u64(h + 48);
    return nadb_get_u64(h + 56) == g->off;
}

/* Reads the header of the segment at `off` in a file of `size` bytes. */
static nadb_rc segment_read(engine *s, nadb_file *f, uint64_t size,
                            history_segment *g, bool *valid, nadb_err *err) {
    uint8_t h[SEGMENT_HEADER];
    nadb_err mine;
    nadb_rc rc;

    *valid = false;
    if (g->off > size || size - g->off < SEGMENT_HEADER) return NADB_OK;
    rc = s->os->pread(f, h, sizeof h, g->off, &mine);
    /* The file has become shorter: a flush has cut off what a failed one left
     * behind the chain. */
    if (rc == NADB_CORRUPT) return NADB_OK;
    if (rc != NADB_OK) return nadb_fail(err, rc, "%s", mine.msg);
    *valid = segment_decode(h, g) && g->length <= size - g->off - sizeof h;
    return NADB_OK;
}

/* Opens a file and checks its header. *f is NULL if it is gone or not valid. */
static nadb_rc file_open(engine *s, uint64_t number, unsigned flags,
                         nadb_file **f, uint64_t *size, nadb_err *err) {
    uint8_t h[FILE_HEADER], want[FILE_HEADER];
    nadb_err mine;
    nadb_rc rc;

    *f = NULL;
    nadb_err_clear(&mine);
    rc = nadb_home_open(&s->home, number, KIND, flags, f, &mine);
    if (mine.sys_errno == ENOENT) return NADB_OK;
    if (rc == NADB_OK) rc = s->os->size(*f, size, &mine);
    file_header(s, want);
    if (rc == NADB_OK && *size >= sizeof h)
        rc = s->os->pread(*f, h, sizeof h, 0, &mine);
    if (rc == NADB_OK && *size >= sizeof h && memcmp(h, want, sizeof h) == 0)
        return NADB_OK;
    s->os->close(*f);
    *f = NULL;
    return rc == NADB_OK ? rc : nadb_fail(err, rc, "%s", mine.msg);
}

/* --- the files --- */

static nadb_rc each_name(void *ctx, const char *name, nadb_err *err) {
    const char *kind = "";
    uint64_t number = 0;

    if (!nadb_file_parse(name, &number, &kind) || strcmp(kind, KIND) != 0)
        return NADB_OK;
    if (nadb_buf_append(ctx, &number, sizeof number)) return NADB_OK;
    return nadb_fail(err, NADB_NOMEM, "listing changes");
}

static int by_number(const void *a, const void *b) {
    uint64_t x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

static nadb_rc list_files(engine *s, nadb_buf *numbers, nadb_err *err) {
    nadb_rc rc = s->os->dir_list(s->home.dir, each_name, numbers, err);

    if (numbers->n > 0)
        qsort(numbers->p, numbers->n / sizeof(uint64_t), sizeof(uint64_t),
              by_number);
    return rc;
}

static uint64_t number_at(const nadb_buf *numbers, size_t i) {
    uint64_t number;

    memcpy(&number, numbers->p + i * sizeof number, sizeof number);
    return number;
}

/* Appends the segments of one file to *all. */
static nadb_rc list_segments(engine *s, uint64_t number, nadb_buf *all,
                             nadb_err *err) {
    history_segment g = {.file = number, .off = FILE_HEADER};
    nadb_file *f = NULL;
    uint64_t size = 0;
    bool valid = true;
    nadb_rc rc = file_open(s, number, NADB_OPEN_READ, &f, &size, err);

    while (rc == NADB_OK && f != NULL) {
        rc = segment_read(s, f, size, &g, &valid, err);
        if (rc != NADB_OK || !valid) break;
        if (!nadb_buf_append(all, &g, sizeof g))
            rc = nadb_fail(err, NADB_NOMEM, "listing changes");
        g.off += SEGMENT_HEADER + g.length;
    }
    s->os->close(f);
    return rc;
}

/* Reduces *all, in the order of writing, to the segments of the chain. */
static uint64_t find_chain(nadb_buf *all, uint64_t base_seq) {
    history_segment *g = (history_segment *)(void *)all->p;
    size_t n = all->n / sizeof *g, at = n;
    uint64_t floor = base_seq;

    for (size_t i = n; i > 0; i--) {
        if (g[i - 1].to != floor || g[i - 1].from >= floor) continue;
        floor = g[i - 1].from;
        g[--at] = g[i - 1];
    }
    all->n = (n - at) * sizeof *g;
    if (at > 0 && all->n > 0) memmove(g, g + at, all->n);
    return floor;
}

nadb_rc history_chain(engine *s, uint64_t base_seq, nadb_buf *chain,
                      uint64_t *floor, nadb_err *err) {
    nadb_buf numbers = NADB_BUF_INIT;
    nadb_rc rc = list_files(s, &numbers, err);

    *floor = base_seq;
    nadb_buf_reset(chain);
    for (size_t i = 0; i < numbers.n / sizeof(uint64_t) && rc == NADB_OK; i++)
        rc = list_segments(s, number_at(&numbers, i), chain, err);
    if (rc == NADB_OK) *floor = find_chain(chain, base_seq);
    nadb_buf_clear(&numbers);
    return rc;
}

/* --- reading a segment --- */

nadb_rc history_walk_open(engine *s, const history_segment *g, history_walk *w,
                          nadb_err *err) {
    history_segment there = {.file = g->file, .off = g->off};
    uint64_t size = 0;
    bool valid = false;
    nadb_rc rc;

    memset(w, 0, sizeof *w);
    w->s = s;
    rc = file_open(s, g->file, NADB_OPEN_READ, &w->file, &size, err);
    if (rc == NADB_OK && w->file != NULL)
        rc = segment_read(s, w->file, size, &there, &valid, err);
    if (rc == NADB_OK && (!valid || there.to != g->to || there.max != g->max))
        return nadb_changes_gone(g->from, g->to, true, err);
    w->off = g->off + SEGMENT_HEADER;
    w->end = w->off + g->length;
    return rc;
}

void history_walk_close(history_walk *w) {
    if (w->file != NULL) w->s->os->close(w->file);
    nadb_buf_clear(&w->block);
    memset(w, 0, sizeof *w);
}

static nadb_rc walk_damaged(const history_walk *w, nadb_err *err) {
    return nadb_corrupt(err,
                        "%s: the changes at offset %llu are damaged: read the "
                        "table as a whole, then go on from its last commit",
                        w->s->os->path(w->file), (unsigned long long)w->off);
}

static nadb_rc block_read(history_walk *w, nadb_err *err) {
    uint8_t h[BLOCK_HEADER];
    uint32_t n;
    nadb_rc rc;

    if (w->end - w->off < sizeof h) return walk_damaged(w, err);
    rc = w->s->os->pread(w->file, h, sizeof h, w->off, err);
    if (rc != NADB_OK) return rc;
    n = nadb_get_u32(h + 4);
    if (n > BLOCK_MAX || n > w->end - w->off - sizeof h)
        return walk_damaged(w, err);
    nadb_buf_reset(&w->block);
    if (!nadb_buf_reserve(&w->block, n))
        return nadb_fail(err, NADB_NOMEM, "listing changes");
    rc = w->s->os->pread(w->file, w->block.p, n, w->off + sizeof h, err);
    if (rc != NADB_OK) return rc;
    if (nadb_get_u32(h) != nadb_crc32c(nadb_crc32c(0, h + 4, 4), w->block.p, n))
        return walk_damaged(w, err);
    w->block.n = n;
    w->at = 0;
    w->seq = 0;
    w->off += sizeof h + n;
    return NADB_OK;
}

nadb_rc history_walk_next(history_walk *w, nadb_change *out, bool *found,
                          nadb_err *err) {
    nadb_reader r;
    uint64_t step;
    uint8_t kind;
    nadb_rc rc;

    *found = false;
    while (w->at == w->block.n) {
        if (w->off == w->end) return NADB_OK;
        rc = block_read(w, err);
        if (rc != NADB_OK) return rc;
    }
    r = nadb_reader_of(nadb_slice_of(w->block.p + w->at, w->block.n - w->at));
    step = nadb_read_varint(&r);
    kind = nadb_read_u8(&r);
    out->key = nadb_read_blob(&r);
    if (r.bad || kind > NADB_CHANGE_CLEAR || step > UINT64_MAX - w->seq)
        return walk_damaged(w, err);
    out->kind = (nadb_change_kind)kind;
    out->seq = w->seq += step;
    w->at = w->block.n - nadb_reader_left(&r);
    *found = true;
    return NADB_OK;
}

/* --- writing --- */

typedef struct history_writer {
    engine *s;
    nadb_file *file;
    uint64_t off; /* where the next block goes */
    nadb_buf block;
    uint64_t last; /* sequence number of its last change; 0: none */
    history_segment segment;
    history_segment small; /* the last segment, if it is to be rewritten */
    size_t n_small;        /* 1: `small` is rewritten; 0: it stays */
} history_writer;

/* Finds the place of the next segment: behind the chain, in the last file or in
 * a new one. */
static nadb_rc place_find(history_writer *w, uint64_t base_seq, nadb_err *err) {
    engine *s = w->s;
    nadb_buf numbers = NADB_BUF_INIT, all = NADB_BUF_INIT;
    nadb_rc rc = list_files(s, &numbers, err);
    uint64_t last = numbers.n == 0
                        ? 0
                        : number_at(&numbers, numbers.n / sizeof(uint64_t) - 1);

    if (rc == NADB_OK && last != 0) rc = list_segments(s, last, &all, err);
    w->segment.file = last;
    w->segment.off = FILE_HEADER;
    for (size_t i = 0; rc == NADB_OK && i < all.n / sizeof(history_segment);
         i++) {
        const history_segment *g =
            (const history_segment *)(const void *)all.p + i;

        if (g->to > base_seq) break; /* left by a failed flush */
        w->segment.off = g->off + SEGMENT_HEADER + g->length;
        w->small = *g;
    }
    w->n_small = w->small.to == base_seq && w->small.length < SMALL_BYTES;
    if (last == 0 || w->segment.off >= FILE_BYTES) w->segment.file = 0;
    nadb_buf_clear(&numbers);
    nadb_buf_clear(&all);
    return rc;
}

static nadb_rc file_make(history_writer *w, nadb_err *err) {
    engine *s = w->s;
    uint8_t h[FILE_HEADER];
    nadb_err mine;
    nadb_rc rc = NADB_OK;

    /* A number whose name is taken is skipped. */
    for (int tries = 0; tries < NADB_NAME_TRIES; tries++) {
        nadb_err_clear(&mine);
        rc = engine_next_file(s, &w->segment.file, &mine);
        if (rc == NADB_OK)
            rc = nadb_home_open(&s->home, w->segment.file, KIND,
                                NADB_OPEN_WRITE | NADB_OPEN_CREATE |
                                    NADB_OPEN_EXCLUSIVE,
                                &w->file, &mine);
        if (mine.sys_errno != EEXIST) break;
    }
    file_header(s, h);
    if (rc == NADB_OK) rc = s->os->pwrite(w->file, h, sizeof h, 0, &mine);
    if (rc != NADB_OK && err != NULL) *err = mine;
    w->segment.off = FILE_HEADER;
    return rc;
}

/* Opens the file and cuts off what is behind the place. */
static nadb_rc place_open(history_writer *w, uint64_t base_seq, nadb_err *err) {
    uint64_t size = 0;
    nadb_rc rc = place_find(w, base_seq, err);

    if (rc == NADB_OK && w->segment.file != 0)
        rc = file_open(w->s, w->segment.file, NADB_OPEN_WRITE, &w->file, &size,
                       err);
    if (rc == NADB_OK && w->file == NULL) rc = file_make(w, err);
    if (rc == NADB_OK) rc = w->s->os->truncate(w->file, w->segment.off, err);
    return rc;
}

static nadb_rc block_write(history_writer *w, nadb_err *err) {
    uint8_t h[BLOCK_HEADER];
    uint32_t n = (uint32_t)w->block.n;
    nadb_rc rc;

    if (n == 0) return NADB_OK;
    nadb_put_u32(h + 4, n);
    nadb_put_u32(h, nadb_crc32c(nadb_crc32c(0, h + 4, 4), w->block.p, n));
    rc = w->s->os->pwrite(w->file, h, sizeof h, w->off, err);
    if (rc == NADB_OK)
        rc = w->s->os->pwrite(w->file, w->block.p, n, w->off + sizeof h, err);
    w->off += sizeof h + n;
    w->last = 0;
    nadb_buf_reset(&w->block);
    return rc;
}

static nadb_rc change_write(history_writer *w, const nadb_change *c,
                            nadb_err *err) {
    history_segment *g = &w->segment;

    if (c->seq < g->max)
        return nadb_corrupt(err, "%s: changes are out of order",
                            w->s->os->path(w->file));
    if (g->min == 0) g->min = c->seq;
    g->max = c->seq;
    if (!nadb_buf_varint(&w->block, c->seq - w->last) ||
        !nadb_buf_byte(&w->block, (uint8_t)c->kind) ||
        !nadb_buf_blob(&w->block, c->key))
        return nadb_fail(err, NADB_NOMEM, "keeping changes");
    w->last = c->seq;
    return w->block.n < BLOCK_BYTES ? NADB_OK : block_write(w, err);
}

static nadb_rc changes_write(history_writer *w, memtable *const *logs, size_t n,
                             engine_changes_fn *all, nadb_err *err) {
    nadb_changes *walk = NULL;
    nadb_change c;
    bool found = true;
    nadb_rc rc = all(w->s, logs, n, &w->small, w->n_small, &walk, err);

    while (rc == NADB_OK && found) {
        rc = walk->next(walk, &c, &found, err);
        if (rc == NADB_OK && found) rc = change_write(w, &c, err);
    }
    if (rc == NADB_OK) rc = block_write(w, err);
    if (walk != NULL) walk->free(walk);
    return rc;
}

/* The logs do not list commits up to this one; 0: they list all. */
static uint64_t unlisted(memtable *const *logs, size_t n) {
    uint64_t last = 0;

    for (size_t i = 0; i < n; i++)
        if (atomic_load(&logs[i]->head->keeps) == 0 &&
            atomic_load(&logs[i]->head->max_seq) > last)
            last = atomic_load(&logs[i]->head->max_seq);
    return last;
}

/* Writes the blocks of the segment, from its beginning. */
static nadb_rc segment_begin(history_writer *w, const engine_version *v,
                             size_t n, engine_changes_fn *all, nadb_err *err) {
    memtable *const *logs = v->logs + v->n_logs - n;
    uint64_t missing = unlisted(logs, n);

    if (missing > 0) w->n_small = 0;
    w->segment.from = w->n_small > 0           ? w->small.from
                      : v->base->seq > missing ? v->base->seq
                                               : missing;
    w->segment.min = w->segment.max = w->last = 0;
    w->off = w->segment.off + SEGMENT_HEADER;
    nadb_buf_reset(&w->block);
    return changes_write(w, logs, n, all, err);
}

/* Writes the header last, after the blocks; the segment is valid once it is
 * synced. */
static nadb_rc segment_end(history_writer *w, nadb_err *err) {
    const nadb_os *os = w->s->os;
    uint8_t h[SEGMENT_HEADER];
    nadb_rc rc;

    w->segment.time_ms = (uint64_t)os->now_ms();
    w->segment.length = w->off - w->segment.off - SEGMENT_HEADER;
    segment_encode(&w->segment, h);
    rc = os->pwrite(w->file, h, sizeof h, w->segment.off, err);
    if (rc == NADB_OK) rc = os->sync(w->file, err);
    if (rc == NADB_OK) rc = os->dir_sync(w->s->home.dir, err);
    return rc;
}

nadb_rc engine_history_add(engine *s, const engine_version *v, size_t n,
                           const nadb_flush_req *req, engine_changes_fn *all,
                           nadb_err *err) {
    history_writer w = {.s = s};
    nadb_err mine;
    nadb_rc rc;

    NADB_ASSERT(atomic_load(&s->ctl.flushing));
    if (!engine_keeps(s) || req->seq == v->base->seq) return NADB_OK;
    nadb_err_clear(&mine);
    w.segment.to = req->seq;
    rc = place_open(&w, v->base->seq, &mine);
    if (rc == NADB_OK) rc = segment_begin(&w, v, n, all, &mine);
    /* The small segment is damaged, and stays as it is. */
    if (rc == NADB_CORRUPT && w.n_small > 0) {
        w.n_small = 0;
        nadb_err_clear(&mine);
        rc = segment_begin(&w, v, n, all, &mine);
    }
    if (rc == NADB_OK) rc = segment_end(&w, &mine);
    if (w.file != NULL) s->os->close(w.file);
    nadb_buf_clear(&w.block);
    /* The flush must go on, because it frees space on a full disk. The chain
     * ends here, and requests for older changes fail. */
    if (rc == NADB_FULL) return NADB_OK;
    return rc == NADB_OK ? rc : nadb_fail(err, rc, "%s", mine.msg);
}

/* --- removing old files --- */

typedef struct history_file {
    uint64_t number, bytes, time_ms;
} history_file;

/* Lists the files that hold segments of the chain, ascending. */
static bool files_of(const nadb_buf *chain, nadb_buf *files) {
    const history_segment *g = (const history_segment *)(const void *)chain->p;

    for (size_t i = 0; i < chain->n / sizeof *g; i++) {
        history_file f = {g[i].file, g[i].off + SEGMENT_HEADER + g[i].length,
                          g[i].time_ms};

        if (files->n > 0 && g[i].file == g[i - 1].file)
            /* one entry per file, from its last segment */
            files->n -= sizeof f;
        if (!nadb_buf_append(files, &f, sizeof f)) return false;
    }
    return true;
}

/* Removes from the list the files that are too old. */
static void drop_old(const engine *s, nadb_buf *files) {
    history_file *f = (history_file *)(void *)files->p;
    size_t n = files->n / sizeof *f, i = 0;
    nadb_keep keep = engine_keep(s);
    int64_t oldest = s->os->now_ms() - keep.ms;
    uint64_t bytes = 0;

    for (size_t j = 0; j < n; j++) bytes += f[j].bytes;
    while (i + 1 < n) {
        bytes -= f[i].bytes;
        if (bytes < keep.bytes ||
            (keep.ms > 0 && oldest < (int64_t)(f[i].time_ms & INT64_MAX)))
            break;
        i++;
    }
    if (!nadb_keeps(keep)) i = n;
    if (i > 0) memmove(f, f + i, (n - i) * sizeof *f);
    files->n = (n - i) * sizeof *f;
}

static bool has_file(const nadb_buf *files, uint64_t number) {
    const history_file *f = (const history_file *)(const void *)files->p;

    for (size_t i = 0; i < files->n / sizeof *f; i++)
        if (f[i].number == number) return true;
    return false;
}

void engine_history_trim(engine *s, uint64_t base_seq) {
    nadb_buf numbers = NADB_BUF_INIT, chain = NADB_BUF_INIT;
    nadb_buf files = NADB_BUF_INIT;
    uint64_t floor = 0;

    NADB_ASSERT(atomic_load(&s->ctl.flushing));
    /* Files that cannot be removed now are removed next time. */
    if (history_chain(s, base_seq, &chain, &floor, NULL) == NADB_OK &&
        files_of(&chain, &files) && list_files(s, &numbers, NULL) == NADB_OK) {
        drop_old(s, &files);
        for (size_t i = 0; i < numbers.n / sizeof(uint64_t); i++)
            if (!has_file(&files, number_at(&numbers, i)))
                (void)nadb_home_unlink(&s->home, number_at(&numbers, i), KIND,
                                       NULL);
    }
    nadb_buf_clear(&numbers);
    nadb_buf_clear(&chain);
    nadb_buf_clear(&files);
}

/* --- check --- */

static nadb_rc check_segment(engine *s, const history_segment *g,
                             nadb_err *err) {
    history_walk w;
    nadb_change c;
    bool found = true;
    nadb_rc rc = history_walk_open(s, g, &w, err);

    while (rc == NADB_OK && found) rc = history_walk_next(&w, &c, &found, err);
    history_walk_close(&w);
    return rc;
}

/* Reports a file with a damaged segment. Only the last file may end with other
 * bytes: the rest of a failed flush. */
static nadb_rc check_file(engine *s, uint64_t number, bool may_end_badly,
                          nadb_report_fn *report, void *ctx, nadb_err *err) {
    nadb_buf all = NADB_BUF_INIT;
    nadb_file *f = NULL;
    uint64_t size = 0, end = FILE_HEADER;
    nadb_rc rc = file_open(s, number, NADB_OPEN_READ, &f, &size, err);

    if (rc == NADB_OK && f != NULL) rc = list_segments(s, number, &all, err);
    if (all.n > 0) {
        const history_segment *g =
            (const history_segment *)(void *)(all.p + all.n) - 1;

        end = g->off + SEGMENT_HEADER + g->length;
    }
    if (rc == NADB_OK && !may_end_badly && (f == NULL || end < size)) {
        nadb_report(report, ctx,
                    "%06llu." KIND ": the changes at offset %llu are damaged",
                    (unsigned long long)number,
                    (unsigned long long)(f == NULL ? 0 : end));
    }
    s->os->close(f);
    nadb_buf_clear(&all);
    return rc;
}

nadb_rc engine_history_check(engine *s, uint64_t base_seq,
                             nadb_report_fn *report, void *ctx, nadb_err *err) {
    nadb_buf chain = NADB_BUF_INIT, numbers = NADB_BUF_INIT;
    const history_segment *g;
    uint64_t floor = 0;
    nadb_rc rc = history_chain(s, base_seq, &chain, &floor, err);

    if (rc == NADB_OK) rc = list_files(s, &numbers, err);
    for (size_t i = 0; i < numbers.n / sizeof(uint64_t) && rc == NADB_OK; i++)
        rc = check_file(s, number_at(&numbers, i),
                        (i + 1) * sizeof(uint64_t) == numbers.n && chain.n > 0,
                        report, ctx, err);
    g = (const history_segment *)(const void *)chain.p;
    for (size_t i = 0; i < chain.n / sizeof *g && rc == NADB_OK; i++) {
        nadb_err mine;

        nadb_err_clear(&mine);
        rc = check_segment(s, &g[i], &mine);
        if (rc == NADB_CORRUPT) report(ctx, mine.msg);
        if (rc == NADB_CORRUPT || rc == NADB_INVALID) rc = NADB_OK;
        if (rc != NADB_OK) rc = nadb_fail(err, rc, "%s", mine.msg);
    }
    nadb_buf_clear(&chain);
    nadb_buf_clear(&numbers);
    return rc;
}
