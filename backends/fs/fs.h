/* fs.h - the backend "fs": sorted tables in the store's directory.
 *
 * A base (core/backend.h): what lies under the core's log and memtable. It
 * promises that a version, once its MANIFEST is in place, survives kill -9
 * and a power cut, and that no byte which it returns differs from what it
 * was given. It does not lock the directory, nor run threads: its owner says
 * when to flush, to compact, and to remove files. Bytes: docs/format.md. */
#ifndef NADB_FS_H
#define NADB_FS_H

#include "../../core/backend.h"

extern const nadb_backend nadb_backend_fs;

#endif
