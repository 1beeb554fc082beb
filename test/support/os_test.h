/* os_test.h - the operating system as a test wants it.
 *
 * Built with -DNADB_TEST, nadb_os_get() returns a table that forwards to
 * os_posix.c and adds five things, all of them off until asked for:
 *
 *   clock   now_ms() runs ahead by what test_os_advance_clock() was given;
 *           mono_ns(), and so every timeout, does not
 *   faults  the N-th call of a class fails with a chosen error
 *   disk    files of one folder may take so many bytes together
 *   network directories are on a file system of another machine
 *   power   what was done to a directory tree is recorded, and the tree is
 *           built again as a power cut at any moment could have left it
 *
 * Everything here may be called from any thread. One process only: other
 * processes that load the library have a clock, faults and a recorder of
 * their own. */
#ifndef NADB_OS_TEST_H
#define NADB_OS_TEST_H

#include "../../core/util/os.h"

/* --- clock and boot --- */

void test_os_advance_clock(int64_t ms); /* it is set: no time passes */
void test_os_pass_time(int64_t ms);     /* so does mono_ns() */
/* From now on boot_id() gives another id, as after a restart. */
void test_os_new_boot(void);

/* --- openers --- */

/* Stores that are opened from now on are apart from those of other numbers, as
 * if another process opened them. */
void test_os_opener(int n);

/* --- faults: one at a time --- */

/* Classes: open pread pwrite sync truncate reserve map rename unlink mkdir
 * sync_dir lock stat list malloc, and any (all of these but malloc).
 * Call number `nth` (from 1; 0 only counts) of `cls` from now on fails, and
 * all later ones too if `persistent`. `errno_name` is EIO, ENOSPC, .. or
 * SHORT: half of a pwrite is written, then it fails with ENOSPC.
 * Only calls whose path contains `path_part` count (NULL: all; malloc has no
 * path). Replaces the fault set before. False for an unknown name. */
bool test_fault_set(const char *cls, uint64_t nth, const char *errno_name,
                    bool persistent, const char *path_part);
/* No more faults. *calls and *fired (either may be NULL): how many calls of
 * the class were made since test_fault_set(), how many of them failed. */
void test_fault_clear(uint64_t *calls, uint64_t *fired);

/* Used by mem_test.c. */
bool test_fault_malloc(void);

/* --- a small disk --- */

/* From now on the files in `folder` may have `bytes` bytes together, in blocks
 * of 4096: what would grow one beyond that is ENOSPC. NULL: no such limit. */
bool test_disk_set(const char *folder, uint64_t bytes);

/* --- network file systems --- */

/* From now on all directories are on a file system of this kind, which must
 * stay; NULL: on what they are on. */
void test_os_network(const char *kind);

/* --- power cuts --- */

/* Starts a recording of what happens below `root` through the table. What is
 * there now counts as durable.
 *
 * Stores into a shared mapping are not seen: a file is rebuilt from its
 * pwrite, truncate and reserve calls, so what was only ever mapped (control,
 * *.idx) comes out as zeros. That is a state that a real power cut can leave,
 * and the library must not trust these files after a new boot anyway.
 * Directories may be made and removed, but not renamed. */
nadb_rc test_power_start(const char *root, nadb_err *err);
/* Number of events so far. After a COMMIT returned, that is the first cut
 * which must not lose it. */
uint64_t test_power_events(void);
/* Ends the recording, which stays readable until the next start. */
void test_power_stop(void);

/* Builds in `target` (made new; an old one is removed) the tree after a power
 * cut that let `event` events happen. What was synced is there. What was not
 * depends on `seed`:
 *   0   none of it is there
 *   1   all of it is there
 *   >1  chance: each write is whole, torn at 512 bytes, or lost; sizes are
 *       kept or lost apart from the data; of the changes of names either some
 *       or a prefix for each directory is there
 * A name is durable once its directory is synced, or, for seeds that say so,
 * once the new file itself is. */
nadb_rc test_power_cut(uint64_t event, uint64_t seed, const char *target,
                       nadb_err *err);

#endif
