-- import_python_backup.sql - a backup of the Python NADB, full or incremental
-- with all those that it was made from, into the table kv.
--
--   sqlite3 new.db ".load ./nadb" "CREATE VIRTUAL TABLE kv USING nadb" \
--       ".parameter set :folder '/home/me/backups'" \
--       ".parameter set :id 'inc_20250102_030405'" \
--       ".read sql/import_python_backup.sql"
--
-- The folder is the one with metadata.json. Checksums are verified first; if a
-- file is missing or damaged, nothing is imported. Incremental backups of the
-- Python NADB do not know what was deleted: such rows come back.
.bail on

-- The chain, from the backup (0) back to the full one.
CREATE TEMP TABLE import_chain(
    id TEXT, place INTEGER, data BLOB, sum TEXT,
    CONSTRAINT "the backup's file is missing or damaged"
    CHECK(data IS NOT NULL AND nadb_sha256(data) = sum));
CREATE TEMP TABLE import_full(
    id TEXT, CONSTRAINT "there is no such backup, or its parent is missing"
    CHECK(id IS NOT NULL));

INSERT INTO import_chain
WITH RECURSIVE
    backups AS MATERIALIZED (
        SELECT key AS id, value ->> 'parent_backup_id' AS parent,
            value ->> 'checksum' AS sum,
            CASE WHEN value ->> 'compression' THEN '.gz' ELSE '' END AS suffix
        FROM json_each(readfile(:folder || '/metadata.json'))
        WHERE key NOT GLOB '*[/]*' AND key <> '..'),
    chain(id, parent, sum, suffix, place) AS (
        SELECT *, 0 FROM backups WHERE id = :id
        UNION ALL
        SELECT backups.*, place + 1 FROM chain
        JOIN backups ON backups.id = chain.parent WHERE place < 10000)
SELECT id, place,
    readfile(:folder || '/' || id || '/data.json' || suffix), sum
FROM chain;
INSERT INTO import_full
SELECT (SELECT key FROM json_each(readfile(:folder || '/metadata.json'))
        WHERE key = (SELECT id FROM import_chain ORDER BY place DESC LIMIT 1)
          AND value ->> 'backup_type' = 'full');

-- Older rows first, so that newer ones replace them.
BEGIN;
INSERT OR REPLACE INTO kv(key, value, tags, created_at, updated_at, expires_at)
SELECT key, value, tags, created_at, updated_at, updated_at + ttl
FROM (SELECT item.value ->> 'key' AS key,
          nadb_base64(item.value ->> 'value') AS value,
          item.value -> 'tags' AS tags,
          item.value ->> '$.metadata.ttl' AS ttl,
          round((julianday(item.value ->> '$.metadata.created_at', 'utc')
                 - 2440587.5) * 86400, 3) AS created_at,
          round((julianday(coalesce(item.value ->> '$.metadata.last_updated',
                                    item.value ->> '$.metadata.created_at'),
                           'utc') - 2440587.5) * 86400, 3) AS updated_at
      FROM (SELECT CAST(CASE WHEN substr(data, 1, 2) = x'1f8b'
                             THEN nadb_unzip(data) ELSE data END AS TEXT)
                AS text
            FROM import_chain ORDER BY place DESC LIMIT -1) AS file,
          json_each(file.text) AS item
      LIMIT -1);
-- What had expired in the meantime is not there.
COMMIT;

SELECT count(*) || ' rows in kv' FROM kv;
DROP TABLE temp.import_chain;
DROP TABLE temp.import_full;
