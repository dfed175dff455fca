"""What the front passes on is the path whose role it has judged."""

import pytest
from fastapi import HTTPException

from overread.review.passing import must_stay


@pytest.mark.parametrize("path", ["/mapping/../desk/counts", "/mapping/./versions", "/mapping/..", "/mapping/\x00"])
def test_a_path_that_would_be_another_behind_the_front_is_not_passed_on(path: str) -> None:
    """An escaped `..` is decoded before the front sees it, and resolved by who sends it on."""
    with pytest.raises(HTTPException) as refused:
        must_stay(path)

    assert refused.value.status_code == 404


@pytest.mark.parametrize("path", ["/mapping/versions", "/dicom-web/studies/1.2.3/series/1.2.4", "/desk/a..b", "/ops/"])
def test_an_ordinary_path_is_passed_on(path: str) -> None:
    """Dots within a name mean nothing."""
    must_stay(path)
