/* workers.c - see workers.h.
 *
 * Starting threads takes longer than the rest of opening a store, which a
 * process that reads one key need not pay for. So a store that was found in
 * good order and has no other openers is not awake (engine.h) until its first
 * write or second statement. Meanwhile an idle view releases the process's pin,
 * so that other processes can remove tables; mapped files stay usable. The
 * library stays loaded until the process ends (-z nodelete), because the
 * threads do.
 *
 * Both threads walk over one list of stores. A store is marked as busy while a
 * thread works on it without the list's lock; removal waits for that. */
#include "workers.h"

#include <pthread.h>

#include "../util/assert.h"

#define IDLE_MS 1000
#define SWEEP_PAUSE_MS 3
/* nadb-work begins so much later, so that a process that opens a store, reads
 * and ends has the CPU to itself. */
#define START_MS 50

typedef struct job {
    engine *s;
    unsigned busy; /* number of threads that work on it */
    bool leaving;  /* it takes no more work */
    int64_t sync_due_ns, sweep_due_ns;
    int64_t work_due_ns; /* also without a kick: what has failed is retried */
    struct job *next;
} job;

static struct {
    pthread_once_t once;
    nadb_rc init_rc;
    nadb_mutex lock;
    nadb_cond idle; /* signalled when a busy count falls */
    job *jobs;
    bool flushing, working; /* the thread was started */
    _Atomic uint32_t kicks; /* futex of nadb-work */
    _Atomic uint32_t ticks; /* futex of nadb-flush */
} workers = {.once = PTHREAD_ONCE_INIT};

static void init(void) {
    workers.init_rc = nadb_mutex_init(&workers.lock, NADB_RANK_WORKERS, NULL);
    if (workers.init_rc == NADB_OK)
        workers.init_rc = nadb_cond_init(&workers.idle, NULL);
}

/* Calls `body` for every store, without the lock. */
static void each_job(void (*body)(job *j, void *ctx), void *ctx) {
    nadb_lock(&workers.lock);
    for (job *j = workers.jobs; j != NULL;) {
        job *next;

        if (!j->leaving) {
            j->busy++;
            nadb_unlock(&workers.lock);
            body(j, ctx);
            nadb_lock(&workers.lock);
            NADB_ASSERT(j->busy > 0);
            j->busy--;
            nadb_cond_broadcast(&workers.idle);
        }
        /* A job is removed only when no thread is busy with it, so `next` is
         * read under the lock while we still are. */
        next = j->next;
        j = next;
    }
    nadb_unlock(&workers.lock);
}

/* --- nadb-flush --- */

static void tend(job *j, void *ctx) {
    const nadb_os *os = j->s->os;
    int64_t now = os->mono_ns();
    int64_t *wake_ns = ctx;

    if (now >= j->sync_due_ns) {
        j->s->duties->tend(j->s);
        nadb_workers_kick(j->s);
        j->sync_due_ns = now + atomic_load(&j->s->flush_interval_ms) * 1000000;
    }
    if (now >= j->sweep_due_ns) {
        bool (*sweep)(void *) = atomic_load(&j->s->sweep);
        bool more = sweep != NULL && sweep(j->s->sweep_ctx);

        /* A pause between steps leaves the CPU to others. */
        now = os->mono_ns();
        j->sweep_due_ns = now + (more ? SWEEP_PAUSE_MS
                                      : atomic_load(&j->s->flush_interval_ms)) *
                                    1000000;
    }
    if (j->sync_due_ns < *wake_ns) *wake_ns = j->sync_due_ns;
    if (j->sweep_due_ns < *wake_ns) *wake_ns = j->sweep_due_ns;
}

static void *flush_thread(void *arg) {
    const nadb_os *os = nadb_os_get();

    (void)arg;
    for (;;) {
        uint32_t seen = atomic_load(&workers.ticks);
        int64_t now = os->mono_ns();
        int64_t wake_ns = now + (int64_t)IDLE_MS * 1000000;

        each_job(tend, &wake_ns);
        now = os->mono_ns();
        if (wake_ns > now)
            os->futex_wait((uint32_t *)&workers.ticks, seen,
                           (wake_ns - now) / 1000000 + 1);
    }
    return NULL;
}

/* --- nadb-work --- */

/* A kick is for one store. The others are not worked on, because a process may
 * have hundreds of stores, each of which is kicked once a flush_interval. */
static void work(job *j, void *ctx) {
    bool *again = ctx;
    bool more = false;
    int64_t now = j->s->os->mono_ns();

    if (!atomic_exchange(&j->s->work_due, false) && now < j->work_due_ns)
        return;
    j->work_due_ns = now + (int64_t)IDLE_MS * 1000000;
    /* An error is kept by the store and shown to writers that wait. */
    if (j->s->duties->work(j->s, &more, NULL) != NADB_OK || !more) return;
    atomic_store(&j->s->work_due, true);
    *again = true;
}

static void *work_thread(void *arg) {
    const nadb_os *os = nadb_os_get();

    (void)arg;
    os->futex_wait((uint32_t *)&workers.kicks, 0, START_MS);
    for (;;) {
        uint32_t seen = atomic_load(&workers.kicks);
        bool again = false;

        each_job(work, &again);
        if (!again) os->futex_wait((uint32_t *)&workers.kicks, seen, IDLE_MS);
    }
    return NULL;
}

void nadb_workers_kick(engine *s) {
    atomic_store(&s->work_due, true);
    atomic_fetch_add(&workers.kicks, 1);
    nadb_os_get()->futex_wake((uint32_t *)&workers.kicks, 1);
}

/* --- the list --- */

/* REQUIRES: the list's lock. */
static nadb_rc start(nadb_err *err) {
    pthread_t t;
    nadb_rc rc = NADB_OK;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_WORKERS));
    if (!workers.flushing)
        rc = nadb_thread_start(&t, "nadb-flush", flush_thread, NULL, err);
    if (rc != NADB_OK) return rc;
    workers.flushing = true;
    if (!workers.working)
        rc = nadb_thread_start(&t, "nadb-work", work_thread, NULL, err);
    workers.working = rc == NADB_OK;
    return rc;
}

/* Two threads may start using a store at the same time. REQUIRES: the list's
 * lock. */
static bool is_listed(const engine *s) {
    const job *j = workers.jobs;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_WORKERS));
    while (j != NULL && j->s != s) j = j->next;
    return j != NULL;
}

nadb_rc nadb_workers_add(engine *s, nadb_err *err) {
    job *j = nadb_calloc(1, sizeof *j);
    nadb_rc rc;

    if (j == NULL) return nadb_fail(err, NADB_NOMEM, "opening %s", s->dir);
    pthread_once(&workers.once, init);
    rc = workers.init_rc;
    if (rc != NADB_OK) {
        nadb_free(j);
        return nadb_fail(err, rc, "starting the background threads");
    }
    j->s = s;
    j->sync_due_ns =
        s->os->mono_ns() + atomic_load(&s->flush_interval_ms) * 1000000;
    j->sweep_due_ns = j->sync_due_ns;
    nadb_lock(&workers.lock);
    rc = start(err);
    if (rc == NADB_OK && !is_listed(s)) {
        j->next = workers.jobs;
        workers.jobs = j;
        j = NULL;
    }
    nadb_unlock(&workers.lock);
    nadb_free(j);
    if (rc != NADB_OK) return rc;
    atomic_fetch_add(&workers.ticks, 1);
    s->os->futex_wake((uint32_t *)&workers.ticks, 1);
    return NADB_OK;
}

void nadb_workers_remove(engine *s) {
    job **p, *j;

    pthread_once(&workers.once, init);
    nadb_lock(&workers.lock);
    for (j = workers.jobs; j != NULL && j->s != s;) j = j->next;
    if (j != NULL) {
        j->leaving = true;
        while (j->busy > 0) nadb_cond_wait(&workers.idle, &workers.lock);
        for (p = &workers.jobs; *p != j;) p = &(*p)->next;
        *p = j->next;
        nadb_free(j);
    }
    nadb_unlock(&workers.lock);
}

bool nadb_workers_running(void) {
    bool running;

    pthread_once(&workers.once, init);
    nadb_lock(&workers.lock);
    running = workers.working; /* the one that is started last */
    nadb_unlock(&workers.lock);
    return running;
}

void nadb_workers_before_fork(void) {
    pthread_once(&workers.once, init);
    nadb_lock(&workers.lock);
}

void nadb_workers_after_fork(bool child) {
    if (child) {
        /* The jobs belong to the parent; forgetting them leaks a few bytes. */
        workers.jobs = NULL;
        workers.flushing = workers.working = false;
    }
    nadb_unlock(&workers.lock);
}
