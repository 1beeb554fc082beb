-- A queue of jobs with leases: a worker has a job for a while. If the worker
-- dies, its lease expires, and another one takes the job.
--
-- Run it as query_by_tags.sql. What a worker does is in one transaction, so any
-- number of them share the queue. To sleep while the queue is empty: nadb_wait,
-- as in sql/follow_queue.py.

CREATE VIRTUAL TABLE job USING nadb;
CREATE VIRTUAL TABLE lease USING nadb;

-- Jobs come. The key says the order: a priority, then a number.
INSERT INTO job(key, value)
SELECT printf('job:%d:%06d', column1, nadb_incr('job', 'last number')), column2
FROM (VALUES(5, 'send mail to ann'), (5, 'send mail to bob'), (1, 'page ops'));

-- Worker A leases the first free job, for 30 seconds.
BEGIN IMMEDIATE;
INSERT INTO lease(key, value, ttl)
SELECT key, 'A', 30 FROM job
WHERE key GLOB 'job:*' AND key NOT IN (SELECT key FROM lease)
ORDER BY key LIMIT 1
RETURNING key;
--> job:1:000003
COMMIT;
SELECT value FROM job WHERE key = 'job:1:000003';
--> page ops

-- Worker B gets the next one.
BEGIN IMMEDIATE;
INSERT INTO lease(key, value, ttl)
SELECT key, 'B', 30 FROM job
WHERE key GLOB 'job:*' AND key NOT IN (SELECT key FROM lease)
ORDER BY key LIMIT 1
RETURNING key;
--> job:5:000001
COMMIT;

-- Work that takes longer: the worker asks for more time, before the lease is
-- over. 0 changes mean that it has lost the job, and must stop.
UPDATE lease SET ttl = 30 WHERE key = 'job:1:000003' AND value = 'A';
SELECT changes();
--> 1

-- Worker B hangs, and its lease expires (here at once). C takes the job over.
UPDATE lease SET ttl = 0 WHERE key = 'job:5:000001';
BEGIN IMMEDIATE;
INSERT INTO lease(key, value, ttl)
SELECT key, 'C', 30 FROM job
WHERE key GLOB 'job:*' AND key NOT IN (SELECT key FROM lease)
ORDER BY key LIMIT 1
RETURNING key;
--> job:5:000001
COMMIT;

-- Done: the job goes, if the worker still has it. B comes back too late.
BEGIN IMMEDIATE;
DELETE FROM job WHERE key = 'job:5:000001'
AND EXISTS (SELECT 1 FROM lease WHERE key = 'job:5:000001' AND value = 'B');
SELECT changes();
--> 0
COMMIT;
BEGIN IMMEDIATE;
DELETE FROM job WHERE key = 'job:5:000001'
AND EXISTS (SELECT 1 FROM lease WHERE key = 'job:5:000001' AND value = 'C');
SELECT changes();
--> 1
DELETE FROM lease WHERE key = 'job:5:000001';
COMMIT;

-- The queue: what is worked on by whom, and what waits.
SELECT job.key, job.value AS what, lease.value AS worker
FROM job LEFT JOIN lease USING (key)
WHERE job.key GLOB 'job:*' ORDER BY job.key;
--> job:1:000003|page ops|A
--> job:5:000002|send mail to bob|
