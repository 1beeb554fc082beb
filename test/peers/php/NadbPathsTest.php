<?php
// NadbPathsTest.php - PHP's cache integration tests, paths of PSR-6, over an nadb table.
// NADB_WORK is a folder.
require_once 'Cache/IntegrationTests/autoload.php';
require_once __DIR__ . '/Nadb.php';

class NadbPathsTest extends Cache\IntegrationTests\HierarchicalCachePoolTest
{
    public function createCachePool()
    {
        return new NadbPool(getenv('NADB_WORK') . '/cache.db');
    }
}
