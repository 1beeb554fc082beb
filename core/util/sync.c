/* sync.c - pthread locks with ranks, and threads (sync.h).
 *
 * After a successful initialisation the pthread calls used here fail only on
 * misuse; debug builds assert that they succeed. */
#include "sync.h"

#include <assert.h>
#include <signal.h>

#include "os_system.h"

#ifdef NADB_DEBUG
/* Number of locks of each rank that this thread holds. */
static _Thread_local unsigned char held[NADB_RANK_OS + 1];

bool nadb_rank_held(nadb_rank rank) { return held[rank] > 0; }

static void check_order(const nadb_mutex *m) {
    for (int r = (int)m->rank; r <= NADB_RANK_OS; r++)
        assert(held[r] == 0 && "lock taken out of rank order");
}

static void note_locked(const nadb_mutex *m) { held[m->rank]++; }

static void note_unlocked(const nadb_mutex *m) {
    assert(held[m->rank] > 0 && "unlocking a lock that is not held");
    held[m->rank]--;
}
#else
static void check_order(const nadb_mutex *m) { (void)m; }
static void note_locked(const nadb_mutex *m) { (void)m; }
static void note_unlocked(const nadb_mutex *m) { (void)m; }
#endif

static void must_be_zero(int rc) {
    assert(rc == 0);
    (void)rc;
}

nadb_rc nadb_mutex_init(nadb_mutex *m, nadb_rank rank, nadb_err *err) {
    int e = pthread_mutex_init(&m->m, NULL);

    m->rank = rank;
    if (e != 0) return nadb_fail_errno(err, e, "cannot make a lock");
    return NADB_OK;
}

void nadb_mutex_clear(nadb_mutex *m) { pthread_mutex_destroy(&m->m); }

void nadb_lock(nadb_mutex *m) {
    check_order(m);
    must_be_zero(pthread_mutex_lock(&m->m));
    note_locked(m);
}

bool nadb_trylock(nadb_mutex *m) {
    if (pthread_mutex_trylock(&m->m) != 0) return false;
    note_locked(m);
    return true;
}

bool nadb_lock_timed(nadb_mutex *m, int64_t timeout_ms) {
    if (nadb_trylock(m)) return true;
    check_order(m);
    if (system_mutex_lock(&m->m, timeout_ms) != 0) return false;
    note_locked(m);
    return true;
}

void nadb_unlock(nadb_mutex *m) {
    note_unlocked(m);
    must_be_zero(pthread_mutex_unlock(&m->m));
}

nadb_rc nadb_cond_init(nadb_cond *c, nadb_err *err) {
    int e = system_cond_init(&c->c);

    if (e != 0) return nadb_fail_errno(err, e, "cannot make a condition");
    return NADB_OK;
}

nadb_rc nadb_mutex_cond_init(nadb_mutex *m, nadb_rank rank, nadb_cond *c,
                             nadb_err *err) {
    nadb_rc rc = nadb_mutex_init(m, rank, err);

    if (rc != NADB_OK) return rc;
    rc = nadb_cond_init(c, err);
    if (rc != NADB_OK) nadb_mutex_clear(m);
    return rc;
}

void nadb_cond_clear(nadb_cond *c) { pthread_cond_destroy(&c->c); }

void nadb_cond_wait(nadb_cond *c, nadb_mutex *m) {
    note_unlocked(m);
    must_be_zero(pthread_cond_wait(&c->c, &m->m));
    note_locked(m);
}

bool nadb_cond_wait_timed(nadb_cond *c, nadb_mutex *m, int64_t timeout_ms) {
    int e;

    note_unlocked(m);
    e = system_cond_wait(&c->c, &m->m, timeout_ms);
    note_locked(m);
    return e == 0;
}

void nadb_cond_broadcast(nadb_cond *c) { pthread_cond_broadcast(&c->c); }

nadb_rc nadb_thread_start(pthread_t *out, const char *name,
                          void *(*body)(void *), void *arg, nadb_err *err) {
    sigset_t all, before;
    int e;

    /* The thread inherits the mask. Signals are blocked around the start, so
     * that none reaches the new thread before it could block them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    e = pthread_create(out, NULL, body, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e != 0) return nadb_fail_errno(err, e, "cannot start thread %s", name);
    system_thread_name(*out, name);
    return NADB_OK;
}

void nadb_thread_join(pthread_t t) { must_be_zero(pthread_join(t, NULL)); }
