/* conn.c - see conn.h. */
#include "conn.h"

#include <inttypes.h>
#include <stdio.h>

#define WAIT_GRACE_MS 1000
#define OPEN_LEAST_MS 1000

/* --- opening and closing --- */

conn *conn_new(const address *at, route *way) {
    conn *c = nadb_calloc(1, sizeof *c);
    uint8_t random[16];

    if (c == NULL) return NULL;
    c->at = at;
    c->way = way;
    c->wire.until = c->asked.until = &c->until;
    patience_begin(&c->until, at->timeout_ms, NULL);
    snprintf(c->wire.name, sizeof c->wire.name, "%s", at->name);
    nadb_os_get()->random(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(c->writer + 2 * i, 3, "%02x", random[i]);
    return c;
}

/* A larger queue is freed after its commit. */
#define QUEUE_KEPT (1u << 20)

static void forget_queue(conn *c) {
    if (c->queue.cap > QUEUE_KEPT) nadb_buf_clear(&c->queue);
    nadb_buf_reset(&c->queue);
    c->head = 0;
    c->pending = 0;
    c->singly = false;
    c->head_sent = false;
    c->head_asks = false;
}

void conn_close(conn *c) {
    wire_close(&c->wire);
    wire_close(&c->asked);
    forget_queue(c);
}

void conn_free(conn *c) {
    if (c == NULL) return;
    conn_close(c);
    nadb_buf_clear(&c->queue);
    nadb_buf_clear(&c->replicas);
    nadb_free(c);
}

bool conn_is_open(const conn *c) { return wire_is_open(&c->wire); }

bool conn_is_stale(const conn *c) {
    return wire_is_stale(&c->wire) || route_is_old(c->way, c->epoch);
}

nadb_rc conn_confused(conn *c, nadb_err *err) {
    conn_close(c);
    c->timed_out = false;
    return wire_confused(&c->wire, err);
}

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for a Redis command");
}

/* --- the server's state --- */

/* A clock beyond this, 34,000 years from now, is invalid. */
#define CLOCK_MOST_S ((int64_t)1 << 40)

static nadb_rc take_clock(conn *c, const redisReply *r, nadb_err *err) {
    int64_t s, us;

    if (r->type == REDIS_REPLY_ERROR) return wire_refused(&c->wire, r, err);
    if (!reply_is_array(r, 2) || !reply_number(r->element[0], &s) ||
        !reply_number(r->element[1], &us) || s > CLOCK_MOST_S || us >= 1000000)
        return wire_confused(&c->wire, err);
    c->clock_ahead_ms =
        s * 1000 + us / 1000 - nadb_os_get()->mono_ns() / 1000000;
    return NADB_OK;
}

/* The value of a field of INFO. */
static nadb_slice info_field(const redisReply *r, const char *name) {
    const char *p = r->type == REDIS_REPLY_STRING ? strstr(r->str, name) : NULL;

    if (p == NULL) return nadb_slice_of(NULL, 0);
    p += strlen(name);
    return nadb_slice_of(p, strcspn(p, "\r\n"));
}

/* The server's name is the beginning of its replication id, which changes with
 * each start and when a replica becomes a master. */
static void name_of(const redisReply *r, char name[17]) {
    nadb_slice id = info_field(r, "master_replid:");

    if (r->type == REDIS_REPLY_ERROR) id.n = 0;
    snprintf(name, 17, "%.*s", (int)(id.n < 16 ? id.n : 16),
             id.n == 0 ? "" : (const char *)id.p);
    if (id.n == 0 && r->type != REDIS_REPLY_ERROR) snprintf(name, 17, "-");
}

/* The next replica from *p on: "ip=..,port=..". */
static nadb_slice next_replica(const char **p) {
    const char *begin = *p == NULL ? NULL : strstr(*p, "ip=");
    const char *port = begin == NULL ? NULL : strstr(begin, ",port=");
    size_t n;

    *p = NULL;
    if (port == NULL) return nadb_slice_of(NULL, 0);
    n = (size_t)(port + 6 - begin);
    n += strspn(begin + n, "0123456789");
    *p = begin + n;
    return nadb_slice_of(begin, n);
}

/* Number of replicas that are up to date and receive further changes. */
static size_t count_online(const char *info) {
    static const char online[] = ",state=online,";
    size_t n = 0;

    for (const char *p = info; (p = strstr(p, online)) != NULL; p++) n++;
    return n;
}

/* Remembers the replicas. *left: one of the earlier ones is gone. */
static nadb_rc take_replicas(conn *c, const redisReply *r, bool *left,
                             nadb_err *err) {
    const char *now = r->type == REDIS_REPLY_STRING ? r->str : "";
    const char *p = (const char *)c->replicas.p;
    nadb_buf all = NADB_BUF_INIT;
    nadb_slice one;

    *left = false;
    c->online = count_online(now);
    while ((one = next_replica(&p)).n > 0)
        if (nadb_slice_find(nadb_slice_str(now), one) == NULL) *left = true;
    for (p = now; (one = next_replica(&p)).n > 0;)
        if (!nadb_buf_append(&all, one.p, one.n)) break;
    if (one.n > 0 || !nadb_buf_byte(&all, '\0')) {
        nadb_buf_clear(&all);
        return no_memory(err);
    }
    nadb_buf_clear(&c->replicas);
    c->replicas = all;
    return NADB_OK;
}

/* Adds a question about replication to the pipeline; its answer identifies the
 * server. */
static nadb_rc send_info(conn *c, nadb_err *err) {
    nadb_rc rc;
    args a;

    memset(&a, 0, sizeof a);
    args_text(&a, "INFO");
    args_text(&a, "replication");
    rc = wire_send(&c->wire, &a, err);
    args_clear(&a);
    return rc;
}

nadb_rc conn_ask_server(conn *c, nadb_err *err) {
    redisReply *time = NULL, *info = NULL;
    bool left = false;
    char before[sizeof c->server];
    args a;
    nadb_rc rc;

    memset(&a, 0, sizeof a);
    memcpy(before, c->server, sizeof before);
    args_text(&a, "TIME");
    rc = wire_send(&c->wire, &a, err);
    if (rc == NADB_OK) rc = send_info(c, err);
    if (rc == NADB_OK) rc = wire_receive(&c->wire, &time, err);
    if (rc == NADB_OK) rc = wire_receive(&c->wire, &info, err);
    if (rc == NADB_OK) rc = take_clock(c, time, err);
    if (rc == NADB_OK) {
        name_of(info, c->server);
        if (c->at->wait > 0) rc = take_replicas(c, info, &left, err);
    }
    /* Others must still have the data when this server is replaced.
     * check_master() notices replicas that leave from here on. */
    if (rc == NADB_OK && c->at->wait > 0 &&
        (left || strcmp(before, c->server) != 0) &&
        !route_confirms(c->way, c->wire.until, &c->to))
        rc = route_leads_away(&c->wire, err);
    freeReplyObject(time);
    freeReplyObject(info);
    args_clear(&a);
    return rc;
}

nadb_rc conn_check_name(const conn *c, nadb_err *err) {
    if (c->server[0] != '\0') return NADB_OK;
    return nadb_fail(err, NADB_CANTOPEN,
                     "redis server %s: a user that writes needs the command "
                     "INFO (+info), by which a new master is recognised",
                     conn_name(c));
}

int64_t conn_server_ms(const conn *c) {
    return nadb_os_get()->mono_ns() / 1000000 + c->clock_ahead_ms;
}

/* The time limit of one attempt. Each has its own, so that a busy machine does
 * not use up the limit of the whole. If other hosts can be asked, it is short
 * enough to leave time for them. */
static void open_patience(conn *c, size_t tries, patience *out) {
    int64_t ms = c->at->connect_timeout_ms, part = c->at->timeout_ms / 2;

    if (route_may_change(c->way) && part < ms)
        ms = part > OPEN_LEAST_MS ? part : OPEN_LEAST_MS;
    if (route_is_quick(c->way, tries) && ms > ADDRESS_QUICK_MS)
        ms = ADDRESS_QUICK_MS;
    if (c->until.once)
        patience_part(&c->until, ms, out);
    else
        patience_begin_connecting(out, ms, c->at->connect_timeout_ms,
                                  &c->until);
}

static nadb_rc open_once(conn *c, size_t tries, nadb_err *err) {
    patience until;
    nadb_rc rc = wire_check_hosts(c->at, err);

    c->server[0] = '\0';
    nadb_buf_clear(&c->replicas);
    open_patience(c, tries, &until);
    if (rc == NADB_OK) rc = route_find(c->way, &until, &c->to, &c->epoch, err);
    patience_end(&until);
    open_patience(c, tries, &until);
    if (rc == NADB_OK) rc = wire_open(&c->wire, c->at, &c->to, &until, err);
    if (rc == NADB_OK) rc = route_arrived(c->way, &c->wire, err);
    if (rc == NADB_OK) rc = conn_ask_server(c, err);
    patience_end(&until);
    c->wire.until = &c->until;
    c->until.late = until.late;
    return rc;
}

/* Opens the wire; the queue is not touched. No attempt begins after `again` has
 * ended. */
static nadb_rc arrive(conn *c, patience *again, nadb_err *err) {
    nadb_rc rc;

    for (size_t tries = 0;; tries++) {
        rc = open_once(c, tries, err);
        if (rc == NADB_OK) return NADB_OK;
        wire_close(&c->wire);
        /* Other hosts would refuse, too. */
        if (rc == NADB_CANTOPEN || rc == NADB_DENIED || rc == NADB_NOMEM ||
            rc == NADB_INTERRUPT)
            return rc;
        if (!route_failed(c->way, c->epoch, tries) ||
            patience_left_ms(again) <= 0)
            return rc;
        redis_pause();
    }
}

void conn_begin_asking(conn *c) {
    nadb_waits *waits = c->until.waits;

    patience_renew(&c->until);
    patience_begin(&c->until, c->at->timeout_ms, NULL);
    c->until.waits = waits;
    c->until.wait = waits == NULL ? NULL : &waits->asking;
}

nadb_rc conn_open(conn *c, nadb_err *err) {
    patience again;
    nadb_rc rc;

    conn_close(c);
    c->timed_out = c->wire.timed_out = c->asked.timed_out = false;
    patience_renew(&c->until);
    patience_begin_part(&again, c->at->timeout_ms, NULL);
    /* begins it */
    if (route_may_change(c->way)) (void)patience_left_ms(&again);
    rc = arrive(c, &again, err);
    patience_forget(&c->until); /* connecting is counted separately */
    return rc;
}

/* --- the queue --- */

/* The command at *at; moves *at behind it. */
static nadb_slice queued(const conn *c, size_t *at) {
    uint64_t n;

    memcpy(&n, c->queue.p + *at, sizeof n);
    *at += sizeof n + (size_t)n;
    return nadb_slice_of(c->queue.p + *at - n, (size_t)n);
}

/* Appends a command; *at: its offset. */
static nadb_rc enqueue(conn *c, const args *a, size_t *at, nadb_err *err) {
    uint64_t length = 0;
    nadb_rc rc;

    *at = c->queue.n;
    if (!nadb_buf_append(&c->queue, &length, sizeof length))
        return no_memory(err);
    rc = wire_format(a, &c->queue, err);
    length = c->queue.n - *at - sizeof length;
    if (rc == NADB_OK)
        memcpy(c->queue.p + *at, &length, sizeof length);
    else
        c->queue.n = *at;
    return rc;
}

/* Removes the first command, which was answered. */
static void dequeue(conn *c) {
    if (--c->pending == 0) {
        forget_queue(c);
    } else if (route_may_change(c->way)) {
        (void)queued(c, &c->head);
        c->head_sent = false;
    }
}

/* Sends all commands again, to another server. */
static nadb_rc send_queue(conn *c, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    c->singly = false;
    for (size_t at = c->head; at < c->queue.n && rc == NADB_OK;)
        rc = wire_send_bytes(&c->wire, queued(c, &at), err);
    return rc;
}

/* From here on sends one command at a time, so that none overtakes a command
 * that must be sent again. Answers to commands that were sent already are
 * dropped. */
static nadb_rc send_singly(conn *c, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t i = 1; i < c->pending && !c->singly && rc == NADB_OK; i++) {
        redisReply *r = NULL;

        rc = wire_receive(&c->wire, &r, err);
        freeReplyObject(r);
    }
    c->singly = true;
    c->head_sent = false;
    return rc;
}

/* --- talking --- */

nadb_rc conn_send(conn *c, const args *a, nadb_err *err) {
    size_t at = 0;
    nadb_rc rc = NADB_OK;

    if (a->failed) return no_memory(err);
    if (!route_may_change(c->way)) {
        rc = wire_send(&c->wire, a, err);
    } else {
        size_t begin = c->queue.n;

        rc = enqueue(c, a, &at, err);
        if (rc == NADB_OK && !c->singly)
            rc = wire_send_bytes(&c->wire, queued(c, &at), err);
        /* A command that failed to be sent must not be repeated to the next
         * server. */
        if (rc != NADB_OK) c->queue.n = begin;
    }
    if (rc == NADB_OK) c->pending++;
    if (!conn_is_open(c)) conn_close(c);
    return rc;
}

nadb_rc conn_push(conn *c, nadb_err *err) {
    nadb_rc rc = wire_push(&c->wire, err);

    if (!conn_is_open(c)) conn_close(c);
    return rc;
}

/* Sends the first command to another node, once (ASK). */
static nadb_rc ask_other(conn *c, redisReply **out, nadb_err *err) {
    static const char asking[] = "*1\r\n$6\r\nASKING\r\n";
    size_t at = c->head;
    nadb_slice command = queued(c, &at);
    nadb_rc rc = NADB_OK;

    if (!wire_is_open(&c->asked))
        rc = wire_open(&c->asked, c->at, &c->ask, &c->until, err);
    if (rc == NADB_OK)
        rc = wire_send_bytes(&c->asked, nadb_slice_str(asking), err);
    if (rc == NADB_OK) rc = wire_send_bytes(&c->asked, command, err);
    if (rc == NADB_OK) rc = wire_receive(&c->asked, out, err);
    freeReplyObject(*out);
    *out = NULL;
    return rc == NADB_OK ? wire_receive(&c->asked, out, err) : rc;
}

/* Receives the answer to the first command, whatever it is. */
static nadb_rc exchange(conn *c, redisReply **out, nadb_err *err) {
    size_t at = c->head;
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (c->head_asks) {
        c->head_asks = false;
        return ask_other(c, out, err);
    }
    if (c->singly && !c->head_sent) {
        rc = wire_send_bytes(&c->wire, queued(c, &at), err);
        c->head_sent = true;
    }
    return rc == NADB_OK ? wire_receive(&c->wire, out, err) : rc;
}

/* Fails unless the server is allowed to redirect there. */
static nadb_rc check_target(conn *c, const endpoint *to, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (route_knows(c->way, to)) return NADB_OK;
    rc = send_singly(c, err); /* no answer may be pending */
    return rc == NADB_OK ? route_check(c->way, &c->wire, to, err) : rc;
}

/* Follows a redirection. */
static nadb_rc follow(conn *c, redirect how, const endpoint *to,
                      patience *again, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (how == REDIRECT_MOVED || how == REDIRECT_ASK)
        rc = check_target(c, to, err);
    if (rc != NADB_OK) return rc;
    if (how == REDIRECT_MOVED) rc = route_move(c->way, to, err);
    if (how == REDIRECT_MASTER) redis_pause();
    if (how == REDIRECT_MOVED || how == REDIRECT_MASTER) {
        if (rc == NADB_OK) rc = arrive(c, again, err);
        return rc == NADB_OK ? send_queue(c, err) : rc;
    }
    rc = send_singly(c, err);
    if (how == REDIRECT_AGAIN) {
        redis_pause();
    } else {
        if (memcmp(&c->ask, to, sizeof *to) != 0) wire_close(&c->asked);
        c->ask = *to;
        c->head_asks = true;
    }
    return rc;
}

/* Receives any answer, also an error reply. */
static nadb_rc receive(conn *c, redisReply **out, nadb_err *err) {
    bool may_change = route_may_change(c->way), sent_on = false;
    patience again;
    nadb_rc rc;

    patience_begin_part(&again, c->at->timeout_ms, NULL);
    again.wait = c->until.wait;
    for (;;) {
        endpoint to;
        redirect how;

        rc = exchange(c, out, err);
        if (rc != NADB_OK || !may_change) break;
        memset(&to, 0, sizeof to);
        how = cluster_redirect(&c->wire, *out, &to);
        if (!c->at->cluster && (how == REDIRECT_MOVED || how == REDIRECT_ASK))
            how = REDIRECT_NONE;
        if (how == REDIRECT_NONE) break;
        /* The limit begins with the first refusal. */
        if (patience_left_ms(&again) <= 0 && sent_on) break;
        sent_on = true;
        freeReplyObject(*out);
        *out = NULL;
        rc = follow(c, how, &to, &again, err);
        patience_forget(&c->until); /* counted with `again` */
        if (rc != NADB_OK) break;
    }
    patience_end(&again);
    if (rc == NADB_OK) {
        patience_renew(&c->until);
        dequeue(c);
    } else {
        c->timed_out = c->wire.timed_out || c->asked.timed_out;
        conn_close(c);
    }
    return rc;
}

/* Frees an error reply and converts it to an error. */
static nadb_rc refuse(conn *c, redisReply **out, nadb_err *err) {
    nadb_rc rc = wire_refused(&c->wire, *out, err);

    freeReplyObject(*out);
    *out = NULL;
    return rc;
}

nadb_rc conn_receive_script(conn *c, redisReply **out, nadb_err *err) {
    nadb_rc rc = receive(c, out, err);

    if (rc != NADB_OK || (*out)->type != REDIS_REPLY_ERROR) return rc;
    if (!wire_says(*out, "NOSCRIPT")) return refuse(c, out, err);
    freeReplyObject(*out);
    *out = NULL;
    return NADB_OK;
}

nadb_rc conn_receive(conn *c, redisReply **out, nadb_err *err) {
    nadb_rc rc = receive(c, out, err);

    if (rc != NADB_OK || (*out)->type != REDIS_REPLY_ERROR) return rc;
    return refuse(c, out, err);
}

nadb_rc conn_call(conn *c, const args *a, redisReply **out, nadb_err *err) {
    nadb_rc rc = conn_send(c, a, err);

    *out = NULL;
    return rc == NADB_OK ? conn_receive(c, out, err) : rc;
}

/* Checks that the server to which replicas have acknowledged is still the one
 * that other clients will take for the master. A replica that becomes the
 * master leaves at once, while others may still acknowledge, and it may lack
 * commits that it has not read yet. So if a replica has left, or fewer than all
 * have acknowledged (`behind`), those who decide are asked. */
static nadb_rc check_master(conn *c, const redisReply *info, bool behind,
                            nadb_err *err) {
    bool left = false, is;
    char name[17];
    nadb_rc rc = NADB_OK;

    name_of(info, name);
    is = strcmp(name, c->server) == 0 &&
         nadb_slice_eq(info_field(info, "role:"), nadb_slice_str("master"));
    if (is) rc = take_replicas(c, info, &left, err);
    if (rc != NADB_OK || (is && ((!left && !behind) ||
                                 route_confirms(c->way, &c->until, &c->to))))
        return rc;
    rc = route_leads_away(&c->wire, err);
    (void)route_failed(c->way, c->epoch, 0);
    conn_close(c);
    return rc;
}

static nadb_rc too_few(const conn *c, long long n, nadb_err *err) {
    int64_t limit = c->at->timeout_ms;

    return nadb_fail(err, NADB_IOERR,
                     "redis server %s: %lld of %d replicas have acknowledged "
                     "the transaction within %" PRId64 ".%03d s (option wait)",
                     conn_name(c), n, c->at->wait, limit / 1000,
                     (int)(limit % 1000));
}

static nadb_rc send_wait(conn *c, int64_t replicas, int64_t ms, nadb_err *err) {
    nadb_rc rc;
    args a;

    memset(&a, 0, sizeof a);
    args_text(&a, "WAIT");
    args_number(&a, replicas);
    args_number(&a, ms > 0 ? ms : 1); /* 0 would mean no limit */
    rc = wire_send(&c->wire, &a, err);
    args_clear(&a);
    return rc;
}

/* With sentinels any replica may become the master, even one that is behind. So
 * all of them are waited for, for a short time, and one that took longer is not
 * waited for again soon. */
#define BEHIND_MOST_MS 500

static bool waits_for_all(const conn *c) {
    return c->at->master != NULL && c->online > (size_t)c->at->wait;
}

static int64_t behind_ms(const conn *c) {
    int64_t ms = c->at->timeout_ms / 10;

    if (nadb_os_get()->mono_ns() < c->behind_ns) return 1;
    return ms < BEHIND_MOST_MS ? ms : BEHIND_MOST_MS;
}

/* *behind: not all replicas have acknowledged, and that was not known. */
static void note_behind(conn *c, const redisReply *all, bool *behind) {
    int64_t now = nadb_os_get()->mono_ns();

    *behind = false;
    if (all->type != REDIS_REPLY_INTEGER) return;
    if (all->integer >= (long long)c->online) {
        c->behind_ns = 0;
    } else if (now >= c->behind_ns) {
        c->behind_ns = now + c->at->timeout_ms * 1000000;
        *behind = true;
    }
}

nadb_rc conn_wait(conn *c, nadb_err *err) {
    redisReply *r = NULL, *all = NULL, *info = NULL;
    bool for_all = waits_for_all(c), behind = false;
    patience before = c->until;
    nadb_rc rc;

    if (c->at->wait == 0) return NADB_OK;
    /* The server answers at the end of its timeout, not after it. */
    patience_end(&before);
    patience_begin(&c->until, c->at->timeout_ms + WAIT_GRACE_MS, NULL);
    c->until.wait = before.waits == NULL ? NULL : &before.waits->replicas;
    rc = send_wait(c, c->at->wait, patience_left_ms(&c->until) - WAIT_GRACE_MS,
                   err);
    if (rc == NADB_OK && for_all)
        rc = send_wait(c, (int64_t)c->online, behind_ms(c), err);
    if (rc == NADB_OK) rc = send_info(c, err);
    if (rc == NADB_OK) rc = wire_receive(&c->wire, &r, err);
    if (rc == NADB_OK && for_all) rc = wire_receive(&c->wire, &all, err);
    if (rc == NADB_OK) rc = wire_receive(&c->wire, &info, err);
    patience_end(&c->until);
    c->until = before;
    if (rc == NADB_OK && for_all) note_behind(c, all, &behind);
    /* If the master becomes a replica it ends the wait with an error. */
    if (rc == NADB_OK) rc = check_master(c, info, behind, err);
    if (rc == NADB_OK && r->type != REDIS_REPLY_INTEGER)
        rc = r->type == REDIS_REPLY_ERROR ? wire_refused(&c->wire, r, err)
                                          : conn_confused(c, err);
    else if (rc == NADB_OK && r->integer < c->at->wait)
        rc = too_few(c, r->integer, err);
    freeReplyObject(r);
    freeReplyObject(all);
    freeReplyObject(info);
    return rc;
}
