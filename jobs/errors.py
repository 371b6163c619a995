"""What Dagster recorded of an error, as a sentence."""


def error_sentence(message: str) -> str:
    """An error's text; our own errors speak for themselves, without the name of their class."""
    name, _, text = message.strip().partition(": ")
    ours = name.startswith("preceptor.") or name == "Failed"  # as assets/failures.py has it
    return text if ours and text else message.strip()
