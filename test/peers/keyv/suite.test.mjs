// suite.test.mjs - Keyv's test suite over an nadb table: NADB_LIB is the
// library, NADB_WORK a folder.
import * as test from 'vitest';
import Keyv from 'keyv';
import keyvTestSuite, { keyvIteratorTests } from '@keyv/test-suite';
import { KeyvNadb } from './keyv_nadb.mjs';

const { NADB_LIB, NADB_WORK } = process.env;
const store = () => new KeyvNadb(`${NADB_WORK}/keyv.db`, NADB_LIB);
keyvTestSuite(test, Keyv, store);
keyvIteratorTests(test, Keyv, store);
