// suite.js LIBRARY FOLDER - abstract-level's test suite over an nadb table.
// Runs in a folder whose node_modules has abstract-level and tape.
'use strict';
const path = require('path');
const test = require('tape');
const suite = require('abstract-level/test');
const { NadbLevel } = require('./nadb_level.js');

const [extension, folder] = process.argv.slice(2);
let count = 0;
suite({
  test,
  factory: options =>
    new NadbLevel(path.join(folder, String(++count)), extension, options)
});
