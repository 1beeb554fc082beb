/* os_posix.c - the table of system calls (see os.h), filled in. */
#include "os_posix.h"

const nadb_os nadb_os_posix = {
    .open = posix_open,
    .close = posix_close,
    .pread = posix_pread,
    .pwrite = posix_pwrite,
    .sync = posix_sync,
    .size = posix_size,
    .truncate = posix_truncate,
    .reserve = posix_reserve,
    .fstat = posix_fstat,
    .path = posix_path,
    .map = posix_map,
    .unmap = posix_unmap,
    .map_private = posix_map_private,
    .lock_byte = posix_lock_byte,
    .lock_byte_wait = posix_lock_byte_wait,
    .unlock_byte = posix_unlock_byte,
    .bytes_locked = posix_bytes_locked,
    .stat = posix_stat,
    .mkdir = posix_mkdir,
    .rmdir = posix_rmdir,
    .unlink = posix_unlink,
    .rename = posix_rename,
    .sync_dir = posix_sync_dir,
    .chown = posix_chown,
    .writable = posix_writable,
    .list = posix_list,
    .realpath = posix_realpath,
    .network_fs = posix_network_fs,
    .now_ms = posix_now_ms,
    .mono_ns = posix_mono_ns,
    .random = posix_random,
    .boot_id = posix_boot_id,
    .futex_wait = posix_futex_wait,
    .futex_wake = posix_futex_wake,
};

#ifndef NADB_TEST
const nadb_os *nadb_os_get(void) { return &nadb_os_posix; }
#endif
