. "$root/test/bindings/python/binding.sh"
needs() {
    need $(packages_of apsw)
    because "no apsw in /usr/bin/python3" /usr/bin/python3 -c "import apsw"
}
