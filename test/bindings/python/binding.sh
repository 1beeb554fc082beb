language=python extension=py
export PATH=/usr/bin:$PATH # Debian's python3
needs() {
    need $(packages_of python)
    because "no sqlite3 that loads extensions in /usr/bin/python3" \
        /usr/bin/python3 -c "import sqlite3
sqlite3.connect(':memory:').enable_load_extension"
}
run_page() { /usr/bin/python3 "$blocks/page.py"; }
run_scenario() {
    /usr/bin/python3 "$root/test/bindings/python/scenario.py" \
        "$source/adapter.py" "$@"
}
run_orm() {
    PYTHONPATH=$root/test/bindings/python /usr/bin/python3 "$source/orm.py" \
        "${NADB_LIBRARY%.so}" "$PWD"
}
