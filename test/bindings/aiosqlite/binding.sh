. "$root/test/bindings/python/binding.sh"
needs() {
    need $(packages_of aiosqlite)
    because "no aiosqlite in /usr/bin/python3" /usr/bin/python3 -c "import aiosqlite"
}
unset -f run_scenario # that of python: aiosqlite calls the same functions
