. "$root/test/bindings/python/binding.sh"
needs() {
    need python3 python3-apsw
    because "no apsw in /usr/bin/python3" /usr/bin/python3 -c "import apsw"
}
