/* fs.h - the backend "fs": sorted tables in the store's directory.
 *
 * A base (core/backend.h) below the core's log and memtable. A version, once
 * its MANIFEST is in place, survives kill -9 and a power cut, and every byte
 * that is returned equals what was written, or is reported as damage. fs
 * neither locks the directory nor runs threads: core/engine says when to flush,
 * compact and remove files. Bytes: docs/format.md. */
#ifndef NADB_FS_H
#define NADB_FS_H

#include "../../core/backend.h"

extern const nadb_backend nadb_backend_fs;

#endif
