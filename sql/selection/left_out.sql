-- One row: how many usable responses of these teachers were left out since they were cut, and how many of the
-- others have this column above 1, where a recipe never chooses them.
SELECT
    count(*) FILTER ($cut_responses = 'leave_out' AND finish_reason = 'length') AS cut_responses,
    count(*) FILTER (
        ($cut_responses = 'keep' OR finish_reason IS DISTINCT FROM 'length')
        AND CASE $column WHEN 'ifd' THEN ifd WHEN 'ifd_of_perplexities' THEN ifd_of_perplexities END > 1
        AND NOT isnan(CASE $column WHEN 'ifd' THEN ifd WHEN 'ifd_of_perplexities' THEN ifd_of_perplexities END)
    ) AS above_one
FROM usable
WHERE list_contains($teachers, teacher)
