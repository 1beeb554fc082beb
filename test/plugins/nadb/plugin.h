/* plugin.h - in place of the installed nadb/plugin.h for a unit test that
 * includes the source of a backend: it is linked with the library's functions,
 * and so needs none of its own. */
#include "../../../core/host.h"

#define NADB_PLUGIN(is)
