-- One row: the number of usable responses of these teachers that are left out because they were cut, and the number
-- of the others whose `value` is above $at_most.
SELECT
    count(*) FILTER ($cut_responses = 'leave_out' AND finish_reason = 'length') AS cut_responses,
    count(*) FILTER (
        ($cut_responses = 'keep' OR finish_reason IS DISTINCT FROM 'length')
        AND value > $at_most
        AND NOT isnan(value)
    ) AS above_most
FROM usable
WHERE list_contains($teachers, teacher)
