/* load.c - loads backends at run time (host.h) and adds them to the list of
 * backends/registry.c. A loaded backend stays until the process ends, because
 * stores may use it until then. */
#include <dlfcn.h>
#include <pthread.h>

#include "host.h"
#include "options_table.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const nadb_host host = {
    .fail = nadb_fail,
    .fail_errno = nadb_fail_errno,
    .err_clear = nadb_err_clear,
    .report = nadb_report,
    .malloc = nadb_malloc,
    .calloc = nadb_calloc,
    .free = nadb_free,
    .buf_clear = nadb_buf_clear,
    .buf_grow = nadb_buf_grow,
    .option_text = nadb_option_text,
    .option_number = nadb_option_number,
    .option_given = nadb_option_given,
    .option_check_path = nadb_option_check_path,
    .option_refuse = nadb_option_refuse,
    .identity_add = nadb_identity_add,
    .allow_path = nadb_allow_path,
    .err_is_shortage = nadb_err_is_shortage,
    .hash64 = nadb_hash64,
    .slice_find = nadb_slice_find,
    .slice_prefix8 = nadb_slice_prefix8,
    .slice_common = nadb_slice_common,
    .key_show = nadb_key_show,
    .os_get = nadb_os_get,
    .os_replace_file = nadb_os_replace_file,
    .os_read_file = nadb_os_read_file,
    .path_join = nadb_path_join,
    .file_name = nadb_file_name,
    .file_parse = nadb_file_parse,
    .home_open = nadb_home_open,
    .home_unlink = nadb_home_unlink,
    .home_moved = nadb_home_moved,
    .home_gone = nadb_home_gone,
    .home_name = nadb_home_name,
    .home_check = nadb_home_check,
    .option_keep = nadb_option_keep,
    .identity_add_number = nadb_identity_add_number,
    .changes_gone = nadb_changes_gone,
    .changes_ahead = nadb_changes_ahead,
    .allow_host = nadb_allow_host,
};

/* --- checks --- */

static bool is_name(const char *s) {
    size_t n = 0;

    if (s == NULL) return false;
    while ((s[n] >= 'a' && s[n] <= 'z') || s[n] == '_' ||
           (n > 0 && s[n] >= '0' && s[n] <= '9'))
        n++;
    return s[n] == '\0' && n > 0 && n <= 32;
}

static bool base_is_complete(const nadb_base_ops *o) {
    return o != NULL && o->manifest_magic != NULL &&
           strlen(o->manifest_magic) >= 8 && o->open != NULL &&
           o->close != NULL && o->version_open != NULL &&
           o->version_ref != NULL && o->version_unref != NULL &&
           o->get != NULL && o->iter != NULL && o->flush != NULL &&
           o->compact_step != NULL && o->remove_unused != NULL &&
           o->check != NULL && o->stats != NULL;
}

static bool map_is_complete(const nadb_map_ops *o) {
    return o != NULL && o->open != NULL && o->seek != NULL && o->step != NULL &&
           o->apply != NULL && o->state_free != NULL;
}

/* Operations of an engine are checked later, when it opens a store. */
static bool is_complete(const nadb_backend *b) {
    unsigned kind = b->caps & (NADB_CAP_ENGINE | NADB_CAP_BASE | NADB_CAP_MAP);

    if (!is_name(b->name) || b->summary == NULL) return false;
    if (kind == NADB_CAP_ENGINE) return b->engine_open != NULL;
    if (kind == NADB_CAP_MAP) return map_is_complete(b->map);
    return kind == NADB_CAP_BASE && base_is_complete(b->base);
}

/* True if the capabilities are those that core/map can keep. */
static bool is_map(const nadb_backend *b) {
    const unsigned more = NADB_CAP_INNOCUOUS | NADB_CAP_THREADS;

    return (b->caps & ~more) == (NADB_CAP_MAP | NADB_CAP_SNAPSHOTS);
}

bool nadb_engine_is_complete(const nadb_backend *b, const nadb_engine_ops *o) {
    bool reads = o->close != NULL && o->view_open != NULL &&
                 o->view_close != NULL && o->view_refresh != NULL &&
                 o->view_rest != NULL && o->get != NULL && o->iter != NULL &&
                 o->check != NULL && o->stats != NULL;

    if ((b->caps & NADB_CAP_READ_ONLY) != 0) return reads;
    return reads && o->prepare != NULL && o->commit != NULL &&
           o->rollback != NULL && o->flush != NULL &&
           (o->claim == NULL) == (o->unclaim == NULL);
}

/* True if another backend has an option of that name. */
static bool is_of_another(const char *name) {
    const nadb_backend *b;

    for (size_t i = 0; (b = nadb_backend_at(i)) != NULL; i++)
        for (const nadb_option *o = b->options; o != NULL && o->name != NULL;
             o++)
            if (strcmp(o->name, name) == 0) return true;
    return false;
}

/* False for a number that has neither words nor bounds, or has no scale. */
static bool takes_values(const nadb_option *o) {
    if (o->kind != NADB_OPTION_NUMBER) return true;
    return o->least < o->most ? o->scale > 0 : o->words != NULL;
}

static nadb_rc check_options(const nadb_backend *b, const char *file,
                             nadb_err *err) {
    unsigned n = option_core_count();
    const nadb_backend *other;
    option known;

    for (size_t i = 0; (other = nadb_backend_at(i)) != NULL; i++)
        for (const nadb_option *o = other->options;
             o != NULL && o->name != NULL; o++)
            n++;
    for (const nadb_option *o = b->options; o != NULL && o->name != NULL; o++) {
        if (!is_name(o->name) ||
            option_find(NULL, nadb_slice_str(o->name), &known) ||
            is_of_another(o->name))
            return nadb_fail(err, NADB_INVALID,
                             "%s: backend %s has an option %.40s, which is no "
                             "name of small letters, or another's: rename it",
                             file, b->name, o->name);
        if (!takes_values(o))
            return nadb_fail(
                err, NADB_INVALID,
                "%s: option %s of backend %s takes no number: set "
                "its bounds, and its scale, to 1 for whole numbers",
                file, o->name, b->name);
        if (++n > OPTION_COUNT_MAX)
            return nadb_fail(err, NADB_INVALID,
                             "%s: with backend %s the backends of this process "
                             "have more than %d options: load fewer backends",
                             file, b->name, OPTION_COUNT_MAX);
    }
    return NADB_OK;
}

/* --- loading --- */

static nadb_rc add(const nadb_plugin_info *info, const char *file,
                   const char **name, nadb_err *err) {
    const nadb_backend *b = info->backend;
    const nadb_backend *other;
    nadb_rc rc;

    if (b == NULL || info->host == NULL || !is_complete(b))
        return nadb_fail(err, NADB_INVALID,
                         "%s: the backend lacks a name, a summary, or "
                         "operations that core/backend.h requires",
                         file);
    if ((b->caps & NADB_CAP_MAP) != 0 && !is_map(b))
        return nadb_fail(err, NADB_INVALID,
                         "%s: backend %s is a map, which must have snapshots "
                         "and cannot be persistent, shared or remote, nor have "
                         "indexes of its own: correct its capabilities",
                         file, b->name);
    *name = b->name;
    other = nadb_backend_find(b->name);
    if (other == b) return NADB_OK; /* it was loaded before */
    if (other != NULL)
        return nadb_fail(err, NADB_INVALID,
                         "%s: there is a backend %s already: this one needs "
                         "another name",
                         file, b->name);
    rc = check_options(b, file, err);
    if (rc != NADB_OK) return rc;
    *info->host = &host;
    if (nadb_backend_add(b)) return NADB_OK;
    return nadb_fail(err, NADB_FULL,
                     "%s: %d backends have been loaded, which is the limit",
                     file, NADB_LOADED_MAX);
}

nadb_rc nadb_backend_load(const char *file, const char **name, nadb_err *err) {
    const nadb_plugin_info *info = NULL;
    void *library;
    nadb_rc rc;

    if (file[0] != '/')
        return nadb_fail(err, NADB_INVALID,
                         "%s: the path of a backend must be absolute, as it is "
                         "the program's code that is loaded",
                         file);
    rc = nadb_allow_path(file, err);
    if (rc != NADB_OK) return rc;
    library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return nadb_fail(err, NADB_CANTOPEN, "loading a backend: %s",
                         dlerror());
    info = dlsym(library, "nadb_plugin");
    if (info == NULL)
        rc = nadb_fail(err, NADB_INVALID,
                       "%s is no backend of nadb: it has no symbol "
                       "nadb_plugin (see nadb/plugin.h)",
                       file);
    else if (info->abi != NADB_ABI)
        rc = nadb_fail(err, NADB_INVALID,
                       "%s was built with headers of another nadb (ABI %u, "
                       "this one has %u): compile it again",
                       file, info->abi, NADB_ABI);
    if (rc == NADB_OK) {
        pthread_mutex_lock(&lock);
        rc = add(info, file, name, err);
        pthread_mutex_unlock(&lock);
    }
    if (rc != NADB_OK) dlclose(library); /* with NADB_OK it stays loaded */
    return rc;
}
