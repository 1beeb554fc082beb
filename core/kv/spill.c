/* spill.c - see spill.h.
 *
 * WHAT IT DOES. A transaction keeps its changes to itself until COMMIT
 * (batch.h): in memory at first, and from buffer_size_mb on in files. What is
 * derived from them for the indexes at COMMIT (index.h) is kept in the same
 * way, with a budget of its own. So a statement may change any number of rows,
 * and the process's own memory (RssAnon) stays where it was.
 *
 * HOW. A batch takes its memory from an arena in large chunks, and never gives
 * one back before the transaction has ended. Up to the budget a chunk is
 * memory; after that it is a shared mapping of a file:
 *
 *     chunk   1     2     4    ..  1024 KB | 1 MB   1 MB   2 MB ..   64 MB
 *             malloc                       | a file each, mapped
 *             `--- buffer_size_mb --------'
 *
 * The bytes in it are the same structs as in memory: operations, skip list,
 * keys and values, with pointers between all chunks. The kernel writes pages of
 * such a mapping to the file and takes their memory away when it needs that for
 * something else, which it cannot do with the memory of malloc() unless there
 * is swap. It decides which pages to keep by their use. Everything else about a
 * batch, and what uses it, does not depend on where its chunks are:
 *
 *   reads      go through the one skip list, whether a chunk is a file or not
 *   savepoints are numbers of operations; ROLLBACK TO takes operations off the
 *              end. The space comes back when the transaction ends.
 *   cursors    see the operations below the number at which they were opened,
 *              and hold the batch, so its mappings, as long as SQLite may hold
 *              a value (session_let_go)
 *   conflicts  are found from the flags of the operations
 *   COMMIT     walks the batch in the order of keys, and writes one record into
 *              the log, in pieces of 1 MB with the header last (wal.c). That
 *              record is the transaction to all others: it is whole or
 *              not there, PREPARED and then visible by one word, in doubt for a
 *              database file (engine/stamp.c), replayed, taken back, flushed
 *              to tables and seen by other processes as one of three rows is.
 *
 * WHY NOT SORTED RUNS. After a merge they would be read in order, while a walk
 * over this list, in the order of keys, jumps between pages, which are in the
 * order of writing. For rows that come in the order of their keys both are the
 * same. For other rows the list needs the pages of its nodes in the page cache:
 * if the transaction is larger than that, each change may read some pages from
 * the disk, and the transaction is slow but correct. Runs would need merges
 * of their own during the transaction, a search in each run for each row that
 * is looked up, and a second form of savepoints, cursors and iterators; and
 * COMMIT would still have to write the record, for the log is what decides.
 *
 * THE FILES have a name for a moment only: a file is made (it must not have
 * been there), its name is unlinked, and then it gets its space
 * (engine/scratch.c). No process can open it, no copy of the folder has it, and
 * the system removes it with its last mapping, also when the process is killed.
 * A crash between the first two steps leaves an empty file, which is never
 * opened and which a later flush or recovery removes. Nothing is synced,
 * because the bytes are not needed after a crash.
 *
 * ERRORS. The space of a chunk is reserved before it is touched. If the disk is
 * full, the statement fails with NADB_FULL and SQLite undoes it like any other
 * that fails. Deletes, and index entries derived from deletes alone, continue
 * in memory instead, because they may be what frees space (engine/space.c). A
 * page that the disk cannot read ends the process with SIGBUS, as with every
 * mapped file.
 *
 * FORK. A child has the parent's mappings, and a write there would be seen in
 * the parent. It cannot use the session, and does not undo the parent's changes
 * when it closes it: see session_undo().
 *
 * NOT DONE HERE. The memory backend has no folder, and keeps all rows in memory
 * anyway. An engine on a server (Redis, write=immediate) has none either: it
 * sends the transaction as one request, which it builds in memory. */
#include "spill.h"

#include "../util/assert.h"

#define FILE_FIRST ((size_t)1 << 20)
#define FILE_MAX ((size_t)64 << 20)
#define PAGE ((size_t)1 << 16) /* a multiple of every page size */

/* Maps a new file of `n` bytes whose space is reserved. */
static nadb_rc map_file(nadb_engine *e, size_t n, void **out, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_file *f = NULL;
    nadb_rc rc = e->ops->scratch(e, &f, err);

    if (rc == NADB_OK) rc = os->reserve(f, 0, n, err);
    if (rc == NADB_OK) rc = os->map(f, n, true, out, err);
    os->close(f); /* the mapping keeps the file */
    return rc;
}

/* nadb_arena_source.take. A larger transaction takes larger files; if the disk
 * is nearly full, a smaller one is tried. */
static void *take(nadb_arena_source *source, size_t need, size_t *got) {
    spill *s = (spill *)source;
    size_t n = FILE_FIRST;
    void *p = NULL;

    need = (need + PAGE - 1) / PAGE * PAGE;
    while (n < FILE_MAX && n < s->bytes / 2) n *= 2;
    for (;;) {
        if (n < need) n = need;
        s->rc = map_file(s->engine, n, &p, source->or_memory ? NULL : s->err);
        if (s->rc != NADB_FULL || n == need || n <= FILE_FIRST) break;
        n /= 2;
    }
    if (s->rc != NADB_OK) {
        if (source->or_memory) s->rc = NADB_OK; /* memory is used instead */
        return NULL;
    }
    NADB_ASSERT(n >= need);
    s->bytes += n;
    *got = n;
    return p;
}

static void give_back(nadb_arena_source *source, void *p, size_t n) {
    spill *s = (spill *)source;

    NADB_ASSERT(s->bytes >= n);
    nadb_os_get()->unmap(p, n);
    s->bytes -= n;
}

void spill_init(spill *s, nadb_arena *arena, nadb_engine *engine,
                size_t memory_max) {
    s->engine = engine;
    if (engine->ops->scratch == NULL) return;
    s->source.memory_max = memory_max;
    s->source.take = take;
    s->source.give_back = give_back;
    arena->source = &s->source;
}

nadb_rc spill_failed(spill *s, nadb_err *err, const char *doing) {
    nadb_rc rc = s->rc;

    s->rc = NADB_OK;
    if (rc != NADB_OK) return rc; /* *err is set */
    return nadb_fail(err, NADB_NOMEM, "%s", doing);
}
