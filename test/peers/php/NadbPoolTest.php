<?php
// NadbPoolTest.php - PHP's cache integration tests, PSR-6, over an nadb table.
// NADB_WORK is a folder.
require_once 'Cache/IntegrationTests/autoload.php';
require_once __DIR__ . '/Nadb.php';

class NadbPoolTest extends Cache\IntegrationTests\CachePoolTest
{
    public function createCachePool()
    {
        return new NadbPool(getenv('NADB_WORK') . '/cache.db');
    }
}
