-- A row is one teacher for one base under one reward model: means over the instructions that CAR would take, of raw
-- and of squashed rewards and of the loss, and how far raw rewards scatter. $rows is the study's car.rows.
-- A `place` is an instruction for a base under a reward model, as one number: quick to group by, ten million times.
WITH numbered AS (
    SELECT
        instruction_id,
        row_number() OVER (ORDER BY instruction_id) - 1 AS instruction_index,
        count(*) OVER () AS instructions
    FROM raw_instructions
),

scored AS (
    SELECT
        mapped_rewards.reward_model_index,
        mapped_rewards.response_id,
        mapped_rewards.teacher_index,
        mapped_rewards.reward,
        mapped_rewards.squashed,
        numbered.instruction_index,
        numbered.instructions
    FROM mapped_rewards
    INNER JOIN numbered ON numbered.instruction_id = mapped_rewards.instruction_id
),

cells AS MATERIALIZED (
    SELECT
        scored.reward_model_index,
        study_bases.base_index,
        scored.teacher_index,
        (scored.reward_model_index * (SELECT count(*) FROM study_bases) + study_bases.base_index)
        * scored.instructions + scored.instruction_index AS place,
        avg(scored.reward) AS reward,
        avg(scored.squashed) AS squashed,
        avg(base_losses.nll_sum / base_losses.tokens) AS loss
    FROM base_losses
    INNER JOIN study_bases
        ON study_bases.base = base_losses.base
        AND study_bases.loss_fingerprint = base_losses.fingerprint
    INNER JOIN scored ON scored.response_id = base_losses.response_id
    WHERE base_losses.error IS NULL
    GROUP BY scored.reward_model_index, study_bases.base_index, scored.teacher_index, place
),

of_teachers AS (
    SELECT DISTINCT
        reward_model_index,
        base_index,
        teacher_index
    FROM cells
),

teachers AS (
    SELECT
        reward_model_index,
        base_index,
        count(*) AS teachers
    FROM of_teachers
    GROUP BY reward_model_index, base_index
),

-- Places that some teacher lacks, usually few.
incomplete AS (
    SELECT cells.place
    FROM cells
    INNER JOIN teachers
        ON teachers.reward_model_index = cells.reward_model_index AND teachers.base_index = cells.base_index
    WHERE $rows = 'common'
    GROUP BY cells.place, teachers.teachers
    HAVING count(*) < teachers.teachers
)

-- Sums depend on the order of their terms in the last digits; a page shall not change with the threads.
SELECT
    cells.reward_model_index,
    study_bases.base,
    study_teachers.teacher,
    count(*) AS instructions,
    round(avg(cells.reward), 9) AS reward,
    round(avg(cells.squashed), 9) AS squashed,
    round(avg(cells.loss), 9) AS loss,
    round(stddev_pop(cells.reward), 9) AS scatter
FROM cells
ANTI JOIN incomplete ON incomplete.place = cells.place
INNER JOIN study_bases ON study_bases.base_index = cells.base_index
INNER JOIN study_teachers ON study_teachers.teacher_index = cells.teacher_index
GROUP BY cells.reward_model_index, cells.base_index, study_bases.base, cells.teacher_index, study_teachers.teacher
ORDER BY cells.reward_model_index, cells.base_index, cells.teacher_index
