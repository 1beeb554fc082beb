/* os_linux.c - what Linux has and POSIX has not. */
#include <dlfcn.h>

#include "job.h"

/* Whoever links the library says -z nodelete, too, if they know of it. */
void nadb_stay_loaded(void) {
    Dl_info of_this;

    if (dladdr((const void *)&nadb_user_id, &of_this) != 0)
        (void)dlopen(of_this.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}
