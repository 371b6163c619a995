-- A row is one instruction that one teacher answered, as one base sees it: reward and loss, each averaged over
-- the teacher's samples. Only samples that have both count.
SELECT
    base_index,
    teacher_index,
    instruction_index,
    avg(reward) AS reward,
    avg(loss) AS loss
FROM car_losses
WHERE reward IS NOT NULL AND loss IS NOT NULL
GROUP BY base_index, teacher_index, instruction_index
