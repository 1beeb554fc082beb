-- Instead of changing rows, stores the arguments in `intents`, from which any
-- client can finish the transaction (finish.lua), and locks the keys. Other
-- writers wait until it has ended; the locks do not expire.
call('HLEN', I)
call('HLEN', O)
if string.find(flags, '[du]') then call('DEL', P .. 'none') end
call('HSET', I, txn, cmsgpack.pack(ARGV))
if clear or restore ~= '' then call('HSET', O, '', txn) end
i = changes
for c = 1, n do
  call('HSET', O, ARGV[i + 1], txn)
  i = i + (ARGV[i] == 'd' and 2 or 6)
end
call('HSET', M, 'held', SCRIPT_FOREVER)
