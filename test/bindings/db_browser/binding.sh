# What the page says about editing, by `make gui`; the program runs no scenario.
limit=${NADB_BINDING_SECONDS:-400} page=db-browser language=ini extension=ini
needs() {
    need sqlitebrowser xvfb xdotool
    because "no sqlitebrowser" command -v sqlitebrowser || return
    because "no Xvfb or xdotool" command -v Xvfb xdotool
}
extra() {
    bash "$root/test/gui/dbbrowser.sh" "$NADB_LIBRARY"
    local code=$?
    echo "# DB Browser $(dpkg-query -W -f '${Version}' sqlitebrowser)" \
        >../scenario.log
    return $code
}
