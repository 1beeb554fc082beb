. "$root/test/bindings/python/binding.sh"
needs() {
    need $(packages_of pony)
    because "no pony in /usr/bin/python3" /usr/bin/python3 -c "import pony.orm"
}
