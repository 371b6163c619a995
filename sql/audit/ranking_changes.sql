-- A row is a teacher for a base that differs between two versions of the CAR table.
SELECT
    coalesce(earlier.base, later.base) AS base,
    coalesce(earlier.teacher, later.teacher) AS teacher,
    earlier.rank AS rank_before,
    later.rank AS rank_after,
    earlier.car AS car_before,
    later.car AS car_after,
    earlier.mean_reward AS mean_reward_before,
    later.mean_reward AS mean_reward_after,
    earlier.mean_loss AS mean_loss_before,
    later.mean_loss AS mean_loss_after,
    earlier.instructions AS instructions_before,
    later.instructions AS instructions_after,
    CASE
        WHEN earlier.teacher IS NULL THEN 'joined'
        WHEN later.teacher IS NULL THEN 'left the study'
        WHEN later.missing IS NOT NULL THEN later.missing
        WHEN earlier.missing IS NOT NULL THEN 'was not ranked: ' || earlier.missing
        WHEN later.rank BETWEEN earlier.rank_low AND earlier.rank_high THEN 'within the interval that its rank had'
        ELSE 'beyond the interval that its rank had'
    END AS change
FROM car_before AS earlier
FULL JOIN car_after AS later ON later.base = earlier.base AND later.teacher = earlier.teacher
WHERE
    (earlier.rank, earlier.car, earlier.instructions, earlier.missing)
    IS DISTINCT FROM (later.rank, later.car, later.instructions, later.missing)
ORDER BY base, rank_after NULLS LAST, teacher
