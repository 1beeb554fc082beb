/* align_test.c - engine_align(): a view taken at one moment, a snapshot of the
 * database file taken at another, and aligned at a third. Between them other
 * connections commit, so every triple of moments of one history is tried.
 * Whatever they are, the view must then hold the state that belongs to the
 * file's snapshot. */
#include <errno.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../../core/engine/engine.h"
#include "../../core/kv/session.h"
#include "../../core/store_engine.h"
#include "rig.h"

enum { MOMENTS_MAX = 32, TXNS = 5 };

/* What the file holds at a moment, and a connection that aligned just then. */
typedef struct moment {
    nadb_stamp file;
    nadb_stamps_seen seen;
    bool pending; /* the file has a stamp that the store has not committed */
} moment;

static struct {
    nadb_store *store;
    nadb_session *ss;
    nadb_stamp file; /* the stamp in the file */
    moment moments[MOMENTS_MAX];
    /* by file, view and alignment */
    nadb_view *views[MOMENTS_MAX][MOMENTS_MAX][MOMENTS_MAX];
    int n, wrong, done;
} t;

/* --- the database file --- */

static bool yes(void *ctx) {
    (void)ctx;
    return true;
}

static bool no(void *ctx) {
    (void)ctx;
    return false;
}

static nadb_rc stamp_in(void *ctx, nadb_stamp *out, nadb_err *err) {
    (void)err;
    *out = *(const nadb_stamp *)ctx;
    return NADB_OK;
}

static bool open_store(const char *name) {
    static const rig_how how = {.sync = NADB_SYNC_NORMAL,
                                .buffer_bytes = 1 << 20};
    nadb_dbfile file = {yes, yes, stamp_in, &t.file};
    char dir[100];
    nadb_err err;

    memset(&t, 0, sizeof t);
    snprintf(dir, sizeof dir, "%s", unit_path(name));
    if ((mkdir(dir, 0700) != 0 && errno != EEXIST) ||
        !CHECK_OK(rig_open(dir, &how, &t.store, NULL, &err), err) ||
        !CHECK_OK(nadb_session_new(t.store, &t.ss, &err), err))
        return false;
    nadb_session_bind(t.ss, &file);
    return true;
}

static void close_store(void) {
    nadb_session_free(t.ss);
    nadb_store_close(t.store);
}

/* --- the writer --- */

static bool put(const char *key, unsigned number) {
    char text[12];
    nadb_value v = {.type = NADB_TEXT, .bytes = {(uint8_t *)text, 3}};
    nadb_err err;

    snprintf(text, sizeof text, "%03u", number);
    return CHECK_OK(nadb_session_begin(t.ss, false, &err), err) &&
           CHECK_OK(rig_put(t.ss, key, v, &err), err);
}

static bool prepare(nadb_stamp stamp) {
    nadb_err err;

    nadb_session_stamp(t.ss, stamp);
    return CHECK_OK(nadb_session_prepare(t.ss, &err), err);
}

static bool put_unstamped(void) {
    nadb_stamp none = {0, 0};

    if (!put("other", 0) || !prepare(none)) return false;
    nadb_session_commit(t.ss);
    return true;
}

/* A mixed transaction up to the file's COMMIT. */
static bool put_mixed(unsigned number) {
    nadb_stamp stamp = nadb_session_next_stamp(t.ss, t.file);

    if (!put("n", number) || !prepare(stamp)) return false;
    CHECK_U64(stamp.number, number);
    t.file = stamp;
    return true;
}

/* --- the reader --- */

static nadb_rc align(nadb_view *v, nadb_stamp file, nadb_stamps_seen seen,
                     nadb_stamps_seen *after, nadb_err *err) {
    nadb_dbfile from = {no, no, stamp_in, &file};
    nadb_rc rc =
        t.ss->engine->ops->align(t.ss->engine, v, &from, &seen, 0, err);

    if (after != NULL) *after = seen;
    return rc;
}

/* The number in row n as the view has it; 0: no such row. */
static unsigned number_in(nadb_view *v) {
    static const uint8_t key[] = {NADB_KS_ROW, 'n'};
    char text[4] = "";
    nadb_entry e;
    nadb_err err;
    bool found = false;

    if (!CHECK_OK(t.ss->engine->ops->get(t.ss->engine, v,
                                         nadb_slice_of(key, sizeof key), &e,
                                         &found, &err),
                  err) ||
        !found)
        return 0;
    memcpy(text, e.value.p + e.value.n - 3, 3);
    return (unsigned)strtoul(text, NULL, 10);
}

static nadb_view *view_open(void) {
    nadb_view *v = NULL;
    nadb_err err;

    CHECK_OK(t.ss->engine->ops->view_open(t.ss->engine, &v, &err), err);
    return v;
}

static void view_close(nadb_view *v) {
    t.ss->engine->ops->view_close(t.ss->engine, v);
}

static bool check_one(int file, int view, int now) {
    const moment *m = &t.moments[file];
    /* The connection's last alignment was before it took either of them. */
    const moment *last = &t.moments[file < view ? file : view];
    nadb_err err;
    nadb_rc rc =
        align(t.views[file][view][now], m->file, last->seen, NULL, &err);
    unsigned got;

    t.done++;
    /* The store still waits for the commit of the file's last stamp. */
    if (t.moments[now].pending && m->file.number == t.file.number)
        return CHECK(rc == NADB_BUSY);
    if (!CHECK_OK(rc, err)) return false;
    got = number_in(t.views[file][view][now]);
    if (got == m->file.number) return true;
    printf("  file at %d, view at %d, aligned at %d: %u, not %llu\n", file,
           view, now, got, (unsigned long long)m->file.number);
    return CHECK(false);
}

/* A moment: snapshots of the file and views are taken, and what was taken up to
 * now is aligned. */
static void look(bool pending) {
    int now = t.n++;
    moment *m = &t.moments[now];
    nadb_view *v = view_open();
    nadb_err err;

    m->file = t.file;
    m->pending = pending;
    if (!pending)
        CHECK_OK(align(v, t.file, m->seen, &m->seen, &err), err);
    else if (now > 0)
        m->seen = t.moments[now - 1].seen;
    view_close(v);
    for (int other = 0; other < MOMENTS_MAX; other++)
        for (int later = now; later < MOMENTS_MAX; later++)
            t.views[other][now][later] = view_open();
    for (int file = 0; file <= now; file++)
        for (int view = 0; view <= now; view++) check_one(file, view, now);
}

static void close_views(void) {
    for (int i = 0; i < MOMENTS_MAX; i++)
        for (int j = 0; j < MOMENTS_MAX; j++)
            for (int k = 0; k < MOMENTS_MAX; k++)
                if (t.views[i][j][k] != NULL) view_close(t.views[i][j][k]);
}

/* `flushed`: the store is flushed after so many transactions; the version
 * before that is kept for readers that step back. */
static void check_history(const char *name, unsigned flushed) {
    nadb_err err;

    REQUIRE(open_store(name));
    for (unsigned i = 1; i <= TXNS; i++) {
        REQUIRE(put_unstamped());
        look(false);
        REQUIRE(put_mixed(i));
        look(true);
        nadb_session_commit(t.ss);
        look(false);
        if (i == flushed) {
            REQUIRE_OK(nadb_store_flush(t.store, &err), err);
            look(false);
        }
    }
    CHECK(t.done > 1000);
    close_views();
    close_store();
}

static void test_moments(void) { check_history("moments", 0); }

static void test_flush(void) { check_history("flush", TXNS / 2); }

/* The ring of stamps has come round since the view was taken. */
static void test_ring(void) {
    unsigned number = 0;
    nadb_stamps_seen none = {0};
    nadb_view *early[3];
    nadb_stamp file;
    nadb_err err;

    REQUIRE(open_store("ring"));
    REQUIRE(put_mixed(++number));
    for (int i = 0; i < 3; i++) early[i] = view_open();
    nadb_session_commit(t.ss);
    file = t.file;
    while (number < 3 * CONTROL_STAMPS) {
        REQUIRE(put_mixed(++number));
        nadb_session_commit(t.ss);
    }
    CHECK_OK(align(early[0], t.file, none, NULL, &err), err);
    CHECK_U64(number_in(early[0]), number);
    /* What follows the file's stamp is no longer known. */
    CHECK(align(early[1], file, none, NULL, &err) == NADB_CONFLICT);
    file.number = number - CONTROL_STAMPS + 1;
    CHECK_OK(align(early[2], file, none, NULL, &err), err);
    CHECK_U64(number_in(early[2]), file.number);
    for (int i = 0; i < 3; i++) view_close(early[i]);
    close_store();
}

/* A process that dies after it has published a stamp and before its commit is
 * visible; `go` tells it when. */
static void die_committing(int go) {
    nadb_stamp stamp = {1, 1};
    control_map *map;
    control_doubt *d;
    char c;

    if (!open_store("dead") || !put("n", 1) || !prepare(stamp)) _exit(1);
    if (read(go, &c, 1) != 1) _exit(1);
    map = engine_of(t.ss->engine)->ctl.map;
    d = &map->doubts[__builtin_ctzll(atomic_load(&map->doubt_bits[0]))];
    if (atomic_load(&d->stamp) != 1) _exit(1);
    atomic_store(&d->seq, control_seq(atomic_load(&map->visible)) + 1);
    atomic_store(&d->state, DOUBT_COMMITTING);
    atomic_store(&map->stamps[1].seq, atomic_load(&d->seq));
    atomic_store(&map->stamps[1].number, 1);
    atomic_store(&map->stamp_number, 1);
    atomic_store(&map->stamp_nonce, 1);
    _exit(unit.bad_checks > 0);
}

static void test_dead_committer(void) {
    nadb_stamps_seen none = {0};
    nadb_stamp stamp = {1, 1};
    int go[2], status = 0;
    nadb_view *v;
    nadb_err err;
    pid_t pid;

    (void)unit_dir(); /* the same one in both */
    REQUIRE(pipe(go) == 0);
    pid = fork();
    if (pid == 0) die_committing(go[0]);
    REQUIRE(open_store("dead"));
    REQUIRE(write(go[1], "", 1) == 1);
    REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
    v = view_open();
    CHECK_U64(number_in(v), 0);
    CHECK_OK(align(v, stamp, none, NULL, &err), err);
    CHECK_U64(number_in(v), 1);
    view_close(v);
    close_store();
    close(go[0]);
    close(go[1]);
}

/* --- a damaged index --- */

static nadb_rc note_bytes(void *ctx, const nadb_doubt *d, nadb_err *err) {
    (void)err;
    *(uint64_t *)ctx += d->bytes;
    return NADB_OK;
}

/* The record in doubt is looked for only where the log exists. */
static void test_damaged_tail(void) {
    uint64_t tail, off, bytes = 0;
    engine_version *v = NULL;
    control_doubt *d;
    memtable *m;
    engine *s;
    nadb_err err;

    REQUIRE(open_store("tail") && put_mixed(1));
    s = engine_of(t.ss->engine);
    d = &s->ctl.map
             ->doubts[__builtin_ctzll(atomic_load(&s->ctl.map->doubt_bits[0]))];
    REQUIRE_OK(engine_version_get(s, &v, &err), err);
    m = v->logs[0];
    CHECK_OK(nadb_engine_doubts(t.ss->engine, note_bytes, &bytes, &err), err);
    CHECK(bytes > 0);
    tail = memtable_tail(m);
    off = atomic_load(&d->off);
    atomic_store(&m->head->tail, m->log.capacity);
    atomic_store(&d->off, m->log.capacity - 4096);
    bytes = 0;
    CHECK_OK(nadb_engine_doubts(t.ss->engine, note_bytes, &bytes, &err), err);
    CHECK_U64(bytes, 0);
    atomic_store(&m->head->tail, tail);
    atomic_store(&d->off, off);
    engine_version_unref(s, v);
    nadb_session_commit(t.ss);
    close_store();
}

/* --- a place of an orphan that has another one --- */

static atomic_bool aligned;

static void *align_to(void *stamp) {
    nadb_engine *e = t.ss->engine;
    nadb_dbfile from = {no, no, stamp_in, stamp};
    nadb_stamps_seen seen = {0};
    nadb_view *v = NULL;

    if (e->ops->view_open(e, &v, NULL) == NADB_OK)
        (void)!e->ops->align(e, v, &from, &seen, 0, NULL);
    e->ops->view_close(e, v);
    atomic_store(&aligned, true);
    return NULL;
}

/* A reader finds the orphan that its file has decided, and waits for the commit
 * lock. Meanwhile that one is committed, and its place taken by the record of
 * another process that dies: only a writer may take that back. */
static void test_orphan_replaced(void) {
    static const rig_how how = {.buffer_bytes = 1 << 20, .opener = 1};
    nadb_store *other = NULL;
    nadb_stamp file;
    control_map *map;
    control_doubt *d;
    pthread_t reader;
    engine *s;
    nadb_err err;

    REQUIRE(open_store("replaced") && put_mixed(1));
    file = t.file;
    nadb_session_abandon(t.ss);
    REQUIRE_OK(rig_open(unit_path("replaced"), &how, &other, NULL, &err), err);
    s = engine_of(nadb_store_engine(other));
    map = s->ctl.map;
    d = &map->doubts[__builtin_ctzll(atomic_load(&map->doubt_bits[0]))];
    REQUIRE(atomic_load(&d->state) == DOUBT_ORPHAN);
    REQUIRE_OK(engine_lock(s, -1, &err), err);
    REQUIRE_OK(nadb_thread_start(&reader, "reader", align_to, &file, &err),
               err);
    /* the highest bit: a process waits */
    while (atomic_load(&map->commit_lock) >> 31 == 0 && !atomic_load(&aligned))
        sched_yield();
    CHECK(!atomic_load(&aligned));
    atomic_store(&d->stamp, 2);
    engine_unlock(s);
    nadb_thread_join(reader);
    CHECK(atomic_load(&d->state) == DOUBT_ORPHAN);
    CHECK(atomic_load(&d->stamp) == 2);
    nadb_store_close(other);
    close_store();
}

int main(void) {
    rig_use_memory();
    RUN(test_dead_committer); /* forks, so it is first */
    RUN(test_moments);
    RUN(test_flush);
    RUN(test_ring);
    RUN(test_damaged_tail);
    RUN(test_orphan_replaced);
    return unit_done();
}
