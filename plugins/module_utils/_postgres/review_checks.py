# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All checks of a review, in their order.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core.result import Finding
from . import (
    review_collations,
    review_foreign_keys,
    review_indexes,
    review_replication,
    review_sequences,
    review_server,
    review_tables,
    review_waits,
)
from .reviewing import Check, Look

#: Blocks that must have been asked for before a hit ratio says anything.
_BLOCKS = 100_000


def cache_hit_ratio(look: Look) -> t.Iterator[Finding]:
    hit, read = look.query(
        "SELECT blks_hit, blks_read FROM pg_catalog.pg_stat_database WHERE datname = pg_catalog.current_database()"
    )[0]
    percent = 100 * hit / max(hit + read, 1)
    look.facts["cache_hit_percent"] = round(percent, 2)
    limit = look.thresholds.cache_hit_percent
    if hit + read >= _BLOCKS and percent < limit:
        message = f"{percent:.1f} % of the blocks came from the cache"
        action = "look at the slow queries first, then at shared_buffers and the memory of the host"
        yield look.finding("cache", "low", look.database, message, action, round(percent, 1), limit)


SERVER: tuple[Check, ...] = (
    review_server.settings_that_surprise,
    review_server.wraparound_distance,
    review_server.old_transactions,
    review_server.connections_near_the_limit,
    review_waits.blocked_sessions,
    review_replication.replication_slots,
    review_replication.replication_lag,
    review_collations.collations_of_other_databases,
)

DATABASE: tuple[Check, ...] = (
    review_tables.dead_rows,
    review_tables.autovacuum_switched_off,
    review_tables.statistics_never_gathered,
    review_tables.tables_near_the_wraparound,
    review_tables.table_bloat,
    review_indexes.invalid_indexes,
    review_indexes.bloated_indexes,
    review_indexes.superfluous_indexes,
    review_foreign_keys.foreign_keys_without_index,
    review_sequences.sequences_near_their_end,
    review_collations.collation_drift,
    cache_hit_ratio,
)
