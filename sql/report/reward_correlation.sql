-- A row is two of the study's reward models, with the rank correlation of their scores of responses to the same
-- instruction (Spearman's ρ within instructions, ties at their mean rank, pooled over instructions with two or more
-- responses). SQL replaces preceptor/statistics/correlation.py here, because it ranks millions of rows in small groups.
WITH both_scored AS (
    SELECT
        one.reward_model_index AS first_index,
        other.reward_model_index AS second_index,
        one.instruction_id,
        one.reward AS first_reward,
        other.reward AS second_reward
    FROM rewards_of_study AS one
    INNER JOIN rewards_of_study AS other
        ON other.response_id = one.response_id AND other.reward_model_index > one.reward_model_index
),

ranked AS (
    SELECT
        first_index,
        second_index,
        instruction_id,
        rank() OVER (PARTITION BY first_index, second_index, instruction_id ORDER BY first_reward)
        + count(*) OVER (PARTITION BY first_index, second_index, instruction_id, first_reward) / 2 AS first_rank,
        rank() OVER (PARTITION BY first_index, second_index, instruction_id ORDER BY second_reward)
        + count(*) OVER (PARTITION BY first_index, second_index, instruction_id, second_reward) / 2 AS second_rank,
        count(*) OVER (PARTITION BY first_index, second_index, instruction_id) AS responses
    FROM both_scored
),

centred AS (
    SELECT
        first_index,
        second_index,
        instruction_id,
        first_rank - (responses + 2) / 2 AS first_apart,
        second_rank - (responses + 2) / 2 AS second_apart
    FROM ranked
    WHERE responses > 1
)

SELECT
    first_index,
    second_index,
    count(*) AS responses,
    count(DISTINCT instruction_id) AS instructions,
    round(
        sum(first_apart * second_apart) / nullif(sqrt(sum(first_apart ^ 2) * sum(second_apart ^ 2)), 0), 9
    ) AS rho
FROM centred
GROUP BY first_index, second_index
ORDER BY first_index, second_index
