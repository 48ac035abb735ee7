import pytest

from emonb.errors import StudyError
from emonb.study import list_studies, load_study


def test_every_shipped_study_is_valid() -> None:
    assert "published" in list_studies()
    for name in list_studies():
        assert load_study(name).name == name


def test_parameters_are_applied_and_change_the_run_directory() -> None:
    study = load_study("published", seeds=[1, 3], distance=None, **{"inference.permutations": 199})
    assert study.seeds == (1, 3)
    assert study.distance == "correlation"
    assert study.inference.permutations == 199
    assert load_study("published").run_name == "published"
    assert study.run_name.startswith("published-")
    assert study.run_name != load_study("published", seeds=[1, 5]).run_name


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("publishd", {}, ["unknown study 'publishd'", "did you mean 'published'"]),
        ("published", {"sizee": 3}, ["unknown parameter 'sizee'", "did you mean 'size'"]),
        ("published", {"inference.permutation": 3}, ["unknown parameter", "inference.permutations"]),
        ("published", {"size": "abc"}, ["size", "integer", "'abc'"]),
        ("published", {"size": 4001}, ["size 4001 is not one of sizes"]),
        ("published", {"seeds": [1, 1]}, ["seeds lists a value twice"]),
        ("published", {"distance": "cosine"}, ["distance", "'cosine'"]),
        ("published", {"name": "x"}, ["unknown parameter 'name'"]),
    ],
)
def test_wrong_requests_say_in_one_line_what_would_be_right(name: str, parameters: dict, words: list[str]) -> None:
    with pytest.raises(StudyError) as error:
        load_study(name, **parameters)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_study_file_with_an_unknown_field_or_bad_yaml_is_refused(tmp_path) -> None:
    path = tmp_path / "mine.yml"
    path.write_text("name: [unclosed")
    with pytest.raises(StudyError, match="not valid YAML"):
        load_study(str(path))
    other = tmp_path / "other.yml"
    other.write_text("name: other\nsurprise: 1\n")
    with pytest.raises(StudyError, match=r"study '.*other\.yml'"):
        load_study(str(other))


def test_yaml_cannot_construct_objects(tmp_path) -> None:
    path = tmp_path / "evil.yml"
    path.write_text("name: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(StudyError, match="not valid YAML"):
        load_study(str(path))
