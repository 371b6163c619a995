-- A row is one ranked teacher for one base at one β: how far the ranking hangs on a value that the paper's
-- readers could not verify.
WITH swept AS (
    SELECT
        car_table.base,
        car_table.teacher,
        betas.beta,
        car_table.mean_reward
        * CASE $form
            WHEN 'ratio' THEN 1 / (1 + betas.beta * car_table.mean_loss)
            ELSE 1 + betas.beta * car_table.mean_loss
        END AS car
    FROM car_table
    CROSS JOIN betas
    WHERE car_table.missing IS NULL
)

SELECT
    base,
    teacher,
    beta,
    car,
    rank() OVER (PARTITION BY base, beta ORDER BY car DESC) AS rank
FROM swept
ORDER BY base, beta, rank, teacher
