-- One row: how many usable responses of these teachers were left out since they were cut, and how many of the
-- others have a `value` above $at_most, where a recipe never chooses them.
SELECT
    count(*) FILTER ($cut_responses = 'leave_out' AND finish_reason = 'length') AS cut_responses,
    count(*) FILTER (
        ($cut_responses = 'keep' OR finish_reason IS DISTINCT FROM 'length')
        AND value > $at_most
        AND NOT isnan(value)
    ) AS above_most
FROM usable
WHERE list_contains($teachers, teacher)
