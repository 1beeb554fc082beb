/* options.h - the options that only a store on Redis has. */
#ifndef NADB_REDIS_OPTIONS_H
#define NADB_REDIS_OPTIONS_H

#include "../../core/backend.h"

extern const nadb_option redis_options[]; /* up to one without a name */

#endif
