-- Memoised queries: the answer of a slow query is kept, until a table that it
-- reads has changed.
--
-- Run it as query_by_tags.sql. The triggers call nadb_incr(), which needs a trusted
-- schema: PRAGMA trusted_schema = ON, the default except in the sqlite3 shell from
-- 3.46 on.

CREATE TABLE sale(day TEXT, shop TEXT, amount INTEGER);
CREATE VIRTUAL TABLE memo USING nadb(default_ttl=86400, max_size_mb=64,
                                     eviction=lru);

-- A counter for each table that answers depend on. Its change is part of the
-- transaction: what is rolled back has changed nothing.
CREATE VIRTUAL TABLE version USING nadb;
CREATE TRIGGER sale_insert AFTER INSERT ON sale BEGIN
    SELECT nadb_incr('version', 'sale');
END;
CREATE TRIGGER sale_update AFTER UPDATE ON sale BEGIN
    SELECT nadb_incr('version', 'sale');
END;
CREATE TRIGGER sale_delete AFTER DELETE ON sale BEGIN
    SELECT nadb_incr('version', 'sale');
END;

INSERT INTO sale VALUES('2026-11-01', 'north', 10), ('2026-11-01', 'south', 20),
    ('2026-11-02', 'north', 40);

-- The key has everything that the answer depends on: the query's name, its
-- arguments, and the version of the table.
CREATE VIEW per_shop_key AS
SELECT json_array('per shop', '2026-11', value) AS key FROM version
WHERE key = 'sale';

-- The first time it is not there: work it out, and keep it.
SELECT count(*) FROM memo WHERE key = (SELECT key FROM per_shop_key);
--> 0
INSERT OR IGNORE INTO memo(key, value)
SELECT (SELECT key FROM per_shop_key), json_group_object(shop, total)
FROM (SELECT shop, sum(amount) AS total FROM sale WHERE day GLOB '2026-11*'
      GROUP BY shop ORDER BY shop);

-- From then on it is one lookup.
SELECT value FROM memo WHERE key = (SELECT key FROM per_shop_key);
--> {"north":50,"south":20}

-- The table changes: the old answer is not found any more.
INSERT INTO sale VALUES('2026-11-03', 'south', 5);
SELECT count(*) FROM memo WHERE key = (SELECT key FROM per_shop_key);
--> 0
INSERT OR IGNORE INTO memo(key, value)
SELECT (SELECT key FROM per_shop_key), json_group_object(shop, total)
FROM (SELECT shop, sum(amount) AS total FROM sale WHERE day GLOB '2026-11*'
      GROUP BY shop ORDER BY shop);
SELECT value FROM memo WHERE key = (SELECT key FROM per_shop_key);
--> {"north":50,"south":25}

-- Old answers go when their day is over, or when others need the space.
SELECT count(*) FROM memo;
--> 2
