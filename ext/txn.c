/* txn.c - SQLite's transaction callbacks of a virtual table object.
 *
 * SQLite calls them for every object. Several objects may share a session,
 * whose functions do nothing when they are called again. Surprises (all seen on
 * 3.40.1):
 *
 *   - After CREATE VIRTUAL TABLE the object takes part in the transaction
 *     without xBegin, and a later write does not call xBegin either. xUpdate
 *     begins then.
 *   - A rollback may go to a savepoint that was never announced.
 *   - After a COMMIT that ended in SQLITE_BUSY, xSync may be followed by more
 *     xUpdate and another xSync.
 *   - The error of xCommit is ignored, so nothing may fail there.
 *   - ROLLBACK TO over a CREATE calls nothing, not even xRollbackTo: the
 *     object lives on until the end of the transaction and gets xSync and
 *     xCommit for a table that does not exist. drop_undone() drops its changes.
 *     Objects that joined the transaction before the savepoint do get
 *     xRollbackTo, which acts for the whole session; so only a session all of
 *     whose writers were undone needs this. */
#include "ext.h"
#include "sqlite_quirks.h"

#include <assert.h>

/* Debug builds check that the callback is allowed in the present phase. */
static void check_order(const vtab *v, bool allowed) {
#ifdef NADB_DEBUG
    assert(allowed);
    assert(v->phase == PHASE_IDLE || v->s != NULL);
    assert(v->phase == PHASE_IDLE || v->s->n_begun > 0);
#else
    (void)v;
    (void)allowed;
#endif
}

/* --- CREATE that was undone --- */

/* True if the schema no longer has the table of this object. An interrupt or a
 * lack of memory while SQLite looks is no answer: the changes are kept. */
static bool is_undone(const vtab *v) {
    if (!v->creator) return false;
    return v->replaced || sqlite3_table_column_metadata(
                              v->c->db, v->schema, v->name, NULL, NULL, NULL,
                              NULL, NULL, NULL) == SQLITE_ERROR;
}

/* Drops the changes of objects whose CREATE was rolled back. Called before a
 * session with n_creators is read or written. */
static void drop_undone(sess *s) {
    if (s->n_begun == 0) return;
    for (const vtab *v = s->objects; v != NULL; v = v->next) {
        if (v->phase != PHASE_IDLE && !is_undone(v)) return;
    }
    for (vtab *v = s->objects; v != NULL; v = v->next) v->phase = PHASE_IDLE;
    s->n_begun = 0;
    (void)nadb_session_rollback(s->core, NULL);
}

void txn_created(vtab *v) {
    for (sess *s = v->c->sessions; s != NULL; s = s->next) {
        for (vtab *old = s->objects; old != NULL; old = old->next) {
            if (sqlite3_stricmp(old->name, v->name) == 0 &&
                sqlite3_stricmp(old->schema, v->schema) == 0) {
                old->replaced = true;
            }
        }
        if (s->n_creators > 0) drop_undone(s);
    }
    v->replaced = false;
    v->creator = true;
    v->s->n_creators++;
}

/* --- reading --- */

nadb_rc txn_enter(vtab *v, nadb_err *err) {
    nadb_rc rc = vtab_open(v, err);

    if (rc != NADB_OK) return rc;
    if (v->c->dropped != NULL) dropped_sweep(v->c);
    if (v->s->n_creators > 0) drop_undone(v->s);
    if (v->s->n_begun == 0) {
        int code = watch_read(v->c, v->s);

        if (code != SQLITE_OK) return value_sqlite_error(v->c->db, code, err);
    }
    return nadb_session_enter(v->s->core, err);
}

/* SQLite rolled everything back without calling xRollback, which it does later,
 * if at all. */
static void lost(conn *c) {
    for (sess *s = c->sessions; s != NULL; s = s->next) {
        for (vtab *v = s->objects; v != NULL; v = v->next) {
            v->lost = v->phase != PHASE_IDLE;
            v->phase = PHASE_IDLE;
            v->leads = false;
        }
        s->n_begun = 0;
        job_wrote_all(s);
        (void)nadb_session_rollback(s->core, NULL);
        nadb_session_unhold(s->core);
    }
    c->watching = false;
}

/* --- the callbacks --- */

nadb_rc txn_join(vtab *v, nadb_err *err) {
    nadb_rc rc = vtab_open(v, err);
    sess *s = v->s;

    if (rc != NADB_OK) return rc;
    /* Needed because the store may be open for writing by another table. */
    rc = vtab_writable(v, err);
    if (rc != NADB_OK) return rc;
    if (s->n_creators > 0) drop_undone(s);
    if (s->n_begun == 0) s->mixed = s->several = false;
    s->autocommit = sqlite3_get_autocommit(v->c->db) != 0;
    if (s->autocommit && s->n_begun == 0) {
        if (v->c->dropped != NULL) dropped_sweep(v->c);
        if (s->bound) file_begun(v);
    }
    rc = nadb_session_begin(s->core, s->autocommit, err);
    if (rc != NADB_OK) return rc;
    v->phase = PHASE_BEGUN;
    v->lost = false;
    v->leads = s->n_begun == 0;
    s->n_begun++;
    return NADB_OK;
}

/* What is written from now on may make the transaction a mixed one, also if it
 * is not written to this store. So the record is prepared again, with a
 * stamp. */
nadb_rc txn_go_on(vtab *v, nadb_err *err) {
    for (vtab *o = v->s->objects; o != NULL; o = o->next)
        if (o->phase == PHASE_SYNCED) o->phase = PHASE_BEGUN;
    return v->s->bound ? nadb_session_unprepare(v->s->core, err) : NADB_OK;
}

int txn_begin(sqlite3_vtab *base) {
    vtab *v = (vtab *)base;
    nadb_err err;

    check_order(v, v->phase == PHASE_IDLE);
    quirk_begun(v->c);
    if (txn_join(v, &err) != NADB_OK) return value_vtab_error(base, &err);
    return SQLITE_OK;
}

/* A nested statement failed. Some errors make SQLite roll back at once without
 * calling xRollback, and plain SQLITE_BUSY must only be returned while the
 * transaction is open. */
static int stamp_failed(vtab *v, int code, const nadb_err *err) {
    bool open = sqlite3_txn_state(v->c->db, v->schema) == SQLITE_TXN_WRITE;

    (void)value_vtab_error(&v->base, err);
    if (!open) lost(v->c);
    return code == SQLITE_BUSY && !open ? SQLITE_BUSY_TIMEOUT : code;
}

int txn_sync(sqlite3_vtab *base) {
    vtab *v = (vtab *)base;
    nadb_err err;
    nadb_rc rc;

    check_order(v, v->phase != PHASE_IDLE || v->creator);
    if (v->s == NULL) return SQLITE_OK;
    if (v->s->n_creators > 0) drop_undone(v->s);
    if (v->creator && !is_undone(v)) v->s->kept = true;
    if (v->phase == PHASE_IDLE) return SQLITE_OK;
    if (v->phase == PHASE_SYNCED && txn_go_on(v, &err) != NADB_OK)
        return value_vtab_error(base, &err);
    if (!nadb_session_prepared(v->s->core)) {
        int code = file_stamp(v, &err);

        if (code != SQLITE_OK) return stamp_failed(v, code, &err);
    }
    rc = nadb_session_prepare(v->s->core, &err);
    if (rc == NADB_CONSTRAINT) return value_unique_failed(v, true);
    if (rc != NADB_OK) return value_vtab_error(base, &err);
    v->phase = PHASE_SYNCED;
    return SQLITE_OK;
}

/* Ends the transaction for this object. The session's `made` and `kept` are
 * settled with its first object. */
static void finish(vtab *v) {
    if (v->phase != PHASE_IDLE) v->s->n_begun--;
    if (v->s->n_begun == 0) job_wrote_all(v->s);
    v->phase = PHASE_IDLE;
    v->leads = false;
    if (v->s->bound && v->s->n_begun == 0 && !v->s->autocommit)
        quirk_note_spills(v->c);
    quirk_ended(v->c);
    if (!v->creator) return;
    v->creator = false;
    v->s->n_creators--;
    if (v->s->remove) vtab_let_go(v);
}

int txn_commit(sqlite3_vtab *base) {
    vtab *v = (vtab *)base;
    sess *s = v->s;

    check_order(v, v->phase != PHASE_BEGUN);
    if (s == NULL) return SQLITE_OK;
    if (nadb_session_dirty(s->core)) {
        /* The store now has committed rows. */
        s->kept = true;
        s->remove = false;
    }
    if (s->made && !s->kept) s->remove = true;
    s->made = s->kept = false;
    if (v->phase != PHASE_IDLE) nadb_session_commit(s->core);
    finish(v);
    return SQLITE_OK;
}

int txn_rollback(sqlite3_vtab *base) {
    vtab *v = (vtab *)base;
    sess *s = v->s;
    nadb_err err;
    nadb_rc rc = NADB_OK;

    check_order(v, v->phase != PHASE_IDLE || v->creator || v->lost);
    v->lost = false;
    if (s == NULL) return SQLITE_OK;
    quirk_rolled_back(v->c);
    if (v->phase == PHASE_SYNCED && s->several) {
        /* This file may have been committed before another file failed. */
        nadb_session_abandon(s->core);
    } else if (v->phase != PHASE_IDLE) {
        rc = nadb_session_rollback(s->core, &err);
    }
    if (rc != NADB_OK) { /* SQLite ignores it */
        sqlite3_log(value_code(rc), "nadb: rolling back %s: %s", v->name,
                    err.msg);
    }
    if (s->made) s->remove = true;
    s->made = s->kept = false;
    finish(v);
    return SQLITE_OK;
}

/* An object that joins a session's transaction late gets the savepoint that is
 * already open, after others may have written; a mark for it would come too
 * late. A savepoint that is opened now is announced to all objects, so the
 * session's first object suffices; savepoints from before the session's begin
 * lie before all of its changes. */
int txn_savepoint(sqlite3_vtab *base, int n) {
    vtab *v = (vtab *)base;
    nadb_err err;

    check_order(v, v->phase != PHASE_IDLE || v->creator);
    if (v->phase == PHASE_IDLE)
        return SQLITE_OK; /* the transaction begins at the first write */
    v->s->nested = true;
    if (!v->leads) return SQLITE_OK;
    if (nadb_session_savepoint(v->s->core, n, &err) != NADB_OK) {
        return value_vtab_error(base, &err);
    }
    return SQLITE_OK;
}

int txn_release(sqlite3_vtab *base, int n) {
    vtab *v = (vtab *)base;

    check_order(v, v->phase != PHASE_IDLE || v->creator);
    if (v->phase != PHASE_IDLE) nadb_session_release(v->s->core, n);
    return SQLITE_OK;
}

int txn_rollback_to(sqlite3_vtab *base, int n) {
    vtab *v = (vtab *)base;
    nadb_err err;

    check_order(v, v->phase != PHASE_IDLE || v->creator);
    if (v->phase == PHASE_IDLE) return SQLITE_OK;
    quirk_rolled_back(v->c);
    if (nadb_session_rollback_to(v->s->core, n, &err) != NADB_OK) {
        return value_vtab_error(base, &err);
    }
    return SQLITE_OK;
}
