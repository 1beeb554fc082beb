/* os_posix.c - the table of system calls (see os.h), filled in. */
#include "os_posix.h"

const nadb_os nadb_os_posix = {
    .dir_open = posix_dir_open,
    .dir_enter = posix_dir_enter,
    .dir_up = posix_dir_up,
    .dir_make = posix_dir_make,
    .dir_close = posix_dir_close,
    .dir_sync = posix_dir_sync,
    .dir_stat = posix_dir_stat,
    .dir_writable = posix_dir_writable,
    .dir_list = posix_dir_list,
    .dir_network = posix_dir_network,
    .dir_path = posix_dir_path,
    .stat = posix_stat,
    .unlink = posix_unlink,
    .rmdir = posix_rmdir,
    .rename = posix_rename,
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
    .stat_path = posix_stat_path,
    .realpath = posix_realpath,
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
