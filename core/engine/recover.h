/* recover.h - rebuilds control and indexes from MANIFEST and logs. */
#ifndef NADB_SHARED_RECOVER_H
#define NADB_SHARED_RECOVER_H

#include "engine.h"

/* Fills an empty control: replays the logs that the base does not contain into
 * new indexes and begins a new log. A private reader writes nothing to disk.
 * NADB_CORRUPT if bytes that had been synced are damaged. REQUIRES: the control
 * file's open byte, and no other opener. */
nadb_rc engine_recover(engine *s, nadb_err *err) NADB_MUST_USE;

#endif
