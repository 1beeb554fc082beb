/* mixed_test.c - threads that write two stores and a database file in one
 * transaction, and threads that read them: a reader sees the same number in
 * both stores and the file, whatever it meets in between.
 *
 * The file is simulated by a mutex, for its write lock, and a struct, for its
 * content. So a transaction costs microseconds, and orders of events come about
 * that need hours with SQLite (suite mixed). As in SQLite the write lock is
 * released before the stores commit. */
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

#include "../../core/kv/session.h"
#include "rig.h"

enum { STORES = 2, WRITERS = 2, READERS = 3 };

typedef struct content {
    unsigned number;
    nadb_stamp stamps[STORES];
} content;

static struct {
    nadb_store *stores[STORES];
    pthread_mutex_t write_lock; /* of the file */
    pthread_mutex_t guard;      /* of `content`, for moments */
    content content;
    int64_t end_ns;
    atomic_int torn, failed;
    atomic_long looks, busy;
} m;

/* One connection's side of the file for one store. */
typedef struct side {
    const bool *writes;
    const content *snapshot;
    int store;
} side;

typedef struct connection {
    bool writes;
    content snapshot;
    side sides[STORES];
    nadb_session *ss[STORES];
} connection;

static bool locked(void *ctx) { return *((const side *)ctx)->writes; }

static bool fresh(void *ctx) { return !locked(ctx); }

static nadb_rc stamp_in(void *ctx, nadb_stamp *out, nadb_err *err) {
    const side *s = ctx;

    (void)err;
    *out = s->snapshot->stamps[s->store];
    return NADB_OK;
}

static content file_content(void) {
    content now;

    pthread_mutex_lock(&m.guard);
    now = m.content;
    pthread_mutex_unlock(&m.guard);
    return now;
}

static bool failed(nadb_rc rc, const nadb_err *err) {
    if (rc == NADB_OK) return false;
    if (atomic_fetch_add(&m.failed, 1) < 3)
        printf("  %s: %s\n", nadb_rc_name(rc), err->msg);
    return true;
}

static bool connect_all(connection *c, bool writes) {
    nadb_err err;

    memset(c, 0, sizeof *c);
    c->writes = writes;
    for (int i = 0; i < STORES; i++) {
        nadb_dbfile file = {locked, fresh, stamp_in, &c->sides[i]};

        c->sides[i] = (side){&c->writes, &c->snapshot, i};
        if (failed(nadb_session_new(m.stores[i], &c->ss[i], &err), &err))
            return false;
        nadb_session_bind(c->ss[i], &file);
    }
    return true;
}

static bool goes_on(void) {
    return nadb_os_get()->mono_ns() < m.end_ns && atomic_load(&m.failed) == 0 &&
           atomic_load(&m.torn) == 0;
}

/* --- writing --- */

static nadb_rc put(nadb_session *ss, const char *key, unsigned number,
                   nadb_err *err) {
    nadb_value v = {.type = NADB_INTEGER, .i = number};
    nadb_rc rc = nadb_session_begin(ss, false, err);

    return rc == NADB_OK ? rig_put(ss, key, v, err) : rc;
}

/* The next number, in the file and both stores. `reader`: the transaction has
 * read before, and c->snapshot is of then; so it may have to begin again. */
static bool write_mixed(connection *c, bool reader) {
    nadb_err err;
    nadb_rc rc = NADB_OK;
    content next;

    pthread_mutex_lock(&m.write_lock);
    c->writes = true;
    next = file_content();
    if (!reader) {
        c->snapshot = next;
    } else if (next.number != c->snapshot.number) {
        /* SQLite says that the snapshot is too old */
        pthread_mutex_unlock(&m.write_lock);
        return true;
    }
    next.number++;
    for (int i = 0; i < STORES && rc == NADB_OK; i++)
        rc = put(c->ss[i], "n", next.number, &err);
    for (int i = 0; i < STORES && rc == NADB_OK; i++) {
        next.stamps[i] = nadb_session_next_stamp(c->ss[i], next.stamps[i]);
        nadb_session_stamp(c->ss[i], next.stamps[i]);
        rc = nadb_session_prepare(c->ss[i], &err);
    }
    if (rc == NADB_OK) {
        pthread_mutex_lock(&m.guard);
        m.content = next;
        pthread_mutex_unlock(&m.guard);
    }
    pthread_mutex_unlock(&m.write_lock);
    for (int i = 0; i < STORES; i++) {
        if (rc == NADB_OK)
            nadb_session_commit(c->ss[i]);
        else
            (void)nadb_session_rollback(c->ss[i], NULL);
    }
    return (reader && rc == NADB_CONFLICT) || !failed(rc, &err);
}

static bool write_alone(connection *c, int store) {
    nadb_stamp none = {0, 0};
    nadb_err err;
    nadb_rc rc;

    pthread_mutex_lock(&m.write_lock);
    c->writes = true;
    c->snapshot = file_content();
    rc = put(c->ss[store], "other", 0, &err);
    if (rc == NADB_OK) {
        nadb_session_stamp(c->ss[store], none);
        rc = nadb_session_prepare(c->ss[store], &err);
    }
    pthread_mutex_unlock(&m.write_lock);
    if (rc == NADB_OK) nadb_session_commit(c->ss[store]);
    return !failed(rc, &err);
}

/* --- reading --- */

static nadb_rc read_number(nadb_cursor *at, int64_t *out, nadb_err *err) {
    nadb_value v = {.type = NADB_NULL};
    nadb_rc rc = nadb_cursor_key(at, nadb_slice_str("n"), false, err);

    *out = 0;
    if (rc == NADB_OK && nadb_cursor_row(at) != NULL)
        rc = nadb_cursor_value(at, &v, NULL, err);
    if (rc == NADB_OK && v.type == NADB_INTEGER) *out = v.i;
    return rc;
}

static nadb_rc look_once(connection *c, nadb_cursor *const at[STORES],
                         nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (int i = 0; i < STORES && rc == NADB_OK; i++) {
        int64_t got = 0;

        rc = read_number(at[i], &got, err);
        if (rc == NADB_OK && got != (int64_t)c->snapshot.number &&
            atomic_fetch_add(&m.torn, 1) < 3)
            printf("  store %d has %lld, the file %u\n", i, (long long)got,
                   c->snapshot.number);
    }
    for (int i = 0; i < STORES; i++) nadb_cursor_close(at[i]);
    return rc;
}

/* Looks once, or several times in a read transaction. */
static void look(connection *c, nadb_cursor *const at[STORES], unsigned times) {
    nadb_err err;
    nadb_rc rc = NADB_OK;

    c->snapshot = file_content();
    for (int i = 0; i < STORES && times > 1; i++) nadb_session_hold(c->ss[i]);
    for (unsigned i = 0; i < times && rc == NADB_OK; i++)
        rc = look_once(c, at, &err);
    for (int i = 0; i < STORES; i++) nadb_session_unhold(c->ss[i]);
    if (rc == NADB_CONFLICT)
        atomic_fetch_add(&m.busy, 1);
    else if (!failed(rc, &err))
        atomic_fetch_add(&m.looks, 1);
}

/* Reads first and takes the lock for writing later. */
static bool look_and_write(connection *c, nadb_cursor *const at[STORES]) {
    nadb_err err;
    bool ok = true;
    nadb_rc rc;

    c->writes = false;
    c->snapshot = file_content();
    for (int i = 0; i < STORES; i++) nadb_session_hold(c->ss[i]);
    rc = look_once(c, at, &err);
    if (rc == NADB_OK)
        ok = write_mixed(c, true);
    else if (rc != NADB_CONFLICT)
        ok = !failed(rc, &err);
    for (int i = 0; i < STORES; i++) nadb_session_unhold(c->ss[i]);
    return ok;
}

static bool write_some(connection *c, nadb_cursor *const at[STORES],
                       unsigned turn) {
    if (turn % 8 == 0) return write_alone(c, (int)(turn / 8 % STORES));
    return turn % 3 == 0 ? look_and_write(c, at) : write_mixed(c, false);
}

/* `arg` is NULL for a reader. */
static void *work(void *arg) {
    nadb_cursor *at[STORES] = {NULL};
    unsigned turn = 0;
    connection c;
    nadb_err err;

    if (!connect_all(&c, arg != NULL)) return NULL;
    for (int i = 0; i < STORES; i++)
        if (failed(nadb_cursor_new(c.ss[i], &at[i], &err), &err)) return NULL;
    for (; goes_on(); turn++) {
        if (arg == NULL)
            look(&c, at, 1 + turn % 3);
        else if (!write_some(&c, at, turn))
            break;
    }
    for (int i = 0; i < STORES; i++) {
        nadb_cursor_free(at[i]);
        nadb_session_free(c.ss[i]);
    }
    return NULL;
}

/* --- the test --- */

static bool open_stores(void) {
    static const rig_how how = {.sync = NADB_SYNC_NORMAL,
                                .buffer_bytes = 256 << 10};
    char dir[100];
    nadb_err err;

    for (int i = 0; i < STORES; i++) {
        snprintf(dir, sizeof dir, "%s/%d", unit_dir(), i);
        if (mkdir(dir, 0700) != 0 ||
            !CHECK_OK(rig_open(dir, &how, &m.stores[i], NULL, &err), err))
            return false;
    }
    return true;
}

static void test_mixed(void) {
    pthread_t threads[WRITERS + READERS];
    int64_t seconds = rig_soak() ? 600 : 3;

    REQUIRE(pthread_mutex_init(&m.write_lock, NULL) == 0 &&
            pthread_mutex_init(&m.guard, NULL) == 0 && open_stores());
    m.end_ns = nadb_os_get()->mono_ns() + seconds * 1000000000;
    for (int i = 0; i < WRITERS + READERS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, work,
                               i < WRITERS ? &m : NULL) == 0);
    for (int i = 0; i < WRITERS + READERS; i++) pthread_join(threads[i], NULL);
    printf("%u transactions, %ld looks, %ld were told to begin again\n",
           m.content.number, atomic_load(&m.looks), atomic_load(&m.busy));
    CHECK(atomic_load(&m.torn) == 0);
    CHECK(atomic_load(&m.failed) == 0);
    CHECK(atomic_load(&m.looks) > 0);
    for (int i = 0; i < STORES; i++) nadb_store_close(m.stores[i]);
}

int main(void) {
    rig_use_memory();
    RUN(test_mixed);
    return unit_done();
}
