. "$root/test/bindings/node/binding.sh"
page=node-sqlite
# The system's Node where it has node:sqlite with loadExtension, or one from npm.
able() { "$1" -e "new (require('node:sqlite').DatabaseSync)(':memory:',
    {allowExtension: true}).loadExtension" >/dev/null 2>&1; }
able node || export PATH=$js/node_modules/node/bin:$PATH
needs() {
    able node || npm_need node@22
    because "no Node with node:sqlite (22.13 or newer)" able node
}
quiet_node() { node --disable-warning=ExperimentalWarning "$@"; }
run_page() { quiet_node "$blocks/page.js"; }
run_scenario() {
    quiet_node "$root/test/bindings/node/scenario.js" "$source/adapter.js" "$@"
}
