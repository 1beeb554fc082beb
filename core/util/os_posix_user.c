/* os_posix_user.c - the user of this process, and the terminal behind
 * stderr. */
#include <fcntl.h>
#include <unistd.h>

#include "job.h"

uint64_t nadb_user_id(void) { return (uint64_t)geteuid(); }

uint64_t nadb_process_id(void) { return (uint64_t)getpid(); }

void nadb_close_on_exec(int fd) { (void)fcntl(fd, F_SETFD, FD_CLOEXEC); }

bool nadb_terminal_is_there(void) { return isatty(STDERR_FILENO) == 1; }

/* What the terminal does not accept is dropped. */
void nadb_terminal_write(const char *text, size_t n) {
    ssize_t written = write(STDERR_FILENO, text, n);

    (void)written;
}
