"""Failing in every way that an app can: what its users are told."""

from __future__ import annotations

import pickle

import pytest

from tests.support.real import opened
from triojob import AppError, TriojobError, ValidationError


async def test_gradio_error_says_all_that_app_said(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        with pytest.raises(AppError, match=r"^boom$") as caught:
            await client.predict(api_name="/fail")
        error = caught.value
        assert (error.message, error.title, error.duration) == ("boom", "Oops", 3)
        assert error.visible is True
        assert error.endpoint == "/fail"
        assert isinstance(error, (TriojobError, RuntimeError))
        again = pickle.loads(pickle.dumps(error))
        assert vars(again) == vars(error)


@pytest.mark.parametrize(
    "name, age, errors",
    [
        ("", 30, {"name": "A name is needed."}),
        ("Ada", 200, {"age": "Nobody is of that age."}),
        ("", -1, {"name": "A name is needed.", "age": "Nobody is of that age."}),
    ],
)
async def test_validator_tells_of_each_parameter(gradio_url, name, age, errors):
    async with opened(gradio_url) as client:
        job = client.submit(name, age, api_name="/validated")
        with pytest.raises(ValidationError) as caught:
            await job.result()
        assert caught.value.errors == errors
        assert caught.value.endpoint == "/validated"
        assert isinstance(caught.value, ValueError)
        for words in errors.values():
            assert words in str(caught.value)
        assert job.status().success is False
        assert await client.predict("Ada", 30, api_name="/validated") == "Ada is 30"
