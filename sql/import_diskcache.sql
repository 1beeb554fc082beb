-- import_diskcache.sql - the rows of DiskCache (python-diskcache) into the table
-- kv: keys, values, tags, times and expiry.
--
--   sqlite3 new.db ".load ./nadb" "CREATE VIRTUAL TABLE kv USING nadb" \
--       ".parameter set :folder '/home/me/cache'" \
--       ".read sql/import_diskcache.sql"
--
-- The folder is the one with cache.db; of a FanoutCache run it for each of its
-- folders 000, 001, ... Values that DiskCache has pickled arrive as the pickle's
-- bytes. Keys that are not str, int, float or bytes (which are pickled too) are
-- left out, and listed; keys of bytes become text.
.bail on

ATTACH 'file:' ||
    replace(replace(replace(:folder, '%', '%25'), '?', '%3f'), '#', '%23') ||
    '/cache.db?mode=ro' AS diskcache;

BEGIN;
-- Large values are files; mode 3 is text, all others are bytes.
INSERT OR REPLACE INTO kv(key, value, tags, created_at, updated_at, expires_at)
SELECT CAST(key AS TEXT),
    CASE WHEN filename IS NULL THEN value
         WHEN mode = 3 THEN CAST(readfile(:folder || '/' || filename) AS TEXT)
         ELSE readfile(:folder || '/' || filename) END,
    CASE WHEN tag IS NOT NULL AND CAST(tag AS TEXT) <> ''
         THEN json_array(CAST(tag AS TEXT)) END,
    store_time, store_time, expire_time
FROM diskcache.Cache
WHERE raw AND (expire_time IS NULL OR
               expire_time > (julianday('now') - 2440587.5) * 86400)
  AND (filename IS NULL OR ('/' || filename || '/' NOT GLOB '*/../*' AND
                            filename NOT GLOB '/*' AND
                            readfile(:folder || '/' || filename) IS NOT NULL))
ORDER BY rowid;
COMMIT;

SELECT count(*) || ' rows in kv' FROM kv;
SELECT 'not imported: row ' || rowid || ' of cache.db: ' ||
    CASE WHEN NOT raw THEN 'its key is pickled'
         WHEN expire_time <= (julianday('now') - 2440587.5) * 86400
         THEN 'it has expired'
         ELSE 'its file is missing' END
FROM diskcache.Cache
WHERE NOT raw OR NOT EXISTS (SELECT 1 FROM kv
                             WHERE kv.key = CAST(Cache.key AS TEXT))
ORDER BY rowid;

DETACH diskcache;
