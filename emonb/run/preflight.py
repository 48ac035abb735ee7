"""What can be known before any work: whether there are released files for a study as it was changed."""

from emonb.data import sources
from emonb.data.released import name_files
from emonb.errors import StudyError
from emonb.study import Study


def check_released(study: Study) -> None:
    """Before any work: files are released for every seed of a study, and have its layers and neurons.

    Raises
    ------
    StudyError
        Names the seeds without files, or the number of neurons that files have.
    """
    if study.released is None:
        return
    kinds = {"activations": ("activations",), "lesions": ("lesions_selective", "lesions_random")}
    for field in [
        field for stage, fields in kinds.items() if getattr(study.stages, stage) == "released" for field in fields
    ]:
        names = name_files(getattr(study.released, field), study.emotions, study.seeds)
        absent = sorted({seed for (_, seed), name in names.items() if not sources.is_known(name)})
        if absent:
            there = [seed for seed in study.seeds if seed not in absent]
            listed = f"; of the study's seeds there are {', '.join(map(str, there))}" if there else ""
            raise StudyError(
                f"no {field.replace('_', ', ')} were released for seed{'s' * (len(absent) > 1)} "
                f"{', '.join(map(str, absent))}{listed}"
            )
    if study.stages.activations == "released":
        first = next(iter(name_files(study.released.activations, study.emotions, study.seeds).values()))
        path = sources.find(first)
        if path is not None:
            with path.open(encoding="utf-8-sig", errors="replace") as file:
                n = file.readline().count(",") + 1
            if n != study.layers * study.neurons:
                raise StudyError(
                    f"the released activations have {n} neurons, the study {study.layers} layers of {study.neurons}; "
                    "correct layers and neurons"
                )
