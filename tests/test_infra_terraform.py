"""The Terraform configuration: its form, its types, its own tests, and what it refuses. No account, no network."""

from pathlib import Path

import pytest

from terraforming import SOURCE, initialised, terraform


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return initialised(tmp_path_factory.mktemp("terraform"))


def test_the_files_have_the_form_that_terraform_gives_them() -> None:
    status, text = terraform(SOURCE, "fmt", "-check", "-diff", "-recursive", "-no-color")
    assert status == 0, text


def test_badly_formed_files_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "crooked.tf").write_text('variable "a" {\n      type = string\n}\n')
    assert terraform(tmp_path, "fmt", "-check", "-no-color")[0] != 0


def test_the_configuration_is_valid_for_the_provider(folder: Path) -> None:
    status, text = terraform(folder, "validate", "-no-color")
    assert status == 0, text


def test_a_misspelt_argument_is_noticed(folder: Path) -> None:
    wrong = folder / "wrong.tf"
    wrong.write_text('resource "aws_sqs_queue" "wrong" {\n  mesage_retention_seconds = 60\n}\n')
    try:
        status, text = terraform(folder, "validate", "-no-color")
    finally:
        wrong.unlink()
    assert status != 0
    assert "mesage_retention_seconds" in text


def test_its_own_tests_pass(folder: Path) -> None:
    status, text = terraform(folder, "test", "-no-color")
    assert status == 0, text
    assert "0 failed" in text


def test_its_own_tests_notice_a_bucket_without_versions(folder: Path) -> None:
    main = folder / "main.tf"
    before = main.read_text()
    marked = 'versioning_configuration {\n    status = "Enabled"'
    assert marked in before
    main.write_text(before.replace(marked, marked.replace("Enabled", "Suspended")))
    try:
        status, text = terraform(folder, "test", "-no-color")
    finally:
        main.write_text(before)
    assert status != 0
    assert "could not be brought back" in text
