language=php extension=php
needs() {
    need $(packages_of php)
    because "no SQLite3 in php" php -r 'new SQLite3(":memory:");'
}
# The folder that the library really is in: PHP follows links before it looks.
ini() { php -d sqlite3.extension_dir="${NADB_LIBRARY%/*}" -d display_errors=stderr "$@"; }
run_page() { ini "$blocks/page.php"; }
run_scenario() { ini "$source/scenario.php" "$@"; }
