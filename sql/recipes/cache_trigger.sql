-- A cache that is never stale: a trigger on the ordinary table removes what was
-- made of the row that changes, in the same transaction.
--
-- Run it as query_by_tags.sql. The triggers also work if the schema is not trusted
-- (trusted_schema), because the store of the cache belongs to the database file.

CREATE TABLE product(id INTEGER PRIMARY KEY, name TEXT, price INTEGER);
CREATE VIRTUAL TABLE cache USING nadb(default_ttl=3600, max_size_mb=64,
                                      eviction=lru);

-- A cached page has a tag for each row that is on it.
CREATE TRIGGER product_update AFTER UPDATE ON product BEGIN
    DELETE FROM cache WHERE tag = 'product:' || old.id;
END;
CREATE TRIGGER product_delete AFTER DELETE ON product BEGIN
    DELETE FROM cache WHERE tag = 'product:' || old.id;
END;
-- A new row can be on every list.
CREATE TRIGGER product_insert AFTER INSERT ON product BEGIN
    DELETE FROM cache WHERE tag = 'list';
END;

INSERT INTO product VALUES(1, 'lamp', 30), (2, 'chair', 80), (3, 'desk', 200);

INSERT INTO cache(key, value, tags) VALUES
    ('/product/1', 'lamp: 30', '["product:1"]'),
    ('/product/2', 'chair: 80', '["product:2"]'),
    ('/cheap', 'lamp: 30, chair: 80', '["list", "product:1", "product:2"]'),
    ('/about', 'a shop', NULL);

-- A price changes: the page of the chair goes, and the list that shows it.
UPDATE product SET price = 90 WHERE id = 2;
SELECT key FROM cache ORDER BY key;
--> /about
--> /product/1

-- A change that is taken back takes nothing out of the cache.
BEGIN;
UPDATE product SET price = 0;
SELECT count(*) FROM cache;
--> 1
ROLLBACK;
SELECT count(*) FROM cache;
--> 2

INSERT INTO cache(key, value, tags)
VALUES('/all', 'lamp, chair, desk', '["list"]');
INSERT INTO product VALUES(4, 'shelf', 60);
SELECT count(*) FROM cache WHERE key = '/all';
--> 0
