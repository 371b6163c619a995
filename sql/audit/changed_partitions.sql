-- A row is a partition whose contents differ between two rankings, which explains why the ranking changed.
-- `reads` has the version of each table that each ranking read.
WITH current AS (
    SELECT
        reads.moment,
        commits.table_name,
        commits.partition,
        commits.version,
        commits.rows,
        commits.fingerprint,
        commits.content
    FROM commits
    INNER JOIN reads ON reads.table_name = commits.table_name AND commits.version <= reads.version
    QUALIFY row_number() OVER (
        PARTITION BY reads.moment, commits.table_name, commits.partition ORDER BY commits.version DESC
    ) = 1
)

SELECT
    later.table_name,
    later.partition,
    earlier.version AS version_before,
    later.version AS version_after,
    earlier.rows AS rows_before,
    later.rows AS rows_after,
    CASE
        WHEN earlier.version IS NULL THEN 'new'
        WHEN earlier.fingerprint <> later.fingerprint THEN 'other settings'
        ELSE 'other rows, same settings'
    END AS change
FROM current AS later
LEFT JOIN current AS earlier
    ON earlier.moment = 'before'
    AND earlier.table_name = later.table_name
    AND earlier.partition = later.partition
WHERE later.moment = 'after' AND earlier.content IS DISTINCT FROM later.content
ORDER BY later.table_name, later.partition
