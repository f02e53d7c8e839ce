-- The same rows every time: what looks random is computed from the row number.
INSERT INTO catalog.categories SELECT n, nullif(n / 8, 0), 'Category ' || n, n % 8 FROM generate_series(1, 120) n;
INSERT INTO catalog.brands SELECT n, 'Brand ' || n, (ARRAY['FR','DE','IT','JP','US','SE'])[1 + n % 6] FROM generate_series(1, 80) n;
INSERT INTO catalog.suppliers SELECT n, 'Supplier ' || n, 'orders@supplier' || n || '.example', 2 + n % 30 FROM generate_series(1, 40) n;
INSERT INTO catalog.products
SELECT n, 'SKU-' || lpad(n::text, 6, '0'), 'Product ' || n, repeat(md5(n::text) || ' ', 4), 1 + n * 7 % 120, 1 + n * 11 % 80,
       1 + n * 13 % 40, 50 + n * 17 % 4000, jsonb_build_object('colour', (ARRAY['red','green','blue','black'])[1 + n % 4], 'size', n % 50),
       timestamptz '2024-01-01Z' + n * interval '5 hours'
FROM generate_series(1, 3000) n;
INSERT INTO catalog.product_prices
SELECT p, date '2025-01-01' + 90 * k, 199 + (p * 37 + k * 101) % 20000 FROM generate_series(1, 3000) p, generate_series(0, 2) k;
INSERT INTO catalog.product_images SELECT n, 1 + n % 3000, 'images/' || md5(n::text) || '.webp', 1200, 900 FROM generate_series(1, 6000) n;
INSERT INTO catalog.tags SELECT n, 'tag-' || n FROM generate_series(1, 60) n;
INSERT INTO catalog.product_tags SELECT p, 1 + (p * 7 + k * 19) % 60 FROM generate_series(1, 3000) p, generate_series(0, 2) k;

INSERT INTO customers.accounts
SELECT n, 'customer' || n || '@mail.example', 'Customer ' || n, (ARRAY['FR','DE','BE','CH','NL'])[1 + n % 5],
       timestamptz '2023-01-01Z' + n * interval '70 minutes'
FROM generate_series(1, 20000) n;
INSERT INTO customers.addresses SELECT n, 1 + n % 20000, n % 200 || ' Main Street', 'City ' || n % 400, lpad((n % 99999)::text, 5, '0') FROM generate_series(1, 24000) n;
INSERT INTO customers.preferences SELECT n, (ARRAY['fr','de','en'])[1 + n % 3], '{"newsletter": true, "theme": "light"}' FROM generate_series(1, 20000) n;
INSERT INTO customers.consents SELECT n, p, timestamptz '2025-01-01Z' + n * interval '1 minute' FROM generate_series(1, 12000) n, unnest(ARRAY['mail','profile']) p;

INSERT INTO sales.orders
SELECT n, timestamptz '2025-07-01Z' + n * interval '15 minutes', 1 + n * 7919 % 20000,
       (ARRAY['placed','paid','sent','delivered'])[1 + n % 4], 500 + n * 131 % 40000
FROM generate_series(1, 40000) n;
INSERT INTO sales.order_lines
SELECT n, timestamptz '2025-07-01Z' + n * interval '15 minutes', k, 1 + (n * 31 + k * 977) % 3000, 1 + (n + k) % 3, 199 + n % 9000
FROM generate_series(1, 40000) n, generate_series(1, 2) k;
INSERT INTO sales.payments
SELECT n, n, timestamptz '2025-07-01Z' + n * interval '15 minutes', (ARRAY['card','transfer','wallet'])[1 + n % 3], 500 + n * 131 % 40000,
       timestamptz '2025-07-01Z' + n * interval '16 minutes'
FROM generate_series(1, 36000) n;
INSERT INTO sales.refunds SELECT n, n * 30, 500 + n % 900, 'returned' FROM generate_series(1, 1000) n;
INSERT INTO sales.coupons SELECT n, 'SAVE' || n, 5 + n % 40 FROM generate_series(1, 50) n;
INSERT INTO sales.coupon_uses SELECT 1 + n % 50, n * 10 FROM generate_series(1, 4000) n;
INSERT INTO sales.carts
SELECT n, 1 + n % 20000, 'open', timestamptz '2026-06-01Z' + n * interval '1 minute', jsonb_build_object('product', 1 + n % 3000, 'quantity', 1 + n % 5)
FROM generate_series(1, 30000) n;

INSERT INTO logistics.warehouses VALUES (1, 'North', 'Lille'), (2, 'East', 'Strasbourg'), (3, 'South', 'Lyon');
INSERT INTO logistics.stock_levels SELECT w, p, (p * w) % 500 FROM generate_series(1, 3) w, generate_series(1, 3000) p;
INSERT INTO logistics.stock_movements
SELECT n, 1 + n % 3, 1 + n * 17 % 3000, n % 21 - 10, timestamptz '2025-07-01Z' + n * interval '10 minutes' FROM generate_series(1, 40000) n;
INSERT INTO logistics.carriers SELECT n, 'Carrier ' || n FROM generate_series(1, 6) n;
INSERT INTO logistics.shipments
SELECT n, n, timestamptz '2025-07-01Z' + n * interval '15 minutes', 1 + n % 6, upper(md5(n::text)), timestamptz '2025-07-02Z' + n * interval '15 minutes'
FROM generate_series(1, 30000) n;
INSERT INTO logistics.returns SELECT n, n * 25, 'does not fit', timestamptz '2025-08-01Z' + n * interval '5 hours' FROM generate_series(1, 1200) n;

INSERT INTO marketing.campaigns SELECT n, 'Campaign ' || n, date '2025-01-01' + 15 * n, date '2025-01-14' + 15 * n FROM generate_series(1, 30) n;
INSERT INTO marketing.subscriptions SELECT n, 1 + n % 30, date '2025-01-01' + n % 400 FROM generate_series(1, 9000) n;
INSERT INTO marketing.reviews SELECT n, 1 + n * 7 % 3000, 1 + n * 13 % 20000, 1 + n % 5, 'Review ' || md5(n::text) FROM generate_series(1, 8000) n;
INSERT INTO marketing.page_views
SELECT timestamptz '2026-06-01Z' + n * interval '1 minute', '/products/' || 1 + n * 7 % 3000, nullif(n * 3 % 20000, 0), 20 + n * 29 % 900 FROM generate_series(1, 60000) n;

INSERT INTO support.tickets SELECT n, 1 + n * 11 % 20000, 'Question ' || n, (ARRAY['open','answered','closed'])[1 + n % 3], timestamptz '2026-01-01Z' + n * interval '1 hour' FROM generate_series(1, 3000) n;
INSERT INTO support.messages SELECT n, 1 + n % 3000, CASE WHEN n % 2 = 0 THEN 'customer' ELSE 'support' END, repeat('text ' || n || ' ', 10) FROM generate_series(1, 9000) n;
INSERT INTO audit.events (at, actor, action, detail)
SELECT timestamptz '2026-01-01Z' + n * interval '5 minutes', 'user' || n % 40, (ARRAY['login','update','export'])[1 + n % 3], jsonb_build_object('row', n) FROM generate_series(1, 40000) n;
INSERT INTO audit.logins SELECT n, 1 + n * 3 % 20000, timestamptz '2026-01-01Z' + n * interval '4 minutes', ('10.0.' || n % 256 || '.' || n % 251)::inet, n % 50 <> 0 FROM generate_series(1, 30000) n;
