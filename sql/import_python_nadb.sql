-- import_python_nadb.sql - the rows of a file store of the Python NADB, with
-- values, tags, times and what is left of their time to live.
--
-- From the sqlite3 shell, with a table kv that takes them:
--
--   sqlite3 new.db ".load ./nadb" "CREATE VIRTUAL TABLE kv USING nadb" \
--       ".parameter set :folder '/home/me/data'" \
--       ".parameter set :db 'app'" ".parameter set :namespace 'prod'" \
--       ".read sql/import_python_nadb.sql"
--
-- It may be run again: rows are replaced. The old store is only read; no
-- program should write to it meanwhile. Its times are of this machine's time
-- zone, as Python's datetime.now() has written them.
.bail on

ATTACH 'file:' ||
    replace(replace(replace(:folder || '/' || :db, '%', '%25'), '?', '%3f'),
            '#', '%23') || '_meta.db?mode=ro' AS python;

BEGIN;

-- Values are files at metadata.path, with CMP: and a zlib stream in them when
-- they are compressed. A value of at most 1 KB that begins with CMP: itself was
-- written as it is. "LIMIT -1" lets SQLite read each file once.
INSERT OR REPLACE INTO kv(key, value, tags, created_at, updated_at, expires_at)
SELECT key, value, tags, created_at, updated_at, updated_at + ttl
FROM (SELECT key, tags, created_at, updated_at, ttl,
          CASE WHEN substr(data, 1, 6) = x'434d503a789c'
               THEN nadb_unzip(substr(data, 5), NULL) ELSE data END AS value
      FROM (SELECT key, ttl, readfile(:folder || '/' || path) AS data,
                round((julianday(created_at, 'utc') - 2440587.5) * 86400, 3)
                    AS created_at,
                round((julianday(last_updated, 'utc') - 2440587.5) * 86400, 3)
                    AS updated_at,
                (SELECT json_group_array(tag_name) FROM python.metadata_tags
                 JOIN python.tags ON tags.id = tag_id
                 WHERE metadata_id = metadata.id AND tag_name <> '') AS tags
            FROM python.metadata
            WHERE db = :db AND namespace = :namespace
              AND (ttl IS NULL OR last_updated IS NULL OR
                   julianday(last_updated, 'utc') + ttl / 86400.0 >
                   julianday('now'))
              -- nothing outside the folder
              AND '/' || path || '/' NOT GLOB '*/../*' AND path NOT GLOB '/*'
            LIMIT -1)
      LIMIT -1)
WHERE value IS NOT NULL;

COMMIT;

SELECT count(*) || ' rows in kv' FROM kv;
SELECT 'not imported: ' || key || ': ' ||
    CASE WHEN ttl IS NOT NULL AND julianday(last_updated, 'utc') +
              ttl / 86400.0 <= julianday('now') THEN 'it has expired'
         WHEN '/' || path || '/' GLOB '*/../*' OR path GLOB '/*'
         THEN 'its file is outside the folder'
         WHEN readfile(:folder || '/' || path) IS NULL
         THEN 'its file is missing (it was never flushed)'
         ELSE 'its file is damaged' END
FROM python.metadata
WHERE db = :db AND namespace = :namespace
  AND NOT EXISTS (SELECT 1 FROM kv WHERE kv.key = metadata.key)
ORDER BY key;

DETACH python;
