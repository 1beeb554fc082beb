/* power.h - how os_test.c tells the recorder what happened (power.c). */
#ifndef NADB_TEST_POWER_H
#define NADB_TEST_POWER_H

#include "os_test.h"

typedef enum power_kind {
    POWER_CREATE,   /* path, inode */
    POWER_RENAME,   /* path, to, inode */
    POWER_UNLINK,   /* path */
    POWER_MKDIR,    /* path */
    POWER_RMDIR,    /* path */
    POWER_SYNC_DIR, /* path */
    POWER_WRITE,    /* inode, off, data */
    POWER_TRUNCATE, /* inode, off: the new size */
    POWER_RESERVE,  /* inode, off: the size is at least this */
    POWER_SYNC      /* inode */
} power_kind;

/* A call and its record form one step. enter() returns whether a recording is
 * on, and then holds the recorder's lock until leave(). */
bool power_enter(void);
void power_leave(bool recording);

/* Each only between enter() that returned true and leave(), after the call
 * has succeeded. Files are told apart by the device and inode in `st`. */
void power_created(const char *path, const nadb_stat *st);
void power_file(power_kind kind, const nadb_stat *st, uint64_t off,
                const void *data, size_t n);
void power_name(power_kind kind, const char *path, const char *to);

/* --- between power.c, which records, and power_cut.c, which rebuilds --- */

typedef struct power_event {
    power_kind kind;
    int inode; /* index, or -1 */
    int path;  /* index of an interned path, or -1 */
    int to;    /* of a rename */
    uint64_t off;
    uint8_t *data;
    size_t n;
} power_event;

typedef struct power_inode {
    uint64_t dev;
    uint64_t ino;
    uint32_t mode;
    uint8_t *data; /* what was durable at the start */
    size_t n;
} power_inode;

/* One name below the root: a directory (inode -1) or a file. */
typedef struct power_start_name {
    int path;
    int inode;
} power_start_name;

typedef struct power_log {
    char *root; /* absolute; every interned path begins with it */
    power_event *events;
    size_t event_count;
    power_inode *inodes;
    size_t inode_count;
    char **paths;
    size_t path_count;
    power_start_name *names; /* the tree at the start, parents first */
    size_t name_count;
} power_log;

/* Takes the lock; nobody records until power_log_release(). NULL when nothing
 * was ever recorded (the lock is held all the same). */
const power_log *power_log_borrow(void);
void power_log_release(void);

#endif
