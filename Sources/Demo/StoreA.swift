internal import Postgres

/// A small shop: users, products, orders and their items, and what happens in it.
package enum StoreA {
  package static let database = "ecommerce"
  package static let tables = [
    "public.users", "public.products", "public.orders", "public.order_items",
  ]

  package static let schema = """
    CREATE TABLE users (
      user_id serial PRIMARY KEY, email varchar(255) NOT NULL, first_name varchar(100),
      last_name varchar(100), status varchar(20) DEFAULT 'active',
      created_at timestamp DEFAULT CURRENT_TIMESTAMP,
      updated_at timestamp DEFAULT CURRENT_TIMESTAMP);
    CREATE TABLE products (
      product_id serial PRIMARY KEY, name varchar(255) NOT NULL, category varchar(100),
      price numeric(10,2) NOT NULL, stock_quantity integer DEFAULT 0,
      min_threshold integer DEFAULT 20,
      created_at timestamp DEFAULT CURRENT_TIMESTAMP,
      updated_at timestamp DEFAULT CURRENT_TIMESTAMP);
    CREATE TABLE orders (
      order_id serial PRIMARY KEY, user_id integer, total_amount numeric(10,2) NOT NULL,
      status varchar(20) DEFAULT 'pending',
      created_at timestamp DEFAULT CURRENT_TIMESTAMP,
      updated_at timestamp DEFAULT CURRENT_TIMESTAMP);
    CREATE TABLE order_items (
      item_id serial PRIMARY KEY, order_id integer REFERENCES orders, product_id integer,
      quantity integer NOT NULL, unit_price numeric(10,2) NOT NULL,
      created_at timestamp DEFAULT CURRENT_TIMESTAMP);
    """

  /// 1,000 users, 500 products, and 2,000 orders of the hours before, for the snapshot to find.
  package static let data = """
    INSERT INTO users (email, first_name, last_name, status)
      SELECT 'user' || n || '@example.com', 'First' || n, 'Last' || n,
        (ARRAY['active', 'inactive'])[1 + (random() * 1)::int]
      FROM generate_series(1, 1000) n;
    INSERT INTO products (name, category, price, stock_quantity)
      SELECT 'Product ' || n,
        (ARRAY['Electronics', 'Clothing', 'Books', 'Home', 'Sports'])[1 + floor(random() * 5)::int],
        round((10 + random() * 490)::numeric, 2), floor(random() * 1001)::int
      FROM generate_series(1, 500) n;
    INSERT INTO orders (user_id, total_amount, status, created_at)
      SELECT 1 + floor(random() * 1000)::int, round((20 + random() * 480)::numeric, 2),
        (ARRAY['pending', 'processing', 'completed', 'cancelled'])[1 + floor(random() * 4)::int],
        CURRENT_TIMESTAMP - random() * interval '2 hours'
      FROM generate_series(1, 2000);
    INSERT INTO order_items (order_id, product_id, quantity, unit_price)
      SELECT order_id, 1 + floor(random() * 500)::int, 1 + floor(random() * 3)::int,
        round((10 + random() * 90)::numeric, 2)
      FROM orders, generate_series(1, 3);
    """

  /// One round of the shop's day: an order with one to five items; now and then an earlier order
  /// changes its status, now and then a product is sold. Returns how many changes it made to
  /// orders, to their items and to products.
  package static let round = """
    CREATE FUNCTION one_round(OUT orders_changed integer, OUT items_changed integer,
      OUT products_changed integer) LANGUAGE plpgsql AS $$
    DECLARE
      made integer;
      items integer := 1 + floor(random() * 5)::int;
      changed integer;
      target integer;
    BEGIN
      INSERT INTO orders (user_id, total_amount, status)
        VALUES (1 + floor(random() * 1000)::int, round((20 + random() * 480)::numeric, 2),
          (ARRAY['pending', 'processing', 'completed', 'cancelled'])[1 + floor(random() * 4)::int])
        RETURNING order_id INTO made;
      INSERT INTO order_items (order_id, product_id, quantity, unit_price)
        SELECT made, 1 + floor(random() * 500)::int, 1 + floor(random() * 3)::int,
          round((10 + random() * 90)::numeric, 2)
        FROM generate_series(1, items);
      orders_changed := 1;
      items_changed := items;
      products_changed := 0;
      IF random() < 0.3 THEN
        target := greatest(1, made - floor(random() * 101)::int);
        UPDATE orders
          SET status =
              (ARRAY['processing', 'completed', 'cancelled'])[1 + floor(random() * 3)::int],
            updated_at = CURRENT_TIMESTAMP
          WHERE order_id = target;
        GET DIAGNOSTICS changed = ROW_COUNT;
        orders_changed := orders_changed + changed;
      END IF;
      IF random() < 0.2 THEN
        target := 1 + floor(random() * 500)::int;
        UPDATE products
          SET stock_quantity = stock_quantity - (1 + floor(random() * 10)::int),
            updated_at = CURRENT_TIMESTAMP
          WHERE product_id = target AND stock_quantity > 5;
        GET DIAGNOSTICS products_changed = ROW_COUNT;
      END IF;
    END $$;
    """

  /// Revenue by window, asked of the source itself: the start in seconds since 1970, cents, orders.
  package static let revenue = """
    SELECT (floor(extract(epoch FROM created_at) / 300) * 300)::bigint,
      (sum(total_amount) * 100)::bigint, count(*)
    FROM orders WHERE status = 'completed' GROUP BY 1 ORDER BY 1
    """

  /// Products below their threshold and how urgent each is.
  package static let alerts = """
    SELECT product_id, CASE WHEN stock_quantity <= 0 THEN 'CRITICAL'
      WHEN stock_quantity * 2 < min_threshold THEN 'HIGH' ELSE 'MEDIUM' END
    FROM products WHERE stock_quantity < min_threshold ORDER BY product_id
    """

  static let slot = """
    SELECT 1 FROM pg_replication_slots
    WHERE slot_name = 'martlet_demo' AND confirmed_flush_lsn IS NOT NULL
    """

  static func windows(_ source: PostgresConnection) throws(PostgresError) -> [DemoReport.Window] {
    try source.query(revenue).compactMap { row in
      guard row.count == 3, let start = row[0].flatMap({ Int64($0) }),
        let cents = row[1].flatMap({ Int64($0) }), let orders = row[2].flatMap({ Int64($0) })
      else { return nil }
      return DemoReport.Window(start: start, cents: cents, orders: orders)
    }
  }

  /// How many rows each table has, by its topic.
  static func count(_ source: PostgresConnection) throws(PostgresError) -> [String: Int] {
    var counts: [String: Int] = [:]
    for table in ["users", "products", "orders", "order_items"] {
      let rows = try source.query("SELECT count(*) FROM \(table)")
      counts[table] = rows.first?.first.flatMap { $0 }.flatMap { Int($0) } ?? 0
    }
    return counts
  }

  /// The connector as its users have it: Debezium's properties, topics by the bare table name.
  static func connector(host: String) -> [String: String] {
    [
      "name": "store-a",
      "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
      "database.hostname": host,
      "database.port": "5432",
      "database.user": "postgres",
      "database.dbname": database,
      "topic.prefix": "ecommerce-db",
      "table.include.list": tables.joined(separator: ","),
      "plugin.name": "pgoutput",
      "slot.name": "martlet_demo",
      "publication.name": "martlet_demo",
      "decimal.handling.mode": "string",
      "transforms": "route",
      "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
      "transforms.route.regex": "([^.]+)\\.([^.]+)\\.([^.]+)",
      "transforms.route.replacement": "$3",
      "key.converter": "org.apache.kafka.connect.json.JsonConverter",
      "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    ]
  }
}
