"""Find problems in a study's files of rows by reading them before anything runs."""

from collections import deque

from preceptor.instructions.account import NoInstructionsError, SourceCount, source_problems
from preceptor.instructions.collect import layout_of_source, read_source
from preceptor.records import RecordsError
from preceptor.records.layout import layout_of
from preceptor.responses.recorded import RecordingCount, read_recording
from preceptor.rewards.recorded import refuse_unusable
from preceptor.study.reward_models import RecordedRewardModel
from preceptor.study.schema import InstructionSource
from preceptor.study.teachers import RecordedTeacher

RowFile = InstructionSource | RecordedTeacher | RecordedRewardModel


def file_problems(part: RowFile, lost_rows: float) -> list[str]:
    """A sentence per reason why a source, a recording or a file of scores cannot be used as it is.

    `lost_rows` is the study's limit of that name. Whether a recording matches the study's instructions is not
    checked, because that needs both.
    """
    try:
        match part:
            case InstructionSource():
                return _source(part, lost_rows)
            case RecordedTeacher():
                return _recording(part, lost_rows)
            case RecordedRewardModel():
                refuse_unusable(part, lost_rows)
                return []
    except (RecordsError, NoInstructionsError) as error:
        named = repr(part.name) in str(error)
        return [str(error) if named else f"{_kind(part)} {part.name!r}: {error}"]


def _kind(part: RowFile) -> str:
    match part:
        case InstructionSource():
            return "instruction source"
        case RecordedTeacher():
            return "teacher"
        case RecordedRewardModel():
            return "reward model"


def _source(source: InstructionSource, lost_rows: float) -> list[str]:
    count = SourceCount(source, layout_of_source(source))
    deque(read_source(source, count), maxlen=0)
    count.refuse_empty()
    return list(source_problems(count, lost_rows))


def _recording(teacher: RecordedTeacher, lost_rows: float) -> list[str]:
    count = RecordingCount(layout_of(teacher))
    deque(read_recording(teacher, count), maxlen=0)
    where = f"teacher {teacher.name!r}, {teacher.origin}"
    if count.read == count.lost:
        return [f"{where}: no row can be read: {count.first_lost or 'it is empty'}"]
    return [f"{where}: {problem}" for problem in count.problems(lost_rows)]
