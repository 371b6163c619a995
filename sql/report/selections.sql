-- A row is one recipe: the number of chosen rows and of their teachers, how the responses ended, and the number of
-- responses left out, by reason.
SELECT
    selected_subset.recipe,
    count(*) AS rows,
    count(DISTINCT selected_subset.teacher) AS teachers,
    count(*) FILTER (responses.finish_reason = 'length') AS cut_kept,
    count(*) FILTER (responses.finish_reason IS NULL) AS end_not_known,
    coalesce(max(selected_subset.cut_left_out), 0) AS cut_left_out,
    coalesce(max(selected_subset.above_one_left_out), 0) AS above_one_left_out
FROM selected_subset
LEFT JOIN responses ON responses.response_id = selected_subset.response_id
GROUP BY selected_subset.recipe
ORDER BY selected_subset.recipe
