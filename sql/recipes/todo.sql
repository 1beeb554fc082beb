-- A list of things to do: tags are states, a counter makes the keys.
--
-- Run it as query_by_tags.sql.

CREATE VIRTUAL TABLE todo USING nadb;

-- Keys with zeros in front sort as numbers do.
INSERT INTO todo(key, value, tags)
SELECT printf('todo:%06d', nadb_incr('todo', 'last id')), column1, column2
FROM (VALUES('write the letter', '["open", "home"]'),
            ('call the bank', '["open", "urgent"]'),
            ('water the flowers', '["open", "home", "urgent"]'));

SELECT key, value FROM todo WHERE tags MATCH 'open urgent' ORDER BY key;
--> todo:000002|call the bank
--> todo:000003|water the flowers

-- Done: in one transaction the one tag goes and the other comes.
BEGIN;
SELECT nadb_untag('todo', 'todo:000003', 'open', 'urgent'),
    nadb_tag('todo', 'todo:000003', 'done');
--> 2|1
COMMIT;
SELECT tag, count FROM nadb_tags('todo');
--> done|1
--> home|2
--> open|2
--> urgent|1

-- A queue: of any number of processes, only one pops a job.
INSERT INTO todo(key, value) VALUES('job:1', 'send mail');
SELECT nadb_pop('todo', 'job:1') AS mine, nadb_pop('todo', 'job:1') AS too_late;
--> send mail|
