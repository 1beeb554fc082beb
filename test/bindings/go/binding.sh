language=go extension=go
# Debian's packages; the system's SQLite, as theirs has no other.
export GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS=-tags=libsqlite3
export GOCACHE=$root/build/go-cache
needs() {
    need golang-go golang-github-mattn-go-sqlite3-dev libsqlite3-dev gcc libc6-dev
    because "no go" go version || return
    because "no go-sqlite3" test -d $GOPATH/src/github.com/mattn/go-sqlite3
}
# ccache has no place here: go keeps its own.
build() {
    mkdir -p page scenario
    cp block1.go block2.go page
    cp block1.go "$source/scenario.go" scenario
    (cd page && CC=gcc go build -o ../page.bin .) &&
        (cd scenario && CC=gcc go build -o ../scenario.bin .)
}
run_page() { "$blocks/page.bin"; }
run_scenario() { "$blocks/scenario.bin" "$@"; }
