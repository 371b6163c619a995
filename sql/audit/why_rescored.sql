-- A row is one publication of a teacher's partition, with the differences from the previous one. $teacher names the
-- teacher.
WITH numbered AS (
    SELECT
        *,
        lag(version) OVER versions AS version_before,
        lag(fingerprint) OVER versions AS fingerprint_before,
        lag(rows) OVER versions AS rows_before
    FROM commits
    WHERE teacher = $teacher
    WINDOW versions AS (PARTITION BY table_name, partition ORDER BY version)
),

names AS (
    SELECT DISTINCT
        numbered.table_name,
        numbered.version,
        numbered.version_before,
        settings.name
    FROM numbered
    INNER JOIN settings
        ON settings.table_name = numbered.table_name
        AND settings.version IN (numbered.version, numbered.version_before)
),

changes AS (
    SELECT
        names.table_name,
        names.version,
        string_agg(
            names.name || ': ' || coalesce(earlier.value, 'unset') || ' → ' || coalesce(later.value, 'unset'),
            '; ' ORDER BY names.name
        ) AS changes
    FROM names
    LEFT JOIN settings AS earlier
        ON earlier.table_name = names.table_name
        AND earlier.version = names.version_before
        AND earlier.name = names.name
    LEFT JOIN settings AS later
        ON later.table_name = names.table_name
        AND later.version = names.version
        AND later.name = names.name
    WHERE names.version_before IS NOT NULL AND earlier.value IS DISTINCT FROM later.value
    GROUP BY names.table_name, names.version
)

SELECT
    numbered.time,
    numbered.table_name,
    numbered.partition,
    numbered.version,
    numbered.rows,
    CASE
        WHEN numbered.version_before IS NULL THEN 'first time'
        WHEN numbered.fingerprint <> numbered.fingerprint_before THEN 'other settings'
        WHEN numbered.rows <> numbered.rows_before THEN numbered.rows_before || ' rows → ' || numbered.rows
        ELSE 'other rows, same settings'
    END AS why,
    changes.changes
FROM numbered
LEFT JOIN changes ON changes.table_name = numbered.table_name AND changes.version = numbered.version
ORDER BY numbered.time, numbered.table_name, numbered.partition
