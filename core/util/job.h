/* job.h - long work that shows how far it is, and can be stopped.
 *
 * The caller that begins a job gives it a function that says whether to stop.
 * Code that works on the same thread reports what it has done, row by row or
 * block by block. Every JOB_LOOK_MS the job writes this where other processes
 * can read it, draws it on the terminal, and calls that function. Outside a job
 * (as in the background) a report costs a load and a compare.
 *
 * The jobs of all processes of a user are listed in one small file in memory,
 * of 64 places (docs/jobs.md). A process owns a place while it holds a lock on
 * its byte, so that the places of a dead process are free. A CRC guards its
 * bytes. Without such a file, or a free place, the job runs and is not listed.
 */
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
    uint64_t rows_all, bytes_all; /* of the whole; 0: not known */
    char kind[32];
    char target[256]; /* a table, or what it works on */
} nadb_job_state;

typedef struct nadb_job {
    struct nadb_job *outer; /* of the same thread */
    bool (*ask)(void *ctx); /* whether it is to end */
    void *ctx;
    nadb_job_state now;
    bool listed; /* false: only asks */
    bool apart;
    unsigned steps;
    uint64_t bytes_looked;
    int64_t begun_ns, looked_ns;
    nadb_dir *dir;
    nadb_file *file; /* with the lock of the place; NULL: it has none */
    unsigned place;
    bool tried; /* to get one */
    bool drawn; /* the terminal shows it */
    int64_t drawn_ns;
} nadb_job;

/* Begins; the job is the thread's, and what was its job goes on afterwards.
 * `kind` NULL: it is not listed. Texts are copied, and cut where they are long.
 */
void nadb_job_begin(nadb_job *j, const char *kind, const char *target,
                    bool (*ask)(void *ctx), void *ctx);
/* Likewise, but it is not the thread's: who has it says what was done. */
void nadb_job_begin_apart(nadb_job *j, const char *kind, const char *target);
void nadb_job_end(nadb_job *j);
/* What only asks, and goes on now and then. It is the thread's job between
 * enter and leave, unless there is one already: then false, and nothing is to
 * be left. It needs no end. */
void nadb_job_begin_quiet(nadb_job *j, bool (*ask)(void *ctx), void *ctx);
bool nadb_job_enter(nadb_job *j);
void nadb_job_leave(nadb_job *j);
/* How much there is to do; 0: that is not known. */
void nadb_job_expect(uint64_t rows, uint64_t bytes);
/* The thread's job has done so much more. NADB_INTERRUPT: it is to end. */
nadb_rc nadb_job_step(uint64_t rows, uint64_t bytes,
                      nadb_err *err) NADB_MUST_USE;
/* The same without a step: where it waits for others, who do the work; or, in a
 * walk whose steps are short, once in so many of them. */
nadb_rc nadb_job_look(nadb_err *err) NADB_MUST_USE;
#define NADB_JOB_STEPS 64u
/* Of a job that is apart. */
void nadb_job_did(nadb_job *j, uint64_t rows, uint64_t bytes);
/* The part that is done, from 0 to 1; negative: not known. */
double nadb_job_part(const nadb_job_state *s);

/* Calls `each` with every job of this user's processes. */
typedef nadb_rc nadb_job_fn(void *ctx, const nadb_job_state *s, nadb_err *err);
nadb_rc nadb_jobs_each(nadb_job_fn *each, void *ctx,
                       nadb_err *err) NADB_MUST_USE;

/* --- os_posix_user.c --- */

uint64_t nadb_user_id(void);
uint64_t nadb_process_id(void);
/* Of a descriptor that somebody else has opened for us. */
void nadb_close_on_exec(int fd);
bool nadb_terminal_is_there(void); /* stderr is one */
void nadb_terminal_write(const char *text, size_t n);

/* --- os_linux.c, os_plain.c --- */

/* The library that has this function in it stays in the process: it has
 * threads. */
void nadb_stay_loaded(void);
bool nadb_several_cpus(void); /* for this process */

#endif
