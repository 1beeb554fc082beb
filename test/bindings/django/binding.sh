. "$root/test/bindings/python/binding.sh"
needs() {
    need $(packages_of django)
    because "no django in /usr/bin/python3" /usr/bin/python3 -c "import django"
}
extra() { run_orm; }
