. "$root/test/bindings/python/binding.sh"
needs() {
    need python3 python3-sqlalchemy
    because "no sqlalchemy in /usr/bin/python3" /usr/bin/python3 -c "import sqlalchemy"
}
extra() { run_orm; }
