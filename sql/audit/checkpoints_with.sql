-- A row is a checkpoint tuned on outputs of a teacher, on rows of a source, or on outputs under certain terms, with
-- the number of these rows and their teachers. $teacher, $source and $terms are null if they are not filtered by.
-- Terms match as the study declares them now, or as it did when the responses were collected.
SELECT
    tuned_rows.run,
    tuned_rows.fingerprint,
    tuned_rows.is_current,
    count(*) AS rows,
    tuned_rows.rows_in_all,
    list(DISTINCT tuned_rows.teacher ORDER BY tuned_rows.teacher) AS teachers,
    list(DISTINCT tuned_rows.source ORDER BY tuned_rows.source) AS sources,
    any_value(tuned_rows.uri) AS uri
FROM tuned_rows
WHERE
    ($teacher IS NULL OR tuned_rows.teacher = $teacher)
    AND ($source IS NULL OR tuned_rows.source = $source)
    AND ($terms IS NULL OR tuned_rows.terms_then = $terms OR tuned_rows.terms_now = $terms)
GROUP BY ALL
ORDER BY tuned_rows.run, tuned_rows.fingerprint
