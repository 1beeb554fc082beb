/* tags.h - tag lists: the tags of a row, sorted bytewise, without repeats.
 *
 * Bytes: for every tag a varint length and the UTF-8 bytes. The functions that
 * turn them to and from JSON are declared in nadb.h. */
#ifndef NADB_TAGS_H
#define NADB_TAGS_H

#include "../nadb.h"

/* Checks a tag list that came from disk. */
bool nadb_tags_valid(nadb_slice tags);

/* Takes the next tag off the front of *tags; false at the end. */
bool nadb_tags_next(nadb_slice *tags, nadb_slice *tag);

#endif
