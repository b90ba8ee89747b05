"""Store A: a small shop, as its users have it."""

TABLES = "public.users,public.orders,public.order_items,public.products"

SCHEMA = """
CREATE TABLE users (
  user_id serial PRIMARY KEY, email varchar(255), first_name varchar(100), last_name varchar(100),
  status varchar(20), created_at timestamp DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamp DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE products (
  product_id serial PRIMARY KEY, name varchar(255), category varchar(100), price numeric(10,2),
  stock_quantity integer, min_threshold integer DEFAULT 20,
  created_at timestamp DEFAULT CURRENT_TIMESTAMP, updated_at timestamp DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE orders (
  order_id serial PRIMARY KEY, user_id integer, total_amount numeric(10,2), status varchar(20),
  created_at timestamp DEFAULT CURRENT_TIMESTAMP, updated_at timestamp DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE order_items (
  item_id serial PRIMARY KEY, order_id integer, product_id integer, quantity integer,
  unit_price numeric(10,2), created_at timestamp DEFAULT CURRENT_TIMESTAMP);
"""

REVENUE = """
SELECT to_timestamp(floor(extract(epoch FROM created_at) / 300) * 300) AS window_start,
  sum(total_amount), count(*)
FROM orders WHERE status = 'completed' GROUP BY 1 ORDER BY 1
"""


def connector(host, port, **more):
    """The connector's properties, by Debezium's names."""
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": str(host),
        "database.port": str(port),
        "database.user": "postgres",
        "database.password": "postgres",
        "database.dbname": "ecommerce",
        "topic.prefix": "ecommerce-db",
        "table.include.list": TABLES,
        "plugin.name": "pgoutput",
        "slot.name": "debezium_slot",
        "publication.name": "debezium_publication",
        "decimal.handling.mode": "string",
        "transforms": "route",
        "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.route.regex": "([^.]+)\\.([^.]+)\\.([^.]+)",
        "transforms.route.replacement": "$3",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        **more,
    }
