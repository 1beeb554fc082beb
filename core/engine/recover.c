/* recover.c - see recover.h.
 *
 * Each log is replayed up to its first bad record. A crash leaves a bad record
 * at the end of the last log only. A power cut can remove any unsynced part of
 * any log, so everything behind the first gap is dropped: the store is then as
 * it was at some moment before the cut. Two things tell a torn end from damage:
 *
 *   - the header of the next log says where this one ended when it was made; if
 *     the next log has records, this log must reach that place. Each log names
 *     the one before it; logs outside this chain were never used or had been
 *     dropped.
 *   - every record says up to which place the logs had been synced. If a later
 *     record covers the bad place, synced bytes are gone: NADB_CORRUPT.
 *
 * A reader that may not write to control replays into private memory, while
 * others may write and flush. Then what it finds may not fit together, and it
 * begins again (recover_beside()). */
#include "recover.h"

#include <errno.h>
#include <stdlib.h>

typedef struct found_log {
    uint64_t number;
    memtable *m;    /* NULL: the header is not valid */
    uint64_t limit; /* records end here at the latest */
    uint64_t end;   /* where replay stopped */
    bool used;      /* set by find_used() */
    bool kept;      /* it is part of the recovered state */
} found_log;

typedef struct recovery {
    engine *s;
    found_log *logs; /* ascending */
    size_t n;
    nadb_buf numbers;    /* uint64_t of every .log */
    nadb_buf all;        /* uint64_t of every file with a number */
    uint64_t max_number; /* new files get higher numbers */
    uint64_t seq;
    nadb_base_version *base;
    /* control is of another boot and not sealed: there was a power cut */
    bool tails_lost;
} recovery;

static nadb_rc each_name(void *ctx, const char *name, nadb_err *err) {
    recovery *r = ctx;
    const char *kind = "";
    uint64_t number = 0;

    if (!nadb_file_parse(name, &number, &kind)) return NADB_OK;
    if (strcmp(kind, "txn") == 0 && !r->s->private_memory)
        (void)nadb_home_unlink(&r->s->home, number, kind, NULL);
    if (!nadb_buf_append(&r->all, &number, sizeof number) ||
        (strcmp(kind, "log") == 0 &&
         !nadb_buf_append(&r->numbers, &number, sizeof number)))
        return nadb_fail(err, NADB_NOMEM, "listing %s", r->s->dir);
    return NADB_OK;
}

static int by_number(const void *a, const void *b) {
    const found_log *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

static void remove_log(engine *s, uint64_t number) {
    if (!s->private_memory) engine_unlink_log(s, number);
}

/* Finds the logs that the base does not contain, and removes the others. */
static nadb_rc find_logs(recovery *r, nadb_err *err) {
    engine *s = r->s;
    nadb_rc rc = s->os->dir_list(s->home.dir, each_name, r, err);
    size_t all = r->numbers.n / sizeof(uint64_t);

    if (rc != NADB_OK) return rc;
    r->logs = nadb_calloc(all + 1, sizeof *r->logs);
    if (r->logs == NULL)
        return nadb_fail(err, NADB_NOMEM, "opening %s", s->dir);
    for (size_t i = 0; i < all; i++) {
        uint64_t number;

        memcpy(&number, r->numbers.p + i * sizeof number, sizeof number);
        if (number < r->base->first_log)
            remove_log(s, number);
        else
            r->logs[r->n++].number = number;
    }
    qsort(r->logs, r->n, sizeof *r->logs, by_number);
    return NADB_OK;
}

/* Checks that MANIFEST is the one that the last close left, or a later one.
 * (The control of an earlier close may be what reached the disk.) */
static nadb_rc check_left(const recovery *r, nadb_err *err) {
    if (r->base->generation >= r->s->ctl.left.base_generation) return NADB_OK;
    return nadb_fail(err, NADB_CANTOPEN, ENGINE_MANIFEST_OLD, r->s->dir);
}

static uint64_t place_number(uint64_t place) { return place >> WAL_OFF_BITS; }

/* The place up to which records existed when the store was closed. If that is
 * in a log without records, it is the end of the log before it, which the
 * header names. */
static uint64_t end_left(const recovery *r) {
    uint64_t place = r->s->ctl.left.end;

    if (place != wal_place(place_number(place), WAL_HEADER)) return place;
    for (size_t i = 0; i < r->n; i++)
        if (r->logs[i].m != NULL && r->logs[i].number == place_number(place))
            return wal_place(r->logs[i].m->log.prev_log,
                             r->logs[i].m->log.prev_end);
    return 0;
}

/* Checks that no record is missing that existed when the store was closed;
 * `end`: the place behind the last record found. */
static nadb_rc check_records_left(const recovery *r, uint64_t end,
                                  nadb_err *err) {
    uint64_t left = end_left(r);
    uint64_t number = place_number(left);

    if (number < r->base->first_log || end >= left) return NADB_OK;
    if (number == place_number(end))
        return nadb_corrupt(err,
                            "%s/%06llu.log ends at offset %llu, though it was "
                            "longer when the store was closed: restore it, or "
                            "a backup",
                            r->s->dir, (unsigned long long)number,
                            (unsigned long long)(end - wal_place(number, 0)));
    return nadb_corrupt(err,
                        "%s/%06llu.log is missing or empty, and had records "
                        "when the store was closed: restore it, or a backup",
                        r->s->dir, (unsigned long long)number);
}

static nadb_rc open_logs(recovery *r, nadb_err *err) {
    engine *s = r->s;

    for (size_t i = 0; i < r->n; i++) {
        found_log *f = &r->logs[i];
        nadb_rc rc = memtable_rebuild(&f->m, &s->home, f->number,
                                      s->private_memory, err);

        if (rc != NADB_OK) return rc;
        if (f->m == NULL) continue;
        f->limit = atomic_load(&f->m->log_safe);
        if (f->limit > f->m->log.capacity) f->limit = f->m->log.capacity;
        f->end = WAL_HEADER;
        atomic_store(&f->m->head->keeps, (uint32_t)engine_keeps(s));
    }
    return NADB_OK;
}

/* New files get numbers above those that MANIFEST and logs prove, even if all
 * files of that age are gone, and above those that a crash may have left. A
 * much higher number in a file's name is not from nadb and must not use up the
 * numbers. */
#define NUMBERS_LEFT ((uint64_t)1 << 20)

static nadb_rc number_files(recovery *r, nadb_err *err) {
    uint64_t proven = r->base->first_log;
    uint64_t number, max;

    if (r->base->last_file > proven) proven = r->base->last_file;
    for (size_t i = 0; i < r->n; i++)
        if (r->logs[i].m != NULL && r->logs[i].number > proven)
            proven = r->logs[i].number;
    if (proven >= NADB_FILE_MAX)
        return nadb_corrupt(err,
                            "%s has a file numbered %llu, which is the last "
                            "number: copy the rows into a new store",
                            r->s->dir, (unsigned long long)proven);
    max = proven;
    for (size_t at = 0; at < r->all.n; at += sizeof number) {
        memcpy(&number, r->all.p + at, sizeof number);
        if (number > max && number - proven <= NUMBERS_LEFT &&
            number < NADB_FILE_MAX)
            max = number;
    }
    r->max_number = max;
    return NADB_OK;
}

static bool has_record(const found_log *f) {
    wal_record rec;
    bool valid = false;

    if (f->m != NULL)
        wal_record_at(&f->m->log, WAL_HEADER, f->limit, true, &rec, &valid);
    return valid;
}

/* The log that was begun after logs[i]: the last used one that names it; r->n
 * if there is none. Others that name it are empty: their makers died before
 * they were used, or an earlier recovery dropped them and a power cut restored
 * their names. */
static size_t successor(const recovery *r, size_t i) {
    for (size_t j = r->n; j > i + 1;) {
        const found_log *f = &r->logs[--j];

        if (f->m != NULL && f->m->log.prev_log == r->logs[i].number &&
            (f->m->log.cut || f->used))
            return j;
    }
    return r->n;
}

/* Marks the logs that were used: those with a record, and those that a used log
 * names. (A log that is too small for its first record stays empty.) */
static void find_used(recovery *r) {
    for (size_t i = r->n; i > 0; i--)
        r->logs[i - 1].used =
            has_record(&r->logs[i - 1]) || successor(r, i - 1) < r->n;
}

/* The first log of the chain: the log before it is in the base, or is missing.
 * Of several, the last one with records. */
static size_t chain_first(const recovery *r) {
    size_t first = r->n;

    for (size_t i = r->n; i > 0; i--) {
        size_t j = i - 1;
        const found_log *f = &r->logs[j];

        if (f->m == NULL || (f->m->log.prev_log != 0 &&
                             f->m->log.prev_log >= r->base->first_log))
            continue;
        if (f->used) return j;
        first = j;
    }
    return first;
}

/* True if a later record of the log, from `off` on, or a later log says that
 * the stamp had been decided. */
static bool was_decided(const recovery *r, const found_log *f, uint64_t off,
                        uint64_t stamp) {
    const found_log *end = r->logs + r->n;

    for (; f < end; f++, off = WAL_HEADER) {
        if (f->m == NULL) continue;
        if (off == WAL_HEADER && f->m->log.decided >= stamp) return true;
        for (;;) {
            wal_record rec;
            bool valid = false;

            wal_record_at(&f->m->log, off, f->limit, true, &rec, &valid);
            if (!valid) break;
            if (rec.decided >= stamp) return true;
            off += rec.length;
        }
    }
    return false;
}

/* Leaves the record to the database file, which a connection asks later
 * (stamp.c). */
static nadb_rc leave_in_doubt(recovery *r, const found_log *f,
                              const wal_record *rec, nadb_err *err) {
    control_map *map = r->s->ctl.map;

    for (uint32_t i = 0; i < CONTROL_DOUBTS; i++) {
        control_doubt *d = &map->doubts[i];

        if (atomic_load(&d->state) != DOUBT_FREE) continue;
        atomic_store(&d->slot, CONTROL_NO_SLOT);
        atomic_store(&d->log, f->number);
        atomic_store(&d->off, rec->off);
        atomic_store(&d->room, memtable_room(rec->count));
        atomic_store(&d->stamp, rec->stamp.number);
        atomic_store(&d->nonce, rec->stamp.nonce);
        atomic_store(&d->state, DOUBT_ORPHAN);
        control_doubt_mark(map, i, true);
        return NADB_OK;
    }
    return nadb_corrupt(err, "%s is damaged: too many records in doubt",
                        r->s->os->path(f->m->log.file));
}

/* Collects what a record or a log's header says about stamps. */
static void note_stamps(recovery *r, uint64_t decided,
                        const nadb_stamp *stamp) {
    control_map *map = r->s->ctl.map;

    if (stamp != NULL) {
        atomic_store(&map->stamp_number, stamp->number);
        atomic_store(&map->stamp_nonce, stamp->nonce);
    } else if (decided > atomic_load(&map->stamp_number)) {
        atomic_store(&map->stamp_number, decided);
        atomic_store(&map->stamp_nonce, 0);
    }
}

static nadb_rc replay_record(recovery *r, found_log *f, const wal_record *rec,
                             nadb_err *err) {
    bool fits = false;
    nadb_rc rc;

    note_stamps(r, rec->decided, NULL);
    if (rec->taken_back) return NADB_OK;
    rc = memtable_reserve(f->m, 0, memtable_room(rec->count), &fits, err);
    if (rc == NADB_OK && !fits)
        rc = nadb_corrupt(err, "%s is damaged: too many entries",
                          r->s->os->path(f->m->log.file));
    if (rc == NADB_OK && (rec->flags & WAL_CLEAR) &&
        atomic_load(&f->m->head->n_clears) >= MEMTABLE_CLEARS)
        rc = nadb_corrupt(err, "%s is damaged: too many clears",
                          r->s->os->path(f->m->log.file));
    if (rc == NADB_OK && rec->stamp.number != 0 &&
        !was_decided(r, f, rec->off + rec->length, rec->stamp.number))
        return leave_in_doubt(r, f, rec, err);
    if (rc == NADB_OK)
        rc = engine_link(f->m, rec->off, f->limit, r->seq + 1, false, err);
    if (rc == NADB_OK) r->seq++;
    if (rc == NADB_OK && rec->stamp.number != 0) note_stamps(r, 0, &rec->stamp);
    return rc;
}

/* Links every record up to the first bad one, or up to where the next log says
 * that this one becomes void. */
static nadb_rc replay(recovery *r, found_log *f, const found_log *next,
                      nadb_err *err) {
    uint64_t off = WAL_HEADER;

    if (f->m->log.base_seq > r->seq) r->seq = f->m->log.base_seq;
    note_stamps(r, f->m->log.decided, NULL);
    if (next != NULL && next->m->log.cut && next->m->log.prev_end < f->limit)
        f->limit = next->m->log.prev_end;
    for (;;) {
        wal_record rec;
        bool valid = false;
        nadb_rc rc;

        wal_record_at(&f->m->log, off, f->limit, true, &rec, &valid);
        if (!valid) break;
        rc = replay_record(r, f, &rec, err);
        if (rc != NADB_OK) return rc;
        off += rec.length;
    }
    f->end = off;
    memtable_tail_set(f->m, off);
    return NADB_OK;
}

/* The search for a later record gives up after summing so many bytes: forged
 * bytes can look like a long record at every place. */
#define SEARCH_BYTES ((uint64_t)1 << 30)

typedef struct search {
    const found_log *f;
    /* the search is for a record that says that this place was synced */
    uint64_t bad;
    /* a part of the file that is not a hole, see data_at() */
    uint64_t from, to;
    uint64_t *left; /* rest of SEARCH_BYTES */
} search;

/* The first place from `off` on that is not in a hole. */
static uint64_t skip_hole(search *s, uint64_t off) {
    const wal *w = &s->f->m->log;

    if (off >= s->to) w->os->data_at(w->file, off, &s->from, &s->to);
    if (off >= s->from || s->from - off < 8) return off;
    return (s->from - 8) / 8 * 8;
}

/* Behind a bad record, a record can begin at any multiple of 8. */
static bool search_log(search *s, uint64_t off) {
    while (off <= s->f->limit && s->f->limit - off >= WAL_RECORD) {
        const wal *w = &s->f->m->log;
        wal_record rec;
        bool valid = false, checked = false;

        wal_record_at(w, off, s->f->limit, false, &rec, &valid);
        if (valid) wal_record_at(w, off, s->f->limit, true, &rec, &checked);
        if (checked && rec.synced > s->bad) return true;
        if (valid && !checked) {
            if (rec.length > *s->left) return true;
            *s->left -= rec.length;
        }
        off = skip_hole(s, off + (checked ? rec.length : 8));
    }
    return false;
}

/* True if a record of logs[i..] from `off` on says that `bad` was synced, or if
 * that cannot be found out. */
static bool was_synced(const recovery *r, size_t i, uint64_t off,
                       uint64_t bad) {
    uint64_t left = SEARCH_BYTES;

    for (; i < r->n; i++, off = WAL_HEADER) {
        search s = {&r->logs[i], bad, 0, 0, &left};

        if (r->logs[i].m != NULL && search_log(&s, off)) return true;
    }
    return false;
}

/* Removes the logs outside the chain and those behind a gap. */
static void drop_others(recovery *r) {
    size_t kept = 0;

    for (size_t i = 0; i < r->n; i++) {
        found_log *f = &r->logs[i];

        if (f->kept) {
            r->logs[kept++] = *f;
            continue;
        }
        memtable_unref(f->m);
        remove_log(r->s, f->number);
    }
    r->n = kept;
}

/* The chain ends in logs[i] at `end`. Fails if something behind it had been
 * synced. */
static nadb_rc check_end(const recovery *r, size_t i, uint64_t end,
                         nadb_err *err) {
    uint64_t number = i < r->n ? r->logs[i].number : r->base->first_log;

    if (!was_synced(r, i < r->n ? i : 0, end, wal_place(number, end)))
        return NADB_OK;
    return nadb_corrupt(err,
                        "%s/%06llu.log is damaged at offset %llu, or a log "
                        "after it is missing, though this had been synced: "
                        "restore a backup",
                        r->s->dir, (unsigned long long)number,
                        (unsigned long long)end);
}

/* Sequence numbers are stored in indexes only. Replayed records get new ones in
 * the order of the log, which may differ from that of the commits, and commits
 * that readers saw may be lost. So after a bad end new commits get numbers that
 * were never used; an application that remembers a number (nadb_changes,
 * nadb_wait) then misses nothing. */
#define SEQ_GAP ((uint64_t)1 << 32)

static void leave_gap(recovery *r) {
    bool is_new = r->n == 0 && r->seq == 0;

    if (!is_new && !r->s->private_memory && r->s->ctl.left.last_log == 0 &&
        r->seq < SEQ_GAP << 20)
        r->seq += SEQ_GAP;
}

static nadb_rc replay_all(recovery *r, nadb_err *err) {
    uint64_t end = 0;
    nadb_rc rc = NADB_OK;
    size_t i;

    find_used(r);
    leave_gap(r);
    i = chain_first(r);
    if (i == r->n) rc = check_end(r, i, WAL_HEADER, err);
    while (rc == NADB_OK && i < r->n) {
        found_log *f = &r->logs[i];
        size_t next = successor(r, i);
        const found_log *n = next < r->n ? &r->logs[next] : NULL;

        rc = replay(r, f, n, err);
        if (rc != NADB_OK) return rc;
        f->kept = true;
        end = wal_place(f->number, f->end);
        if (n == NULL || f->end < n->m->log.prev_end) {
            rc = check_end(r, i, f->end, err);
            break;
        }
        i = next;
    }
    if (rc == NADB_OK) rc = check_records_left(r, end, err);
    if (rc == NADB_OK) drop_others(r);
    return rc;
}

/* Makes a version of the recovered logs, newest first. */
static nadb_rc version_first(recovery *r, engine_version **out, nadb_err *err) {
    engine *s = r->s;
    engine_version *v =
        nadb_calloc(1, sizeof *v + (r->n + 1) * sizeof(memtable *));

    *out = NULL;
    if (v == NULL) return nadb_fail(err, NADB_NOMEM, "opening %s", s->dir);
    atomic_store(&v->refs, 1);
    v->base = r->base;
    s->base_ops->version_ref(v->base);
    for (size_t i = r->n; i > 0;) {
        memtable *m = r->logs[--i].m;

        if (m != NULL) v->logs[v->n_logs++] = memtable_ref(m);
    }
    v->first_log = v->n_logs > 0 ? v->logs[v->n_logs - 1]->log.number : 0;
    *out = v;
    return NADB_OK;
}

/* Publishes the recovered state with a new active log. */
static nadb_rc install(recovery *r, nadb_err *err) {
    engine *s = r->s;
    control_map *map = s->ctl.map;
    engine_version *v = NULL, *next = NULL;
    control_now now;
    nadb_rc rc = version_first(r, &v, err);

    if (rc != NADB_OK) return rc;
    atomic_store(&map->next_file, r->max_number + 1);
    atomic_store(&map->stamp_base, atomic_load(&map->stamp_number));
    atomic_store(&map->tails_lost, r->tails_lost);
    atomic_store(&map->changed_seq, r->seq);
    if (v->first_log == 0) v->first_log = r->max_number + 1;
    atomic_store(&map->visible, r->seq << 8);
    control_publish(&s->ctl, v->first_log,
                    v->n_logs > 0 ? v->logs[0]->log.number : 0,
                    v->base->generation);
    control_read(&s->ctl, &now);
    v->generation = now.generation;
    v->index = control_index(now.visible);
    v->seq = now.seq;
    s->versions = v;
    if (s->private_memory) return NADB_OK;
    rc = engine_lock(s, -1, err);
    if (rc != NADB_OK) return rc;
    rc = engine_rotate(s, v, 0, &next, err);
    engine_unlock(s);
    engine_version_unref(s, next);
    if (rc != NADB_OK) return rc;
    atomic_store(&map->synced, wal_place(r->base->first_log, 0));
    control_identify(&s->ctl, &s->home.id);
    atomic_store(&map->distrust, 0);
    return NADB_OK;
}

/* A control of this boot may list void records whose logs do not say so. They
 * are marked now, before the control is replaced. */
static nadb_rc void_records(engine *s, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (s->private_memory || !s->ctl.ours) return NADB_OK;
    for (uint32_t i = 0; i < CONTROL_DOUBTS && rc == NADB_OK; i++) {
        control_doubt *d = &s->ctl.map->doubts[i];
        uint64_t off = atomic_load(&d->off), size = 0;
        bool valid = false;
        nadb_err mine;
        wal_record rec;
        wal w;

        if (atomic_load(&d->state) != DOUBT_VOID) continue;
        nadb_err_clear(&mine);
        rc = wal_open(&w, &s->home, atomic_load(&d->log), false, &valid, &mine);
        if (valid) {
            rc = s->os->size(w.file, &size, &mine);
            if (size > w.capacity) size = w.capacity;
            wal_record_at(&w, off, size, true, &rec, &valid);
            if (rc == NADB_OK && valid) rc = wal_take_back(&w, off, &mine);
            wal_close(&w);
        }
        if (mine.sys_errno == ENOENT) rc = NADB_OK; /* the base contains it */
        if (rc != NADB_OK) (void)nadb_fail(err, rc, "%s", mine.msg);
    }
    return rc;
}

/* Another process that has flushed since MANIFEST was read may have unlinked
 * logs before they were opened. */
static nadb_rc check_unmoved(const recovery *r, nadb_err *err) {
    const nadb_base_ops *ops = r->s->base_ops;
    nadb_base_version *now = NULL;
    nadb_rc rc;

    if (!r->s->private_memory) return NADB_OK;
    rc = ops->version_open(r->s->base, &now, err);
    if (rc != NADB_OK) return rc;
    if (now->generation != r->base->generation)
        rc = nadb_fail(err, NADB_BUSY,
                       "other processes flush the store in %s faster than it "
                       "can be read: try again",
                       r->s->dir);
    ops->version_unref(now);
    return rc;
}

static nadb_rc recover(engine *s, nadb_err *err) {
    recovery r;
    nadb_rc rc;

    memset(&r, 0, sizeof r);
    r.s = s;
    r.tails_lost = !s->ctl.ours && s->ctl.left.last_log == 0;
    rc = void_records(s, err);
    if (rc == NADB_OK) rc = control_format(&s->ctl, err);
    if (rc == NADB_OK) engine_keep_set(s, nadb_option_keep(s->options), true);
    if (rc == NADB_OK) rc = s->base_ops->version_open(s->base, &r.base, err);
    if (rc == NADB_OK) rc = find_logs(&r, err);
    if (rc == NADB_OK) rc = check_left(&r, err);
    if (rc == NADB_OK) rc = open_logs(&r, err);
    if (rc == NADB_OK) rc = number_files(&r, err);
    /* There are no files, so this is a new store. */
    if (rc == NADB_OK && !s->home.id.known) nadb_home_name(&s->home);
    if (rc == NADB_OK) {
        r.seq = r.base->seq;
        rc = replay_all(&r, err);
    }
    if (rc == NADB_OK) rc = check_unmoved(&r, err);
    if (rc == NADB_OK) rc = install(&r, err);
    for (size_t i = 0; rc == NADB_OK && !s->private_memory && i < r.n; i++)
        (void)nadb_home_unlink(&s->home, r.logs[i].number, "was", NULL);
    for (size_t i = 0; i < r.n; i++) memtable_unref(r.logs[i].m);
    if (r.base != NULL) s->base_ops->version_unref(r.base);
    nadb_free(r.logs);
    nadb_buf_clear(&r.numbers);
    nadb_buf_clear(&r.all);
    return rc;
}

/* True if the error may come from what other processes did meanwhile. */
static bool may_pass(const nadb_err *e) {
    return e->rc == NADB_BUSY || e->rc == NADB_CORRUPT ||
           e->sys_errno == ENOENT;
}

/* Beside writers. Damage gives the same error twice. */
static nadb_rc recover_beside(engine *s, nadb_err *err) {
    int64_t ms = atomic_load(&s->busy_timeout_ms), until;
    nadb_err mine, last;
    nadb_rc rc;

    if (ms < ENGINE_LEAST_MS) ms = ENGINE_LEAST_MS;
    until = s->os->mono_ns() + ms * 1000000;
    nadb_err_clear(&mine);
    do {
        last = mine;
        nadb_err_clear(&mine);
        rc = recover(s, &mine);
    } while (rc != NADB_OK && may_pass(&mine) &&
             (rc == NADB_BUSY || strcmp(mine.msg, last.msg) != 0) &&
             s->os->mono_ns() < until);
    if (rc != NADB_OK && err != NULL) *err = mine;
    return rc;
}

nadb_rc engine_recover(engine *s, nadb_err *err) {
    return s->private_memory ? recover_beside(s, err) : recover(s, err);
}
