/* job.h - long work that shows its progress and can be stopped.
 *
 * The caller that begins a job passes a function that says whether to stop.
 * Code on the same thread reports what it has done, row by row or block by
 * block. Every JOB_LOOK_MS the job writes its progress where other processes
 * can read it, draws it on the terminal, and calls that function. Outside a job
 * (as in the background) a report costs a load and a comparison.
 *
 * The jobs of all processes of a user are listed in one small file in memory,
 * of 64 places (docs/jobs.md). A process owns a place while it holds a lock on
 * the place's byte, so the places of a dead process are free. A CRC protects a
 * place. Without such a file, or without a free place, the job runs
 * unlisted. */
#ifndef NADB_JOB_H
#define NADB_JOB_H

#include "os.h"

#define JOB_LOOK_MS 20
#define JOB_PLACES 64u
#define JOB_PLACE_BYTES 512u

typedef struct nadb_job_state {
    uint64_t pid;
    int64_t begun_ms, seen_ms; /* Unix time */
    uint64_t rows, bytes;
    uint64_t rows_all, bytes_all; /* totals; 0: unknown */
    char kind[32];
    char target[256]; /* a table, or another object of the work */
} nadb_job_state;

typedef struct nadb_job {
    struct nadb_job *outer; /* of the same thread */
    bool (*ask)(void *ctx); /* true: stop */
    void *ctx;
    nadb_job_state now;
    bool listed; /* false: it only polls for a stop */
    bool apart;
    unsigned steps;
    uint64_t bytes_looked;
    int64_t begun_ns, looked_ns;
    nadb_dir *dir;
    nadb_file *file; /* holds the lock of the place; NULL: none */
    unsigned place;
    bool tried; /* has tried to get a place */
    bool drawn; /* it is shown on the terminal */
    int64_t drawn_ns;
} nadb_job;

/* Begins a job of this thread; the outer job continues after its end. `kind`
 * NULL: it is not listed. Texts are copied, and cut if they are long. */
void nadb_job_begin(nadb_job *j, const char *kind, const char *target,
                    bool (*ask)(void *ctx), void *ctx);
/* Begins a job that belongs to no thread; progress is reported by
 * nadb_job_did(). */
void nadb_job_begin_apart(nadb_job *j, const char *kind, const char *target);
void nadb_job_end(nadb_job *j);
/* Initialises a job that only polls for a stop. It is the thread's job between
 * enter and leave. Enter returns false if the thread has a job already; leave
 * is then not called. It needs no end. */
void nadb_job_begin_quiet(nadb_job *j, bool (*ask)(void *ctx), void *ctx);
bool nadb_job_enter(nadb_job *j);
void nadb_job_leave(nadb_job *j);
/* Sets the total of the work; 0: unknown. */
void nadb_job_expect(uint64_t rows, uint64_t bytes);
/* Reports progress of the thread's job. NADB_INTERRUPT: stop. */
nadb_rc nadb_job_step(uint64_t rows, uint64_t bytes,
                      nadb_err *err) NADB_MUST_USE;
/* Polls without progress: while other threads do the work, or in a walk with
 * short steps once per several steps. */
nadb_rc nadb_job_look(nadb_err *err) NADB_MUST_USE;
#define NADB_JOB_STEPS 64u
/* Reports progress of a job of nadb_job_begin_apart(). */
void nadb_job_did(nadb_job *j, uint64_t rows, uint64_t bytes);
/* The finished part, 0 to 1; negative: unknown. */
double nadb_job_part(const nadb_job_state *s);

/* Calls `each` with every job of this user's processes. */
typedef nadb_rc nadb_job_fn(void *ctx, const nadb_job_state *s, nadb_err *err);
nadb_rc nadb_jobs_each(nadb_job_fn *each, void *ctx,
                       nadb_err *err) NADB_MUST_USE;

/* --- os_posix_user.c --- */

uint64_t nadb_user_id(void);
uint64_t nadb_process_id(void);
/* For descriptors that other code has opened. */
void nadb_close_on_exec(int fd);
bool nadb_terminal_is_there(void); /* stderr is one */
void nadb_terminal_write(const char *text, size_t n);

/* --- os_linux.c, os_plain.c --- */

/* Keeps the library that contains this function loaded until the process ends,
 * because it has threads. */
void nadb_stay_loaded(void);
bool nadb_several_cpus(void); /* for this process */

#endif
