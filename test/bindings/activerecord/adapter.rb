# ActiveRecord, without its models.
VERSION = "ActiveRecord #{ActiveRecord::VERSION::STRING}"
Duplicate = ActiveRecord::RecordNotUnique
Rollback = ActiveRecord::Rollback
ActiveRecord::Base.establish_connection(
  adapter: "sqlite3", database: "scenario.db")

def connection = ActiveRecord::Base.connection
def blob(bytes) = ActiveModel::Type::Binary::Data.new(bytes)

def rows(sql, *args)
  binds = args.map do |value|
    ActiveRecord::Relation::QueryAttribute.new(
      "v", value, ActiveModel::Type::Value.new)
  end
  connection.exec_query(sql, "SQL", binds).rows
end

def transaction(&block) = ActiveRecord::Base.transaction(&block)

def reopen
  ActiveRecord::Base.connection_pool.disconnect!
end
