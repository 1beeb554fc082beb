/* encode.c - see encode.h.
 *
 * Chunks are numbered from 0; chunk n is in place n % ENCODER_CHUNKS of the
 * ring. Three counters divide them:
 *
 *   0 .. dropped - 1       written
 *   dropped .. begun - 1   being encoded, or encoded (`done`) and not yet taken
 *   begun .. given - 1     given by the writer; no thread has begun them
 *   given                  the writer fills it
 *
 * given <= dropped + ENCODER_CHUNKS - 1, so the writer's place is free. */
#include "encode.h"

#include "../kv/codec.h"
#include "../util/sync.h"

/* The writer's thread collects chunks about twice as fast as a thread
 * compresses them. */
#define ENCODER_THREADS 2u

typedef struct place {
    backup_chunk chunk;
    bool done;
    nadb_rc rc; /* of encoding it */
    nadb_err err;
} place;

struct backup_encoder {
    int level;
    uint8_t id[ID_BYTES];
    pthread_t threads[ENCODER_THREADS];
    unsigned running; /* number of threads */
    nadb_mutex lock;
    nadb_cond moved; /* signalled when `given`, `done` or `ending` changes */
    bool ending;
    uint64_t dropped, begun, given;
    place ring[ENCODER_CHUNKS];
};

static place *place_of(backup_encoder *e, uint64_t n) {
    return &e->ring[n % ENCODER_CHUNKS];
}

static void encode(const backup_encoder *e, place *p) {
    backup_chunk *c = &p->chunk;
    nadb_slice raw = backup_chunk_raw(c);

    nadb_buf_reset(&c->compressed);
    p->rc =
        nadb_codec_encode(raw, e->level, &c->compressed, &c->codec, &p->err);
    if (p->rc != NADB_OK) return;
    c->coded =
        c->codec == NADB_CODEC_RAW ? raw : nadb_buf_slice(&c->compressed);
    c->keys_crc = backup_crc(e->id, c->keys.p, c->keys.n);
    c->values_crc = backup_crc(e->id, c->coded.p, c->coded.n);
}

static void *encode_all(void *arg) {
    backup_encoder *e = arg;

    nadb_lock(&e->lock);
    while (!e->ending) {
        place *p;

        if (e->begun == e->given) {
            nadb_cond_wait(&e->moved, &e->lock);
            continue;
        }
        p = place_of(e, e->begun++);
        nadb_unlock(&e->lock);
        encode(e, p);
        nadb_lock(&e->lock);
        p->done = true;
        nadb_cond_broadcast(&e->moved);
    }
    nadb_unlock(&e->lock);
    return NULL;
}

/* Errors are ignored: fewer threads, or none, suffice. */
static void start_threads(backup_encoder *e) {
    while (e->running < ENCODER_THREADS &&
           nadb_thread_start(&e->threads[e->running], "nadb-backup", encode_all,
                             e, NULL) == NADB_OK)
        e->running++;
}

nadb_rc backup_encoder_new(int level, const uint8_t id[ID_BYTES],
                           backup_encoder **out, nadb_err *err) {
    backup_encoder *e = nadb_calloc(1, sizeof *e);
    nadb_rc rc;

    *out = NULL;
    if (e == NULL)
        return nadb_fail(err, NADB_NOMEM, "out of memory for a backup");
    e->level = level;
    memcpy(e->id, id, ID_BYTES);
    rc = nadb_mutex_cond_init(&e->lock, NADB_RANK_BACKUP, &e->moved, err);
    if (rc == NADB_OK)
        *out = e;
    else
        nadb_free(e);
    return rc;
}

void backup_encoder_free(backup_encoder *e) {
    if (e == NULL) return;
    nadb_lock(&e->lock);
    e->ending = true;
    nadb_cond_broadcast(&e->moved);
    nadb_unlock(&e->lock);
    for (unsigned i = 0; i < e->running; i++) nadb_thread_join(e->threads[i]);
    for (unsigned i = 0; i < ENCODER_CHUNKS; i++) {
        backup_chunk *c = &e->ring[i].chunk;

        nadb_buf_clear(&c->keys);
        nadb_buf_clear(&c->values);
        nadb_buf_clear(&c->first);
        nadb_buf_clear(&c->compressed);
    }
    nadb_cond_clear(&e->moved);
    nadb_mutex_clear(&e->lock);
    nadb_free(e);
}

/* Only the writer changes `given` and `dropped`, so it reads them without the
 * lock. */

backup_chunk *backup_encoder_chunk(backup_encoder *e) {
    return &place_of(e, e->given)->chunk;
}

unsigned backup_encoder_given(const backup_encoder *e) {
    return (unsigned)(e->given - e->dropped);
}

void backup_encoder_give(backup_encoder *e) {
    place *p = place_of(e, e->given);

    if (e->given == 1) start_threads(e);
    p->done = false;
    nadb_lock(&e->lock);
    e->given++;
    nadb_cond_broadcast(&e->moved);
    nadb_unlock(&e->lock);
}

nadb_rc backup_encoder_take(backup_encoder *e, const backup_chunk **out,
                            nadb_err *err) {
    place *p = place_of(e, e->dropped);
    bool mine;

    nadb_lock(&e->lock);
    mine = e->begun == e->dropped && e->begun < e->given;
    if (mine) e->begun++;
    while (!mine && !p->done) nadb_cond_wait(&e->moved, &e->lock);
    nadb_unlock(&e->lock);
    if (mine) encode(e, p);
    *out = &p->chunk;
    if (p->rc != NADB_OK && err != NULL) *err = p->err;
    return p->rc;
}

void backup_encoder_drop(backup_encoder *e) {
    backup_chunk *c = &place_of(e, e->dropped)->chunk;

    nadb_buf_reset(&c->keys);
    nadb_buf_reset(&c->values);
    nadb_buf_reset(&c->first);
    c->large = nadb_slice_of(NULL, 0);
    c->records = 0;
    e->dropped++;
}
