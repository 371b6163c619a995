-- A row is one usable response with its reward and what one base makes of it; null where there is none.
-- The base may be empty: then only the reward is known.
SELECT
    responses.response_id,
    responses.instruction_id,
    responses.teacher,
    responses.sample,
    rewards.reward,
    base_losses.nll_sum / base_losses.tokens AS mean_nll,
    exp(base_losses.nll_sum / base_losses.tokens) AS perplexity,
    exp(
        base_losses.nll_sum / base_losses.tokens
        - base_losses.unconditional_nll_sum / base_losses.unconditional_tokens
    ) AS ifd,
    base_losses.rank100_sum / base_losses.nll_sum AS rank_surprisal_ratio,
    base_losses.response_tokens::DOUBLE AS response_tokens
FROM responses
INNER JOIN raw_instructions ON raw_instructions.instruction_id = responses.instruction_id
LEFT JOIN rewards
    ON rewards.response_id = responses.response_id
    AND rewards.reward_model = $reward_model
LEFT JOIN base_losses
    ON base_losses.response_id = responses.response_id
    AND base_losses.base = $base
    AND base_losses.error IS NULL
WHERE
    responses.error IS NULL
    AND list_contains($teachers, responses.teacher)
    AND list_bool_or([regexp_matches(turn, '[^\s\pZ]') FOR turn IN responses.turns])
