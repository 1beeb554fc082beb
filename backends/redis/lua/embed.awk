# embed.awk - makes C strings of the Lua scripts: awk -f embed.awk script.h *.lua
#
# X.lua becomes script_X[]. A line `include 'lib/Y'` stands for the text of
# lib/Y.lua; a word that script.h defines, SCRIPT_.., for its value. Comments of
# whole lines and indentation are left out.
function quote(line) {
    gsub(/\\/, "&&", line)
    gsub(/"/, "\\\\&", line)
    printf "    \"%s\\n\"\n", line
}

function copy(path, dir,    line, n, part, word) {
    while ((n = (getline line < path)) > 0) {
        sub(/^ +/, "", line)
        if (line == "" || line ~ /^--/) continue
        if (line ~ /^include '/) {
            split(line, part, "'")
            copy(dir part[2] ".lua", dir)
            continue
        }
        for (word in value) gsub(word, value[word], line)
        quote(line)
    }
    if (n < 0) {
        print "cannot read " path > "/dev/stderr"
        exit 1
    }
    close(path)
}

BEGIN {
    while ((getline line < ARGV[1]) > 0) {
        if (split(line, word, " ") == 3 && word[1] == "#define" &&
            word[2] ~ /^SCRIPT_/) {
            gsub(/"/, "'", word[3])
            value[word[2]] = word[3]
        }
    }
    print "/* Made by embed.awk of the files *.lua. */"
    for (i = 2; i < ARGC; i++) {
        name = dir = ARGV[i]
        sub(/.*\//, "", name)
        sub(/\.lua$/, "", name)
        sub(/[^\/]*$/, "", dir)
        printf "const char script_%s[] =\n", name
        copy(ARGV[i], dir)
        print "    ;"
    }
}
