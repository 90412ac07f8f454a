/**
 * A common table expression of the table that the parameter `$1` names and everything that inherits from it: its
 * partitions. Read from the catalog alone, as `pg_partition_tree` would wait for whoever has one of them locked.
 */
export const TABLE_TREE = `tree(relation) AS (
    SELECT to_regclass($1)::oid
    UNION
    SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = relation)`;

/** The database of the connection, by the number that catalogs know it by. */
export const THIS_DATABASE = '(SELECT oid FROM pg_database WHERE datname = current_database())';
