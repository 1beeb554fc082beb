/* options.h - options of stores on Redis. */
#ifndef NADB_REDIS_OPTIONS_H
#define NADB_REDIS_OPTIONS_H

#include "../../core/backend.h"

extern const nadb_option redis_options[]; /* ended by one without a name */

#endif
