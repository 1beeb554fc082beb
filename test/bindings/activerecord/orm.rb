# activerecord_test.rb LIBRARY FOLDER - an nadb table through Rails'
# ActiveRecord, which writes created_at and updated_at itself.
require "active_record"

$failed = false

def check(name, got, expected)
  if got == expected
    puts "ok #{name}"
  else
    $failed = true
    puts "not ok #{name}: got #{got.inspect}, expected #{expected.inspect}"
  end
end

lib, folder = ARGV
ActiveRecord::Base.establish_connection(
  adapter: "sqlite3", database: "#{folder}/rails.db")
raw = ActiveRecord::Base.connection.raw_connection
raw.enable_load_extension(true)
raw.load_extension(lib)

class Entry < ActiveRecord::Base
  self.table_name = "kv"
  self.primary_key = "key"
end

# With the times as times, and not as numbers.
class Timed < ActiveRecord::Base
  self.table_name = "kv"
  self.primary_key = "key"
  attribute :created_at, :datetime
  attribute :updated_at, :datetime
  attribute :expires_at, :datetime
end

connection = ActiveRecord::Base.connection
connection.execute("CREATE VIRTUAL TABLE kv USING nadb")
visible = %w[key value tags ttl expires_at created_at updated_at size]
hidden = %w[tag stored_size accessed_at rowid _rowid_ oid]
check "columns", Entry.column_names,
      visible + (ActiveRecord::VERSION::STRING >= "7.2" ? hidden : [])
Class.new(Entry) do
  self.ignored_columns = hidden
  check "ignored-columns", column_names, visible
end
check "primary-key", connection.primary_key("kv"), "key"

now = Time.now.to_f
Entry.create!(key: "a", value: "one", tags: '["x"]')
Entry.create!(key: "b", value: 2)
check "created", (Entry.find("a").created_at - now).abs < 60, true
check "values", Entry.order(:key).pluck(:value), ["one", 2]
# As an application of Rails 7.0 and newer has it: an INSERT names every column.
class Whole < ActiveRecord::Base
  self.table_name = "kv"
  self.primary_key = "key"
  self.partial_inserts = false
end
Whole.create!(key: "whole", value: 3)
check "every-column", Whole.find("whole").slice(:value, :tags, :ttl, :size),
      { "value" => 3, "tags" => nil, "ttl" => nil, "size" => 8 }
check "every-column-destroyed", Whole.find("whole").destroy.destroyed?, true

a = Entry.find("a")
a.update!(value: "changed")
check "changed", Entry.order(:key).pluck(:key, :value),
      [["a", "changed"], ["b", 2]]
check "tags-stay", Entry.find("a").tags, '["x"]'

Timed.create!(key: "t", value: 3, expires_at: Time.now + 3600)
row = connection.select_one("SELECT typeof(created_at) AS type, " \
  "abs(created_at - #{now}) < 60 AS new, ttl > 3500 AS mortal " \
  "FROM kv WHERE key = 't'")
check "text-times", row, { "type" => "real", "new" => 1, "mortal" => 1 }
Timed.where(key: "t").update_all(updated_at: Time.utc(2026, 11, 29, 12, 34, 56))
check "text-time-written", connection.select_value(
  "SELECT updated_at FROM kv WHERE key = 't'"), 1795955696.0

Entry.insert_all!([{ key: "i1", value: 1 }, { key: "i2", value: 2 }])
check "insert_all", Entry.where("key LIKE 'i%'").order(:key).pluck(:key, :value),
      [["i1", 1], ["i2", 2]]
check "delete", Entry.where(key: %w[i1 i2]).delete_all, 2
check "destroy", Entry.find("b").destroy.destroyed?, true
check "others", Entry.order(:key).pluck(:key), %w[a t]
check "match", Entry.where("tags MATCH ?", "x").pluck(:key), ["a"]
begin
  Entry.transaction do
    Entry.create!(key: "lost")
    Entry.create!(key: "a")
  end
rescue ActiveRecord::RecordNotUnique => e
  check "duplicate", e.message.include?("UNIQUE constraint failed: kv.key"), true
end
check "rolled-back", Entry.exists?("lost"), false
exit($failed ? 1 : 0)
