<?php
// NadbSimpleTest.php - PHP's cache integration tests, PSR-16, over an nadb table.
// NADB_WORK is a folder.
require_once 'Cache/IntegrationTests/autoload.php';
require_once __DIR__ . '/Nadb.php';

class NadbSimpleTest extends Cache\IntegrationTests\SimpleCacheTest
{
    public function createSimpleCache()
    {
        return new NadbSimpleCache(getenv('NADB_WORK') . '/cache.db');
    }
}
