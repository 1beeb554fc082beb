-- import_files.sql - the files of a directory and of those below it into the
-- table kv: the key is the path, the value the bytes.
--
--   sqlite3 new.db ".load ./nadb" "CREATE VIRTUAL TABLE kv USING nadb" \
--       ".parameter set :folder '/home/me/files'" \
--       ".read sql/import_files.sql"
--
-- Links are not followed, nor are pipes and devices read. The way back:
--
--   SELECT writefile('/home/me/copy/' || key, value, 0644) FROM kv;
.bail on

INSERT OR REPLACE INTO kv(key, value, created_at, updated_at)
SELECT substr(name, 3), data, mtime, mtime FROM fsdir('.', :folder)
WHERE mode & 0xf000 = 0x8000;

SELECT count(*) || ' rows in kv' FROM kv;
