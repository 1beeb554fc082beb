. "$root/test/bindings/python/binding.sh"
needs() {
    need $(packages_of peewee)
    because "no peewee in /usr/bin/python3" /usr/bin/python3 -c "import peewee"
}
extra() { run_orm; }
