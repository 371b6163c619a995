-- A row is one teacher for one base under one reward model: means over the instructions that CAR would take, of raw
-- and of squashed rewards and of the loss, and how far raw rewards scatter. $rows is the study's car.rows.
-- Indices stand for names, which keeps ten million rows quick to join and group.
WITH numbered AS (
    SELECT
        instruction_id,
        row_number() OVER (ORDER BY instruction_id)::INTEGER AS instruction_index
    FROM raw_instructions
),

scored AS (
    SELECT
        study_rewards.reward_model_index,
        current_responses.response_id,
        current_responses.teacher_index,
        numbered.instruction_index,
        rewards.reward
    FROM rewards
    INNER JOIN study_rewards
        ON study_rewards.reward_model = rewards.reward_model
        AND study_rewards.teacher = rewards.teacher
        AND study_rewards.fingerprint = rewards.fingerprint
    INNER JOIN current_responses ON current_responses.response_id = rewards.response_id
    INNER JOIN numbered ON numbered.instruction_id = current_responses.instruction_id
    WHERE rewards.reward IS NOT NULL
),

cells AS (
    SELECT
        scored.reward_model_index,
        study_bases.base_index,
        scored.teacher_index,
        scored.instruction_index,
        avg(scored.reward) AS reward,
        avg(1 / (1 + exp(-scored.reward))) AS squashed,
        avg(base_losses.nll_sum / base_losses.tokens) AS loss
    FROM base_losses
    INNER JOIN study_bases
        ON study_bases.base = base_losses.base
        AND study_bases.loss_fingerprint = base_losses.fingerprint
    INNER JOIN scored ON scored.response_id = base_losses.response_id
    WHERE base_losses.error IS NULL
    GROUP BY scored.reward_model_index, study_bases.base_index, scored.teacher_index, scored.instruction_index
),

teachers AS (
    SELECT
        reward_model_index,
        base_index,
        count(DISTINCT teacher_index) AS teachers
    FROM cells
    GROUP BY reward_model_index, base_index
),

shared AS (
    SELECT
        reward_model_index,
        base_index,
        instruction_index,
        count(*) AS teachers
    FROM cells
    GROUP BY reward_model_index, base_index, instruction_index
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
INNER JOIN teachers
    ON teachers.reward_model_index = cells.reward_model_index AND teachers.base_index = cells.base_index
INNER JOIN shared
    ON shared.reward_model_index = cells.reward_model_index
    AND shared.base_index = cells.base_index
    AND shared.instruction_index = cells.instruction_index
INNER JOIN study_bases ON study_bases.base_index = cells.base_index
INNER JOIN study_teachers ON study_teachers.teacher_index = cells.teacher_index
WHERE $rows = 'available' OR shared.teachers = teachers.teachers
GROUP BY cells.reward_model_index, cells.base_index, study_bases.base, cells.teacher_index, study_teachers.teacher
ORDER BY cells.reward_model_index, cells.base_index, cells.teacher_index
