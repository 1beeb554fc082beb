/* os_posix_sys.c - the machine: clocks, randomness, boot, file systems. */
#include "os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* File systems on which another machine may hold the file too, or a user
 * process serves it: locks and shared mappings do not mean there what this
 * library needs them to mean. Numbers: the kernel's magic.h, statfs(2). */
static const struct {
    uint32_t magic;
    const char *name;
} network_kinds[] = {
    {0x00006969, "nfs"},      {0x0000517B, "smb"},    {0xFF534D42, "cifs"},
    {0xFE534D42, "smb2"},     {0x65735546, "fuse"},   {0x01021997, "9p"},
    {0x5346414F, "afs"},      {0x6B414653, "afs"},    {0x00C36400, "ceph"},
    {0x73757245, "coda"},     {0x0000564C, "ncp"},    {0x7461636F, "ocfs2"},
    {0x01161970, "gfs2"},     {0x0BD00BD0, "lustre"}, {0x47504653, "gpfs"},
    {0x20030528, "orangefs"}, {0xAAD7AAEA, "panfs"},  {0x19830326, "beegfs"},
    {0x786F4256, "vboxsf"},   {0xBACBACBC, "vmhgfs"}, {0x7C7C6673, "prlfs"},
};

nadb_rc posix_dir_network(nadb_dir *d, const char **name, nadb_err *err) {
    struct statfs st;
    int rc;

    *name = NULL;
    do rc = fstatfs(d->fd, &st);
    while (rc != 0 && errno == EINTR);
    if (rc != 0)
        return nadb_fail_errno(err, errno, "cannot tell the file system of %s",
                               d->path);
    for (size_t i = 0; i < sizeof network_kinds / sizeof network_kinds[0]; i++)
        if (network_kinds[i].magic == (uint32_t)st.f_type)
            *name = network_kinds[i].name;
    return NADB_OK;
}

int64_t posix_now_ms(void) {
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t posix_mono_ns(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void posix_random(void *p, size_t n) {
    static uint64_t counter;
    uint8_t *at = p;

    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);

        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            /* No getrandom (a sandbox): salts need to differ, not to be
             * secret, so clock, process and a counter will do. */
            uint64_t seed[3] = {
                (uint64_t)posix_mono_ns(), (uint64_t)getpid(),
                __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED)};
            uint64_t h = nadb_hash64(nadb_slice_of(seed, sizeof seed));

            got = (ssize_t)(n < sizeof h ? n : sizeof h);
            memcpy(at, &h, (size_t)got);
        }
        at += got;
        n -= (size_t)got;
    }
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

nadb_rc posix_boot_id(uint8_t out[16], nadb_err *err) {
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    char text[64];
    size_t digits = 0;
    ssize_t n;
    int fd, e;

    memset(out, 0, 16);
    do fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return nadb_fail_errno(err, errno, "cannot open %s", path);
    do n = read(fd, text, sizeof text);
    while (n < 0 && errno == EINTR);
    e = errno;
    close(fd);
    if (n < 0) return nadb_fail_errno(err, e, "reading %s", path);
    for (ssize_t i = 0; i < n && digits < 32; i++) {
        int d = hex_digit(text[i]);

        if (d < 0) continue;
        out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | d);
        digits++;
    }
    if (digits == 32) return NADB_OK;
    return nadb_fail(err, NADB_IOERR, "%s does not hold an id", path);
}
