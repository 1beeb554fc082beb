. "$root/test/bindings/python/binding.sh"
needs() {
    need $(packages_of sqlalchemy)
    because "no sqlalchemy in /usr/bin/python3" /usr/bin/python3 -c "import sqlalchemy"
}
extra() { run_orm; }
