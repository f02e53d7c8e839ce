-- What is true of the neglected database, as one JSON object, by other means than the collection's own queries.
SELECT json_build_object(
    'rows', json_build_object('orders', (SELECT count(*) FROM orders), 'events', (SELECT count(*) FROM events)),
    -- A reader already takes a dead row's body away, so what VACUUM has to remove is its line pointer (lp_flags 3) as well.
    'dead_rows', (SELECT dead_tuple_count FROM pgstattuple('orders')) + (
        SELECT count(*) FROM generate_series(0, pg_relation_size('orders') / current_setting('block_size')::int - 1) AS page,
            heap_page_items(get_raw_page('orders', page::int)) WHERE lp_flags = 3),
    'index_density', (SELECT avg_leaf_density FROM pgstatindex('events_payload')),
    'estimate_off_by', (SELECT abs(reltuples - (SELECT count(*) FROM orders)) FROM pg_class WHERE relname = 'orders'),
    'invalid_indexes', (SELECT coalesce(json_agg(indexrelid::regclass::text), '[]') FROM pg_index WHERE NOT indisvalid),
    -- Whatever vacuums, analyzes, rebuilds or drops something changes one of these.
    'traces', (
        SELECT json_agg(json_build_array(c.relname, c.oid, c.relfilenode, c.relpages, c.reltuples, s.last_vacuum, s.last_analyze)
            ORDER BY c.oid)
        FROM pg_class AS c LEFT JOIN pg_stat_user_tables AS s ON s.relid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace),
    'databases', (SELECT json_agg(datname ORDER BY datname) FROM pg_database)
);
