import pytest

from emonb.errors import StudyError
from emonb.run.runs import Run
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
    assert Run(load_study("published")).name == "published"
    assert Run(study).name.startswith("published-")
    assert Run(study).name != Run(load_study("published", seeds=[1, 5])).name


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


def test_what_a_study_extends_and_names_lies_beside_it(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "my study"
    folder.mkdir()
    (folder / "base.yml").write_text("extends: published\nname: base\nhumans: {agreement: 'local:data/kappa.csv'}\n")
    (folder / "mine.yml").write_text("extends: base.yml\nname: mine\nsize: 3000\n")
    monkeypatch.chdir(tmp_path)  # not where the files are
    study = load_study("my study/mine.yml")
    assert study.size == 3000 and study.humans.agreement == f"local:{folder / 'data' / 'kappa.csv'}"
    given = load_study("published", **{"humans.agreement": "local:kappa.csv"})  # on a command line: where you are
    assert given.humans.agreement == f"local:{tmp_path / 'kappa.csv'}"


def test_circles_and_ways_out_of_the_folder_are_named(tmp_path, monkeypatch) -> None:
    (tmp_path / "a.yml").write_text("extends: b.yml\n")
    (tmp_path / "b.yml").write_text("extends: a.yml\n")
    with pytest.raises(StudyError, match=r"circle: a\.yml -> b\.yml -> a\.yml"):
        load_study(str(tmp_path / "a.yml"))
    (tmp_path / "out.yml").write_text("extends: published\nname: out\nhumans: {agreement: 'local:../../secret'}\n")
    with pytest.raises(StudyError, match="outside its own folder"):
        load_study(str(tmp_path / "out.yml"))
    monkeypatch.setenv("EMONB_ALLOW_OUTSIDE", "1")
    assert load_study(str(tmp_path / "out.yml")).name == "out"
    for name in ("../studies/published", "/etc/passwd", "published/../published"):
        with pytest.raises(StudyError, match=r"unknown study|no study"):
            load_study(name)
