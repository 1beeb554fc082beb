-- A standby: a second store, on any backend and in any database, that follows
-- the first one by restoring each of its incremental backups.
--
-- Run it as query_by_tags.sql, in a folder where backups/ may be made.

CREATE VIRTUAL TABLE kv USING nadb;
CREATE VIRTUAL TABLE standby USING nadb(path='standby', synchronous=full);

INSERT INTO kv(key, value, tags) VALUES('a', 1, '["x"]'), ('b', 2, NULL), ('c', 3, NULL);
SELECT nadb_backup('kv', 'backups', 'standby-0') ->> 'rows';
--> 3
SELECT nadb_restore('standby', 'backups', 'standby-0', 'clear');
--> 3

-- Every now and then, on the one side: what has changed since the last time.
UPDATE kv SET value = 'two', ttl = 3600 WHERE key = 'b';
DELETE FROM kv WHERE key = 'c';
INSERT INTO kv(key, value) VALUES('d', 4);
SELECT nadb_backup('kv', 'backups', 'standby-1', 'standby-0') ->> '$.rows',
       nadb_backup('kv', 'backups', 'standby-2', 'standby-1') ->> '$.rows';
--> 2|0

-- And on the other, when the folder has a new one (it may be a copy, rsync'ed to
-- another machine). Its rows are compared with those of the standby, and only
-- what differs is written, in one transaction: readers there see the one state
-- or the next one.
SELECT nadb_restore('standby', 'backups',
    (SELECT id FROM nadb_backups('backups') WHERE id GLOB 'standby-*'
     ORDER BY created_at DESC, id DESC LIMIT 1));
--> 3
SELECT key, value, tags, expires_at IS NOT NULL FROM standby;
--> a|1|["x"]|0
--> b|two||1
--> d|4||0
SELECT count(*) FROM (SELECT key, typeof(value), value, tags, created_at, updated_at, expires_at
                      FROM kv EXCEPT
                      SELECT key, typeof(value), value, tags, created_at, updated_at, expires_at
                      FROM standby);
--> 0

-- When the chain has become long: a new full backup begins another one, and the
-- old ones go. The standby goes on with it; again only differences are written.
SELECT nadb_backup('kv', 'backups', 'standby-3') ->> 'type';
--> full
SELECT nadb_backup('kv', 'backups', 'standby-4', 'standby-3') ->> 'type';
--> incremental
SELECT nadb_restore('standby', 'backups', 'standby-4');
--> 3
SELECT nadb_prune_backups('backups', 0, 2);
--> 3
SELECT id FROM nadb_backups('backups') ORDER BY id;
--> standby-3
--> standby-4

-- The first one is lost: the standby takes its place, and goes on with backups.
SELECT nadb_clear('kv') IS NOT NULL;
--> 1
INSERT INTO standby(key, value) VALUES('e', 5);
SELECT nadb_backup('standby', 'backups', 'standby-5', 'standby-4') ->> 'rows';
--> 1
SELECT nadb_restore('kv', 'backups', 'standby-5');
--> 4
SELECT key FROM kv WHERE value = 5;
--> e
