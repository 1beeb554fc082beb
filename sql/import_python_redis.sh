#!/bin/bash
# import_python_redis.sh DB NAMESPACE [options of redis-cli] - prints SQL that
# puts what the Python NADB keeps on a Redis server into the table kv, with
# values, tags, times and what is left of their time to live.
#
#   (echo ".load ./nadb"; echo "CREATE VIRTUAL TABLE kv USING nadb;"
#    bash sql/import_python_redis.sh app prod -h localhost -p 6379) |
#       sqlite3 -bail new.db
#
# The server is only read, some 200 keys in a call, so that it goes on serving
# others. Rows that change meanwhile are as they were before or after.
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: import_python_redis.sh DB NAMESPACE [options of redis-cli]" >&2
    exit 1
fi
db=$1
namespace=$2
shift 2

# A page of SCAN: the next cursor, then a statement a line.
read -r -d '' page <<'LUA' || true
local function hex(s)
    return "x'" .. (s:gsub('.', function(c)
        return string.format('%02x', c:byte())
    end)) .. "'"
end
local function json(s)
    local ok, v = pcall(cjson.decode, s or 'null')
    if ok and v ~= cjson.null then return v end
    return nil
end
-- datetime.now().isoformat() of the machine that wrote it
local function time(s)
    if type(s) ~= 'string' then return 'NULL' end
    return 'round((julianday(CAST(' .. hex(s) ..
        " AS TEXT), 'utc') - 2440587.5) * 86400, 3)"
end
local function value(s)
    if s:sub(1, 6) == 'CMP:\120\156' then
        return 'nadb_unzip(' .. hex(s:sub(5)) .. ')'
    end
    return hex(s)
end
local prefix = 'nadb:meta:' .. ARGV[2] .. ':' .. ARGV[3] .. ':'
local pattern = prefix:gsub('[%*%?%[%]\\]', '\\%0') .. '*'
local now = redis.call('TIME')
local answer = redis.call('SCAN', ARGV[1], 'MATCH', pattern, 'COUNT', 200)
local out = {answer[1]}
for _, meta in ipairs(answer[2]) do
    local fields = {}
    local list = redis.call('HGETALL', meta)
    for i = 1, #list, 2 do fields[list[i]] = list[i + 1] end
    local path = json(fields.path)
    local data = path and redis.call('GET', 'nadb:data:' .. path)
    if data then
        local left = redis.call('PTTL', 'nadb:data:' .. path)
        local expires = 'NULL'
        if left >= 0 then
            expires = string.format('%.3f', now[1] + now[2] / 1e6 + left / 1000)
        end
        local tags = 'NULL'
        if json(fields.tags) then tags = 'CAST(' .. hex(fields.tags) .. ' AS TEXT)' end
        out[#out + 1] =
            'INSERT OR REPLACE INTO kv(key, value, tags, created_at, ' ..
            'updated_at, expires_at) SELECT CAST(' ..
            hex(meta:sub(#prefix + 1)) .. ' AS TEXT), ' .. value(data) ..
            ', ' .. tags .. ', ' .. time(json(fields.created_at)) .. ', ' ..
            time(json(fields.last_updated) or json(fields.created_at)) ..
            ', ' .. expires .. ';'
    end
end
return out
LUA

echo "BEGIN;"
cursor=0
while :; do
    answer=$(redis-cli "$@" --raw EVAL "$page" 0 "$cursor" "$db" "$namespace")
    cursor=${answer%%$'\n'*}
    if ! [[ $cursor =~ ^[0-9]+$ ]]; then
        echo "the server answered: $answer" >&2
        exit 1
    fi
    [[ $answer != *$'\n'* ]] || printf '%s\n' "${answer#*$'\n'}"
    [ "$cursor" != 0 ] || break
done
echo "COMMIT;"
echo "SELECT count(*) || ' rows in kv' FROM kv;"
