/* recover.h - building the shared state anew from MANIFEST and logs. */
#ifndef NADB_SHARED_RECOVER_H
#define NADB_SHARED_RECOVER_H

#include "engine.h"

/* Fills an empty control from what is in the directory: replays the logs that
 * the base does not contain into new indexes, and begins a new log. A private
 * reader changes nothing on disk. NADB_CORRUPT when bytes that had been synced
 * are damaged. The caller holds the control file's open byte, alone. */
nadb_rc engine_recover(engine *s, nadb_err *err) NADB_MUST_USE;

#endif
