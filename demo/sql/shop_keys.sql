ALTER TABLE catalog.categories ADD FOREIGN KEY (parent_id) REFERENCES catalog.categories;
ALTER TABLE catalog.products ADD FOREIGN KEY (category_id) REFERENCES catalog.categories, ADD FOREIGN KEY (brand_id) REFERENCES catalog.brands,
    ADD FOREIGN KEY (supplier_id) REFERENCES catalog.suppliers;
ALTER TABLE catalog.product_prices ADD FOREIGN KEY (product_id) REFERENCES catalog.products;
ALTER TABLE catalog.product_images ADD FOREIGN KEY (product_id) REFERENCES catalog.products;
ALTER TABLE catalog.product_tags ADD FOREIGN KEY (product_id) REFERENCES catalog.products, ADD FOREIGN KEY (tag_id) REFERENCES catalog.tags;
ALTER TABLE customers.addresses ADD FOREIGN KEY (account_id) REFERENCES customers.accounts;
ALTER TABLE customers.preferences ADD FOREIGN KEY (account_id) REFERENCES customers.accounts;
ALTER TABLE customers.consents ADD FOREIGN KEY (account_id) REFERENCES customers.accounts;
ALTER TABLE customers.sessions ADD FOREIGN KEY (account_id) REFERENCES customers.accounts;
ALTER TABLE sales.orders ADD FOREIGN KEY (account_id) REFERENCES customers.accounts;
ALTER TABLE sales.order_lines ADD FOREIGN KEY (order_id, placed_at) REFERENCES sales.orders, ADD FOREIGN KEY (product_id) REFERENCES catalog.products;
ALTER TABLE sales.payments ADD FOREIGN KEY (order_id, placed_at) REFERENCES sales.orders;
ALTER TABLE sales.refunds ADD FOREIGN KEY (payment_id) REFERENCES sales.payments;
ALTER TABLE sales.coupon_uses ADD FOREIGN KEY (coupon_id) REFERENCES sales.coupons;
ALTER TABLE sales.carts ADD FOREIGN KEY (account_id) REFERENCES customers.accounts;
ALTER TABLE logistics.stock_levels ADD FOREIGN KEY (warehouse_id) REFERENCES logistics.warehouses, ADD FOREIGN KEY (product_id) REFERENCES catalog.products;
ALTER TABLE logistics.stock_movements ADD FOREIGN KEY (warehouse_id) REFERENCES logistics.warehouses, ADD FOREIGN KEY (product_id) REFERENCES catalog.products;
ALTER TABLE logistics.shipments ADD FOREIGN KEY (order_id, placed_at) REFERENCES sales.orders, ADD FOREIGN KEY (carrier_id) REFERENCES logistics.carriers;
ALTER TABLE logistics.returns ADD FOREIGN KEY (shipment_id) REFERENCES logistics.shipments;
ALTER TABLE marketing.subscriptions ADD FOREIGN KEY (account_id) REFERENCES customers.accounts, ADD FOREIGN KEY (campaign_id) REFERENCES marketing.campaigns;
ALTER TABLE marketing.reviews ADD FOREIGN KEY (product_id) REFERENCES catalog.products, ADD FOREIGN KEY (account_id) REFERENCES customers.accounts;
ALTER TABLE support.tickets ADD FOREIGN KEY (account_id) REFERENCES customers.accounts;
ALTER TABLE support.messages ADD FOREIGN KEY (ticket_id) REFERENCES support.tickets;
ALTER TABLE audit.logins ADD FOREIGN KEY (account_id) REFERENCES customers.accounts;

CREATE INDEX products_category_idx ON catalog.products (category_id);
CREATE INDEX accounts_country_idx ON customers.accounts (country);
CREATE INDEX addresses_account_idx ON customers.addresses (account_id);
CREATE INDEX sessions_token_idx ON customers.sessions (token);
CREATE INDEX orders_account_idx ON sales.orders (account_id, placed_at);
CREATE INDEX order_lines_product_idx ON sales.order_lines (product_id);
CREATE INDEX payments_order_idx ON sales.payments (order_id, placed_at);
CREATE INDEX carts_touched_idx ON sales.carts (touched_at);
CREATE INDEX page_views_seen_idx ON marketing.page_views USING brin (seen_at);
CREATE INDEX tickets_account_idx ON support.tickets (account_id);
CREATE INDEX events_detail_idx ON audit.events USING gin (detail);

CREATE VIEW sales.turnover AS SELECT date_trunc('month', placed_at) AS month, count(*) AS orders, sum(total_cents) AS cents FROM sales.orders GROUP BY 1;
CREATE MATERIALIZED VIEW sales.best_sellers AS SELECT product_id, sum(quantity) AS sold FROM sales.order_lines GROUP BY 1 ORDER BY 2 DESC LIMIT 100;

GRANT USAGE ON SCHEMA catalog, customers, sales TO shop_app;
GRANT SELECT ON ALL TABLES IN SCHEMA catalog TO shop_app;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA customers, sales TO shop_app;

-- The two tables that are neglected: nobody cleans up after them, so that the demonstration finds the same mess every time.
ALTER TABLE sales.carts SET (autovacuum_enabled = false);
ALTER TABLE customers.sessions SET (autovacuum_enabled = false);
